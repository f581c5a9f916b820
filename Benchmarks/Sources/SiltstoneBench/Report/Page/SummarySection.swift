/// What matters at a glance: a few ratios over all workloads, and a grid of workloads and engines.
struct SummarySection {
  let comparisons: [WorkloadComparison]
  let engines: [String]
  let palette: Palette

  private static let figures: [(figure: Figure, title: String)] = [
    (.operations, "Throughput"), (.processor, "CPU per operation"), (.latencies[1], "Latency, 99th percentile"),
    (.writeAmplification, "Write amplification"), (.latencies[4], "Longest call"),
  ]
  /// The longest call is too much of a chance to be averaged over workloads.
  private static let averaged = figures.prefix(4)

  /// Those that the figure says something about.
  private func comparisons(with figure: Figure) -> [WorkloadComparison] {
    comparisons.filter { comparison in
      !(figure.name == Figure.operations.name && comparison.isOpenLoop)
        && comparison.groups.contains { comparison.cell(figure, $0).median.isFinite }
    }
  }

  var markup: Markup {
    guard !comparisons.isEmpty else {
      return tag("section", ["id": "summary"]) { tag("p") { "Nothing ran." } }
    }
    return tag("section", ["id": "summary"]) {
      tag("h2") { "Summary" }
      tiles
      tag("div", ["class": "switched"]) {
        SummarySection.figures.map { metric($0.figure, $0.title) }
      }
      legend
    }
  }

  /// The engine that others are held against: the same for all workloads, or the grid could not be read.
  private var base: String? {
    engines.contains("rocksdb") ? "rocksdb" : engines.first { $0 != "siltstone" }
  }

  private func group(_ engine: String, _ comparison: WorkloadComparison) -> ResultGroup? {
    comparison.groups.first { $0.engine == engine }
  }

  // MARK: Tiles

  private var tiles: Markup {
    guard let base, engines.contains("siltstone") else { return .empty }
    let tiles = SummarySection.averaged.compactMap { tile($0.figure, $0.title, base) }
    return tiles.isEmpty ? .empty : tag("div", ["class": "tiles"]) { tiles }
  }

  private func tile(_ figure: Figure, _ title: String, _ base: String) -> Markup? {
    let ratios: [Double] = comparisons(with: figure).compactMap { comparison in
      guard let own = group("siltstone", comparison), let other = group(base, comparison) else { return nil }
      let ratio = comparison.cell(figure, own, against: other).ratio
      return ratio.isFinite && ratio > 0 ? ratio : nil
    }
    let mean = Statistics.geometricMean(ratios)
    guard mean.isFinite, let low = ratios.min(), let high = ratios.max() else { return nil }
    let span = "\(ratios.count) workloads, \(Html.micro(Format.ratio(low))) to \(Html.micro(Format.ratio(high)))"
    return tag("div", ["class": "tile " + SummarySection.shade(mean, figure.better)]) {
      tag("p", ["class": "tiletitle"]) { title }
      tag("p", ["class": "tilevalue"]) {
        Html.micro(Format.ratio(mean))
        tag("span") { " \(EngineTitle.of(base))’s" }
      }
      tag("p", ["class": "tilenote"]) { ratios.count == 1 ? "one workload" : span }
    }
  }

  // MARK: Grid

  private func metric(_ figure: Figure, _ title: String) -> Markup {
    let rows = comparisons(with: figure)
    guard !rows.isEmpty else { return .empty }
    let better = figure.better == .higher ? "more is better" : "less is better"
    return tag("div", ["class": "metric", "data-title": title]) {
      tag("h3") {
        title
        tag("span") { base.map { ", as a multiple of \(EngineTitle.of($0))’s; \(better)" } ?? "; \(better)" }
      }
      tag("div", ["class": "scroll"]) {
        tag("table", ["class": "grid"]) {
          tag("thead") { heading }
          tag("tbody") { rows.map { row(figure, $0) } }
        }
      }
    }
  }

  private var heading: Markup {
    tag("tr") {
      tag("th", ["scope": "col"]) { "Workload" }
      engines.map { engine in tag("th", ["scope": "col"]) { Html.name(engine, palette) } }
    }
  }

  private func row(_ figure: Figure, _ comparison: WorkloadComparison) -> Markup {
    tag("tr") {
      tag("th", ["scope": "row"]) {
        tag("a", ["href": "#" + Html.anchor(comparison.workload)]) { comparison.workload }
      }
      engines.map { engine in cell(figure, engine, comparison) }
    }
  }

  private func cell(_ figure: Figure, _ engine: String, _ comparison: WorkloadComparison) -> Markup {
    guard let group = group(engine, comparison) else { return tag("td", ["class": "none"]) { "not run" } }
    let baseGroup = base.flatMap { self.group($0, comparison) }
    let cell = comparison.cell(figure, group, against: baseGroup)
    guard cell.median.isFinite else { return tag("td", ["class": "none"]) { "–" } }
    let value = Html.micro(figure.text(cell.median))
    let isBase = engine == base
    let ratio = cell.ratio.isFinite && !isBase ? Html.micro(Format.ratio(cell.ratio)) : value
    return tag("td", ["class": isBase ? "base" : SummarySection.shade(cell.ratio, figure.better)]) {
      tag("b") { ratio }
      tag("small") {
        ratio == value ? (isBase ? "baseline" : "") : value
        if cell.isWide { tag("em") { " \u{2195}\(Html.micro(Format.spread(cell.spread)))" } }
      }
    }
  }

  /// How much better or worse than the baseline, in seven steps.
  static func shade(_ ratio: Double, _ better: Figure.Better) -> String {
    guard ratio.isFinite, ratio > 0, better != .neither else { return "even" }
    let gain = better == .higher ? ratio : 1 / ratio
    switch gain {
    case 4...: return "better3"
    case 2...: return "better2"
    case 1.1...: return "better1"
    case (1 / 1.1)...: return "even"
    case 0.5...: return "worse1"
    case 0.25...: return "worse2"
    default: return "worse3"
    }
  }

  private var legend: Markup {
    guard base != nil else { return .empty }
    let steps = [
      ("worse3", "over 4 times worse"), ("worse2", "2 to 4 times"), ("worse1", "worse"), ("even", "within 10 %"),
      ("better1", "better"), ("better2", "2 to 4 times"), ("better3", "over 4 times better"),
    ]
    return tag("p", ["class": "legend"]) {
      steps.map { step in
        tag("span") {
          tag("i", ["class": step.0])
          step.1
        }
      }
      tag("span") { "\u{2195} the runs lie this far apart, more than 25 %" }
    }
  }
}
