/// The runs of one engine at one workload: medians, spread, and ratios to another group's runs, round by round.
struct ResultGroup: Sendable {
  let engine: String
  let workload: String
  /// In the order of the rounds.
  let results: [RunResult]

  func median(_ figure: (RunResult) -> Double) -> Double { Statistics.median(results.map(figure)) }
  /// The distance from the least to the largest, as a share of the median.
  func spread(_ figure: (RunResult) -> Double) -> Double { Statistics.spread(results.map(figure)) }

  /// This group's figure divided by the other's, round by round: machines drift, and two runs that stand side by side
  /// drift together.
  func ratios(to other: ResultGroup, _ figure: (RunResult) -> Double) -> [Double] {
    zip(results, other.results).map { figure($0) / figure($1) }
  }
}

extension ComparisonReport {
  /// In the order in which workloads and, for each, engines first ran.
  var groups: [ResultGroup] {
    var order: [(engine: String, workload: String)] = []
    for run in runs {
      let (engine, workload) = (run.result.engine.name, run.result.specification.workload)
      if !order.contains(where: { $0 == (engine, workload) }) { order.append((engine, workload)) }
    }
    let workloads = order.map(\.workload).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
    return workloads.flatMap { workload in
      order.filter { $0.workload == workload }.map { pair in
        let results = runs.filter {
          $0.result.engine.name == pair.engine && $0.result.specification.workload == pair.workload
        }
        return ResultGroup(
          engine: pair.engine, workload: pair.workload,
          results: results.sorted { $0.round < $1.round }.map(\.result))
      }
    }
  }
}

/// Small samples.
enum Statistics {
  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    if sorted.isEmpty { return .nan }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  static func spread(_ values: [Double]) -> Double {
    guard let low = values.min(), let high = values.max() else { return .nan }
    return (high - low) / median(values)
  }
}
