import Foundation

/// The runs of one engine at one workload: medians, spread, and ratios to another group's runs, round by round.
struct ResultGroup: Sendable {
  let engine: String
  let workload: String
  /// In the order of the rounds.
  let results: [RunResult]
  /// The round of each result: one that failed is missing.
  let rounds: [Int]

  init(engine: String, workload: String, results: [RunResult], rounds: [Int]? = nil) {
    self.engine = engine
    self.workload = workload
    self.results = results
    self.rounds = rounds ?? Array(results.indices)
  }

  func median(_ figure: (RunResult) -> Double) -> Double { Statistics.median(results.map(figure)) }
  /// The distance from the least to the largest, as a share of the median.
  func spread(_ figure: (RunResult) -> Double) -> Double { Statistics.spread(results.map(figure)) }

  /// This group's figure divided by the other's, for each round that both ran: machines drift, and two runs that stand
  /// side by side drift together.
  func ratios(to other: ResultGroup, _ figure: (RunResult) -> Double) -> [Double] {
    zip(rounds, results).compactMap { round, result in
      other.rounds.firstIndex(of: round).map { figure(result) / figure(other.results[$0]) }
    }
  }

  /// The run that stands for the group where only one can be shown: the middle one by operations a second (of an even
  /// number, the slower of the two in the middle).
  var medianRun: RunResult? {
    guard !results.isEmpty else { return nil }
    return results.sorted { $0.operationsPerSecond < $1.operationsPerSecond }[(results.count - 1) / 2]
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
        }.sorted { $0.round < $1.round }
        return ResultGroup(
          engine: pair.engine, workload: pair.workload, results: results.map(\.result), rounds: results.map(\.round))
      }
    }
  }
}

/// Small samples. What is not a finite number (a figure that a run does not have) is left out.
enum Statistics {
  /// NaN if there is nothing to take it of.
  static func median(_ values: [Double]) -> Double {
    let sorted = values.filter(\.isFinite).sorted()
    if sorted.isEmpty { return .nan }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// The distance from the least to the largest, as a share of the median; 0 if they are all the same.
  static func spread(_ values: [Double]) -> Double {
    let finite = values.filter(\.isFinite)
    guard let low = finite.min(), let high = finite.max() else { return .nan }
    return high == low ? 0 : (high - low) / median(finite)
  }

  /// The least value that so many percent of all do not exceed.
  static func percentile(_ values: [Double], _ percent: Double) -> Double {
    let sorted = values.filter(\.isFinite).sorted()
    if sorted.isEmpty { return .nan }
    return sorted[max(0, Int((Double(sorted.count) * percent / 100).rounded(.up)) - 1)]
  }

  static func mean(_ values: [Double]) -> Double {
    let finite = values.filter(\.isFinite)
    return finite.isEmpty ? .nan : finite.reduce(0, +) / Double(finite.count)
  }

  /// Of those that are finite and above 0; NaN if none is.
  static func geometricMean(_ values: [Double]) -> Double {
    let logarithms = values.filter { $0.isFinite && $0 > 0 }.map { log($0) }
    return logarithms.isEmpty ? .nan : exp(logarithms.reduce(0, +) / Double(logarithms.count))
  }
}
