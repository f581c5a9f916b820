/// One workload: charts, the limit, notes, and all figures.
struct WorkloadSection {
  let comparison: WorkloadComparison
  let palette: Palette

  private var groups: [ResultGroup] { comparison.groups }

  var markup: Markup {
    tag("section", ["id": Html.anchor(comparison.workload), "class": "workload"]) {
      tag("h2") {
        comparison.workload
        tag("span") { comparison.summary }
      }
      tag("p", ["class": "conditions"]) { comparison.conditions }
      tag("p", ["class": "engines"]) { groups.map { Html.name($0.engine, palette) } }
      tag("div", ["class": "charts"]) {
        throughput
        latency
      }
      tag("div", ["class": "panels"]) { panels }
      limit
      FigureTable(comparison: comparison, palette: palette).markup
      notes
    }
  }

  // MARK: Curves

  private var others: String { groups.contains { $0.results.count > 1 } ? "; faint: the other runs" : "" }

  private var throughput: Markup {
    let preference = ThroughputChart.needsLogarithm(groups) ? "showlog" : "showlin"
    return tag("figure", ["class": "scaled " + preference]) {
      tag("figcaption") {
        tag("b") { "Throughput over time" }
        tag("span") { "operations a second, one point a second" + others }
      }
      [ChartSize.wide, .narrow].flatMap { size in
        [false, true].map { ThroughputChart(groups, palette, size, isLogarithmic: $0).markup }
      }
    }
  }

  private var latency: Markup {
    tag("figure") {
      tag("figcaption") {
        tag("b") { "Latency" }
        tag("span") {
          comparison.isOpenLoop ? "from the moment a request was due" + others : "of a call" + others
        }
      }
      [ChartSize.wide, .narrow].map { LatencyChart(groups, palette, $0).markup }
    }
  }

  // MARK: Bars

  private var panels: [Markup] {
    let figures: [Figure] = [
      .processor, .latencies[1], .writeAmplification, .spaceAmplification, .memory, .bytesRead,
    ]
    let tail: [Figure] = comparison.isOpenLoop ? [.latencies[4], .stalled] : []
    return [rates, diskShare].compactMap(\.self) + (tail + figures).compactMap { panel($0) }
  }

  private func panel(
    _ figure: Figure, note: String = "", text: ((ResultGroup, String) -> String)? = nil
  ) -> Markup? {
    let bars = groups.map { group in
      let cell = comparison.cell(figure, group)
      let value = Html.micro(figure.text(cell.median))
      return BarChart.Bar(
        engine: group.engine, median: cell.median, range: cell.range, text: text?(group, value) ?? value,
        isWide: cell.isWide)
    }
    guard bars.contains(where: { $0.median.isFinite }) else { return nil }
    return tag("figure") {
      tag("figcaption") {
        tag("b") { figure.name.prefix(1).uppercased() + figure.name.dropFirst() }
        tag("span") { figure.better == .higher ? "more is better" + note : "less is better" + note }
      }
      BarChart(title: figure.name, bars: bars, palette: palette).markup
    }
  }

  /// With the rate that the disk would allow each engine, at its own write amplification.
  private var rates: Markup? {
    let limits = groups.map { $0.medianRun.flatMap { IngestLimit($0, comparison.yardstick)?.diskRate } ?? .nan }
    let note = limits.contains(where: \.isFinite) ? "; of what the disk would allow" : ""
    return panel(.operations, note: note) { group, value in
      guard let index = groups.firstIndex(where: { $0.engine == group.engine }), limits[index].isFinite else {
        return value
      }
      return "\(value) of \(Format.count(limits[index]))"
    }
  }

  /// Bars to the physical share, solid as far as payload goes; the scale ends at the disk's own speed.
  private var diskShare: Markup? {
    let bars = groups.map { group in
      let physical = comparison.cell(.physicalShare, group)
      let payload = comparison.cell(.payloadShare, group).median
      return BarChart.Bar(
        engine: group.engine, median: physical.median, range: physical.range, solid: payload,
        text: "\(Format.percent(physical.median)) (\(Format.percent(payload)))", isWide: physical.isWide)
    }
    guard bars.contains(where: { $0.median.isFinite }) else { return nil }
    return tag("figure") {
      tag("figcaption") {
        tag("b") { "Share of the disk’s write speed" }
        tag("span") { "all bytes written (solid: payload)" }
      }
      BarChart(title: "Share of the disk's write speed", bars: bars, palette: palette, top: 1).markup
    }
  }

  // MARK: Limit and notes

  private var limit: Markup {
    guard let limit = comparison.limit, let binding = limit.binding else { return .empty }
    let sizes = [(width: 648.0, classes: "wide"), (width: 380.0, classes: "narrow")]
    return tag("figure", ["class": "limitbox"]) {
      tag("figcaption") {
        tag("b") { "Siltstone’s distance to the limit" }
        tag("span") { "what this machine would allow at the cost of each operation that was seen" }
      }
      tag("div", ["class": "limitrow"]) {
        tag("div") { sizes.map { LimitChart(limit: limit, palette: palette, size: $0).markup } }
        tag("div", ["class": "limittext"]) {
          tag("p", ["class": "limitshare"]) {
            Format.percent(limit.shareOfLimit)
            tag("span") { comparison.isOpenLoop ? " of the limit, at the rate offered" : " of the limit" }
          }
          tag("p") { LimitText.reason(limit, binding.bound) }
          tag("p") { LimitText.disk(limit) }
        }
      }
    }
  }

  /// Figures whose spread is worth a word; the tails of latencies always differ, and others follow from these.
  private static let noted: [Figure] = [
    .operations, .processor, .memory, .writeAmplification, .spaceAmplification, .latencies[0], .latencies[1],
  ]

  private var notes: Markup {
    let wide = groups.compactMap { group -> String? in
      let figures = WorkloadSection.noted.compactMap { figure -> String? in
        let cell = comparison.cell(figure, group)
        return cell.isWide ? "\(figure.name) \(Html.micro(Format.spread(cell.spread)))" : nil
      }
      return figures.isEmpty ? nil : "\(EngineTitle.of(group.engine)): \(figures.joined(separator: ", "))"
    }
    guard !wide.isEmpty else { return .empty }
    return tag("div", ["class": "wide-spreads"]) {
      tag("p") {
        "Wide spreads, more than 25 % from the least run to the largest: orders of magnitude rather than figures. "
          + "The table marks the others."
      }
      tag("ul") { wide.map { line in tag("li") { line } } }
    }
  }
}

/// The limit in words.
enum LimitText {
  static func reason(_ limit: IngestLimit, _ bound: IngestLimit.Bound) -> String {
    let rate = limit.binding.map { Format.count($0.operationsPerSecond) } ?? Format.missing
    let time = { (value: Double) in Html.micro(Format.nanoseconds(value)) }
    switch bound {
    case .disk:
      return "The disk binds, at \(rate) op/s."
    case .cores:
      let cores = limit.yardstick.cores
      return "The cores bind, at \(rate) op/s: each operation costs "
        + "\(time(limit.processorNanosecondsPerOperation)) of processor time, and there "
        + (cores == 1 ? "is one core." : "are \(cores) cores.")
    case .writers:
      return "The writing thread\(limit.writers == 1 ? " binds" : "s bind"), at \(rate) op/s: each operation takes it "
        + "\(time(limit.writerNanosecondsPerOperation ?? .nan))."
    case .syncs:
      return "Waiting for stable media binds, at \(rate) op/s: an append with fdatasync takes this disk "
        + "\(time(limit.yardstick.syncNanoseconds)). Engines that write into prepared blocks can come out above that."
    }
  }

  static func disk(_ limit: IngestLimit) -> String {
    let times = "Each byte of payload was written \(Format.number(limit.physicalBytesPerPayloadByte)) times."
    guard limit.yardstick.diskWriteBytesPerSecond.isFinite else { return times + " The disk was not measured." }
    return times + " That used \(Format.percent(limit.physicalShareOfDisk)) of the disk’s "
      + "\(Format.bytesPerSecond(limit.yardstick.diskWriteBytesPerSecond)), "
      + "\(Format.percent(limit.payloadShareOfDisk)) as payload."
  }
}
