/// One workload, and all engines that ran it.
struct WorkloadComparison: Sendable {
  let workload: String
  /// One for each engine, in the order in which they ran.
  let groups: [ResultGroup]
  let yardstick: Yardstick

  /// One engine's figure over its runs.
  struct Cell: Sendable {
    let values: [Double]
    /// Against the group that ratios are taken to, one for each round that both ran; empty for that group itself.
    let ratios: [Double]

    var median: Double { Statistics.median(values) }
    var spread: Double { Statistics.spread(values) }
    var ratio: Double { Statistics.median(ratios) }
    /// From the least to the largest; nil if there is none.
    var range: ClosedRange<Double>? {
      let finite = values.filter(\.isFinite)
      guard let low = finite.min(), let high = finite.max() else { return nil }
      return low...high
    }
    var isWide: Bool { spread > WorkloadComparison.wideSpread }
  }

  /// A spread above this share of the median is marked.
  static let wideSpread = 0.25

  func cell(_ figure: Figure, _ group: ResultGroup, against base: ResultGroup? = nil) -> Cell {
    let value = { (result: RunResult) in figure.value(result, yardstick) }
    let ratios = base.flatMap { $0.engine == group.engine ? nil : group.ratios(to: $0, value) } ?? []
    return Cell(values: group.results.map(value), ratios: ratios)
  }

  /// The figures that at least one run has.
  var figures: [Figure] {
    let results = groups.flatMap(\.results)
    let extras = Set(results.flatMap(\.extra.keys)).filter { !WorkloadComparison.isInternal($0) }
    return (Figure.all + extras.sorted().map(Figure.extra)).filter { figure in
      results.contains { figure.value($0, yardstick).isFinite }
    }
  }

  private static func isInternal(_ extra: String) -> Bool {
    extra.hasPrefix("engine.") || extra == IngestLimit.writersProcessorKey
  }

  /// The peer that others are held against: RocksDB, or whichever peer comes first; nil if Siltstone ran alone.
  var peer: ResultGroup? {
    groups.first { $0.engine == "rocksdb" } ?? groups.first { $0.engine != "siltstone" }
  }

  /// Whether requests came at a rate of their own: then throughput says nothing, and the longest latency everything.
  var isOpenLoop: Bool {
    workload == WorkloadKind.stall.rawValue || groups.contains { $0.results.contains { $0.specification.rate != nil } }
  }

  /// Siltstone's median run against its limit; nil where it wrote nothing.
  var limit: IngestLimit? {
    groups.first { $0.engine == "siltstone" }?.medianRun.flatMap { IngestLimit($0, yardstick) }
  }

  /// What every run was asked to do, in one line.
  var conditions: String {
    guard let specification = groups.first?.results.first?.specification else { return "" }
    var parts = ["\(Format.exact(specification.keys)) keys", valueSizes(specification)]
    if let operations = specification.operations, operations != specification.keys {
      parts.append("\(Format.exact(operations)) operations")
    }
    if specification.batch > 1 { parts.append("batches of \(specification.batch)") }
    if let rate = specification.rate { parts.append("offered \(Format.count(rate)) op/s") }
    if let seconds = specification.seconds { parts.append("for \(Format.trimmed(String(seconds))) s") }
    parts.append("\(specification.threads) thread\(specification.threads == 1 ? "" : "s")")
    parts.append("\(specification.durability.rawValue)")
    parts.append("\(specification.compression.rawValue)")
    let rounds = groups.map(\.results.count).max() ?? 0
    parts.append("\(rounds) round\(rounds == 1 ? "" : "s")")
    return parts.joined(separator: ", ")
  }

  private func valueSizes(_ specification: RunSpecification) -> String {
    let (key, value) = (specification.keyBytes, specification.valueBytes)
    return "\(key) B + " + (specification.workload == "largevalue" ? "up to \(value)" : "\(value)") + " B"
  }

  var summary: String { WorkloadKind(rawValue: workload)?.summary ?? "" }
}

extension ComparisonReport {
  var comparisons: [WorkloadComparison] {
    let (groups, yardstick) = (groups, Yardstick(self))
    let workloads = groups.map(\.workload).reduce(into: [String]()) { if $0.last != $1 { $0.append($1) } }
    return workloads.map { workload in
      WorkloadComparison(workload: workload, groups: groups.filter { $0.workload == workload }, yardstick: yardstick)
    }
  }

  /// Every engine that ran, in the order in which they first did.
  var engines: [String] {
    groups.map(\.engine).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }

  /// How an engine was built and set, and the workloads that saw it so.
  struct Identity: Sendable {
    let engine: RunResult.Engine
    var workloads: [String]
  }

  /// One for each engine, or several if it was set differently for some workloads.
  var identities: [Identity] {
    var result: [Identity] = []
    for name in engines {
      for run in runs where run.result.engine.name == name {
        let (engine, workload) = (run.result.engine, run.result.specification.workload)
        if let index = result.firstIndex(where: { $0.engine.isSame(as: engine) }) {
          if !result[index].workloads.contains(workload) { result[index].workloads.append(workload) }
        } else {
          result.append(Identity(engine: engine, workloads: [workload]))
        }
      }
    }
    return result
  }
}

extension RunResult.Engine {
  fileprivate func isSame(as other: Self) -> Bool {
    name == other.name && version == other.version && build == other.build
      && settings.elementsEqual(other.settings) { $0.name == $1.name && $0.value == $1.value }
  }
}
