/// A comparison as text for a terminal, 120 columns wide with five engines.
struct TerminalReport {
  let report: ComparisonReport
  let style: TerminalStyle

  init(_ report: ComparisonReport, style: TerminalStyle = .plain) {
    (self.report, self.style) = (report, style)
  }

  var lines: [String] {
    let sections = [header] + report.comparisons.map(section) + [engines, omissions]
    return Array(sections.filter { !$0.isEmpty }.joined(separator: [""]))
  }

  // MARK: Machine and device

  private var header: [String] {
    let machine = report.machine
    let cores = "\(machine.cores) core\(machine.cores == 1 ? "" : "s")"
    return [
      style.apply(.heading, "siltstone-bench") + "  " + report.date,
      "machine  \(machine.processor), \(cores), \(Format.bytes(Double(machine.memoryBytes))), \(machine.kernel)",
      "storage  \(machine.storage)",
    ] + device
  }

  private var device: [String] {
    guard !report.device.isEmpty else { return ["device   not measured"] }
    return report.device.enumerated().flatMap { index, device in
      let moment = report.device.count == 1 ? "" : index == 0 ? " before" : index == 1 ? " after" : " \(index)"
      let depths = device.randomReads.map { "\(Format.count($0.operationsPerSecond)) at depth \($0.depth)" }
      var parts = [
        "writes \(Format.bytesPerSecond(device.sequentialWriteBytesPerSecond))",
        "reads \(Format.bytesPerSecond(device.sequentialReadBytesPerSecond))",
      ]
      if !depths.isEmpty { parts.append("4 KiB reads/s " + depths.joined(separator: ", ")) }
      parts.append("fdatasync p50 \(Format.nanoseconds(Double(device.syncP50Nanoseconds)))")
      parts.append("p99 \(Format.nanoseconds(Double(device.syncP99Nanoseconds)))")
      let text = parts.joined(separator: ", ") + (device.isDirect ? "" : " (through the page cache)")
      return ("device" + moment.padded(to: 8) + text).wrapped(to: 120, indent: "              ")
    }
  }

  // MARK: One workload

  private func section(_ comparison: WorkloadComparison) -> [String] {
    [
      style.apply(.heading, comparison.workload) + (comparison.summary.isEmpty ? "" : ": " + comparison.summary),
      style.apply(.faint, comparison.conditions),
    ] + table(comparison) + notes(comparison) + limit(comparison)
  }

  /// For each engine: the median, the spread, and the ratio to the first engine.
  private func table(_ comparison: WorkloadComparison) -> [String] {
    let groups = comparison.groups
    let perEngine = groups.indices.map { $0 == 0 ? [2, 1] : [2, 1, 1] }
    var table = TerminalTable(gaps: [0] + perEngine.flatMap(\.self))
    table.add([.init("")] + groups.indices.flatMap { heading(groups[$0].engine, isFirst: $0 == 0) })
    for figure in comparison.figures {
      let cells = groups.indices.flatMap { index in
        self.cells(figure, comparison.cell(figure, groups[index], against: groups[0]), isFirst: index == 0)
      }
      table.add([.init(figure.name)] + cells)
    }
    return table.lines(style)
  }

  private func heading(_ engine: String, isFirst: Bool) -> [TerminalTable.Cell] {
    [.init(engine, .heading), .init("span", .faint)] + (isFirst ? [] : [.init("ratio", .faint)])
  }

  private func cells(
    _ figure: Figure, _ cell: WorkloadComparison.Cell, isFirst: Bool
  ) -> [TerminalTable.Cell] {
    let value = TerminalTable.Cell(figure.text(cell.median))
    guard cell.median.isFinite else { return [value, .init("")] + (isFirst ? [] : [.init("")]) }
    let spread = TerminalTable.Cell(
      cell.values.count < 2 ? "" : spread(cell), cell.isWide ? .warning : .faint)
    return [value, spread] + (isFirst ? [] : [.init(cell.ratio.isFinite ? Format.number(cell.ratio) : "")])
  }

  private func spread(_ cell: WorkloadComparison.Cell) -> String {
    Format.spread(cell.spread) + (cell.isWide ? "!" : "")
  }

  private func notes(_ comparison: WorkloadComparison) -> [String] {
    let groups = comparison.groups
    let isAnyWide = comparison.figures.contains { figure in
      groups.contains { comparison.cell(figure, $0).isWide }
    }
    var lines: [String] = []
    if groups.contains(where: { $0.results.count > 1 }) {
      let ratio = groups.count > 1 ? "; ratio: to \(groups[0].engine), round by round" : ""
      lines.append("Medians; span: from the least run to the largest, of the median\(ratio).")
    } else if groups.count > 1 {
      lines.append("One run each: no spread is known; ratio: to \(groups[0].engine).")
    }
    if isAnyWide { lines.append("! The runs lie more than 25 % apart: read it as an order of magnitude.") }
    return lines.map { style.apply(.faint, $0) }
  }

  private func limit(_ comparison: WorkloadComparison) -> [String] {
    guard let limit = comparison.limit, let binding = limit.binding else { return [] }
    let others = limit.rates.map { "\($0.bound.rawValue) \(Format.count($0.operationsPerSecond))" }
    let text =
      "siltstone's limit: \(Format.count(binding.operationsPerSecond)) op/s, set by the \(binding.bound.rawValue)"
      + " (\(others.joined(separator: ", "))); settled at \(Format.count(limit.measuredOperationsPerSecond)),"
      + " \(Format.percent(limit.shareOfLimit).filter { $0 != " " })"
    return text.wrapped(to: 120, indent: "  ")
  }

  // MARK: Engines

  private var engines: [String] {
    let identities = report.identities
    guard !identities.isEmpty else { return ["Nothing ran."] }
    return [style.apply(.heading, "engines")]
      + identities.flatMap { identity in
        let engine = identity.engine
        let isOneOfSeveral = identities.filter { $0.engine.name == engine.name }.count > 1
        let title = "\(engine.name) \(engine.version)" + (engine.build.isEmpty ? "" : " (\(engine.build))")
        let scope = isOneOfSeveral ? ", in \(identity.workloads.joined(separator: ", "))" : ""
        let settings = engine.settings.map { "\($0.name): \($0.value)" }.joined(separator: "; ")
        return ["  " + title + scope] + settings.wrapped(to: 114).map { style.apply(.faint, "    " + $0) }
      }
  }

  private var omissions: [String] {
    guard !report.omissions.isEmpty else { return [] }
    return [style.apply(.heading, "left out")]
      + report.omissions.map { "  \($0.engine), \($0.workload): \($0.reason)" }
  }
}

extension String {
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

  /// Lines of at most `width` characters, broken at spaces; all but the first begin with `indent`.
  func wrapped(to width: Int, indent: String = "") -> [String] {
    split(separator: " ", omittingEmptySubsequences: false).reduce(into: [String]()) { lines, word in
      if let last = lines.last, last.count + 1 + word.count <= width {
        lines[lines.count - 1] = last + " " + word
      } else {
        lines.append((lines.isEmpty ? "" : indent) + word)
      }
    }
  }
}
