/// One line of what `processes` shows: a figure, round by round, and beside it what it is held against.
struct ProcessFigure: Codable, Sendable {
  enum Unit: String, Codable, Sendable {
    case perSecond, nanoseconds, share

    func text(_ value: Double) -> String {
      switch self {
      case .perSecond: value.isFinite ? Format.count(value) + "/s" : Format.missing
      case .nanoseconds: Format.nanoseconds(value)
      case .share: Format.percent(value)
      }
    }
  }

  /// What is asked of it: of its ratio to the other figure, or of itself.
  enum Target: Codable, Sendable {
    case ratioAtLeast(Double)
    case ratioAtMost(Double)
    case below(Double)
  }

  var name: String
  var unit: Unit
  var values: [Double]
  /// The same of what it is held against, measured in turn with it; empty if there is none.
  var others: [Double] = []
  var target: Target?

  var median: Double { Statistics.median(values) }
  var otherMedian: Double { Statistics.median(others) }
  /// Round by round, since a machine drifts and two runs side by side drift together.
  var ratios: [Double] { zip(values, others).map { $0 / $1 } }
  var ratio: Double { Statistics.median(ratios) }

  /// Nil without a target.
  var isMet: Bool? {
    switch target {
    case .ratioAtLeast(let least): ratio >= least
    case .ratioAtMost(let most): ratio <= most
    case .below(let limit): median < limit
    case nil: nil
    }
  }

  fileprivate var targetText: String {
    switch target {
    case .ratioAtLeast(let least): "at least " + Format.ratio(least)
    case .ratioAtMost(let most): "at most " + Format.ratio(most)
    case .below(let limit): "below " + unit.text(limit)
    case nil: ""
    }
  }
}

/// The figures with one question in common.
struct ProcessSection: Codable, Sendable {
  var title: String
  /// What stands in the two columns.
  var columns: [String]
  var figures: [ProcessFigure]
  /// What has to be known to read them.
  var note = ""
}

/// All that `processes` has measured: what `--json` writes.
struct ProcessReport: Codable, Sendable {
  var date: String
  var machine: ComparisonReport.Machine
  var rounds: Int
  var sections: [ProcessSection] = []

  var isMet: Bool { sections.flatMap(\.figures).allSatisfy { $0.isMet ?? true } }

  func lines(_ style: TerminalStyle) -> [String] {
    var table = TerminalTable(gaps: [0, 2, 1, 2, 1, 2, 1, 2, 2])
    for section in sections {
      table.add([
        .init(section.title, .heading), .init(section.columns[0], .faint), .init(""), .init(section.columns[1], .faint),
        .init(""), .init(section.columns[1].isEmpty ? "" : "ratio", .faint), .init(""), .init("target", .faint),
      ])
      for figure in section.figures { table.add(cells(figure)) }
      table.add([])
    }
    let notes = sections.filter { !$0.note.isEmpty }.flatMap { section in
      (section.title + ": " + section.note).wrapped(to: 120, indent: "  ")
    }
    return [
      style.apply(.heading, "siltstone-bench processes") + "  " + date,
      "machine  \(machine.processor), \(machine.cores) cores, \(machine.kernel), \(machine.storage)",
      "medians of \(rounds) rounds in turn, with the distance from the least to the largest", "",
    ] + table.lines(style) + notes
  }

  private func cells(_ figure: ProcessFigure) -> [TerminalTable.Cell] {
    func spread(_ values: [Double]) -> TerminalTable.Cell {
      values.count > 1 ? .init(Format.spread(Statistics.spread(values)), .faint) : .init("")
    }
    let hasOther = !figure.others.isEmpty
    let verdict: TerminalTable.Cell =
      figure.isMet.map { $0 ? .init("met", .better) : .init("missed", .warning) } ?? .init("")
    return [
      .init("  " + figure.name), .init(figure.unit.text(figure.median)), spread(figure.values),
      .init(hasOther ? figure.unit.text(figure.otherMedian) : ""), spread(figure.others),
      .init(hasOther ? Format.ratio(figure.ratio) : ""), spread(figure.ratios), .init(figure.targetText), verdict,
    ]
  }
}
