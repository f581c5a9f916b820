import Foundation

/// Runs every workload through every engine, in turn (A B A B ...), each run in a fresh process and directory, and
/// gathers what they measured.
struct Comparison {
  let engines: [EngineName]
  let workloads: [WorkloadKind]
  /// What all runs have in common; engine, workload and directory are filled in.
  let template: RunSpecification
  let isKeyCountGiven: Bool
  let isValueSizeGiven: Bool
  let rounds: Int
  /// Where the runs' directories are made, one at a time.
  let directory: String
  let progress: LiveProgress

  func run(arguments: [String]) throws -> ComparisonReport {
    var report = ComparisonReport(
      date: ISO8601DateFormatter().string(from: Date()), arguments: arguments,
      machine: .current(directory: directory))
    report.device.append(try DeviceProbe.measure(in: directory, .quick))
    for workload in workloads { try compare(workload, &report) }
    report.device.append(try DeviceProbe.measure(in: directory, .quick))
    return report
  }

  private func compare(_ workload: WorkloadKind, _ report: inout ComparisonReport) throws {
    var candidates = engines.filter { engine in
      guard let reason = engine.absence else { return true }
      report.omissions.append(.init(engine: engine.label, workload: workload.rawValue, reason: reason))
      return false
    }
    var specification = specification(workload)
    if workload == .stall, specification.rate == nil, let first = candidates.first {
      specification.rate = try calibratedRate(first)
      specification.operations = UInt64((specification.rate ?? 0) * (specification.seconds ?? 30))
    }
    for round in 0..<rounds {
      for engine in candidates {
        switch try run(engine, specification, "\(workload.rawValue), round \(round + 1) of \(rounds)") {
        case .result(let result): report.runs.append(.init(round: round, result: result))
        case .omission(let reason):
          report.omissions.append(.init(engine: engine.label, workload: workload.rawValue, reason: reason))
          candidates.removeAll { $0 == engine }
        }
      }
    }
  }

  private func specification(_ workload: WorkloadKind) -> RunSpecification {
    var specification = template
    specification.workload = workload.rawValue
    if !isKeyCountGiven { specification.keys = workload.defaultKeys }
    if !isValueSizeGiven { specification.valueBytes = workload.defaultValueBytes }
    specification.seconds = specification.seconds ?? workload.defaultSeconds
    if workload == .fillsync { specification.durability = .synced }
    return specification
  }

  /// Half of what the first engine takes in when nobody holds it back: a rate that it should bear for ever.
  private func calibratedRate(_ engine: EngineName) throws -> Double {
    var specification = specification(.fillrandom)
    specification.seconds = 10
    specification.keys = max(specification.keys, 10_000_000)
    guard case .result(let result) = try run(engine, specification, "the rate for stall") else {
      throw BenchError("\(engine.label) cannot do fillrandom, so there is no rate for stall: give one with --rate")
    }
    return result.operationsPerSecond / 2
  }

  private func run(
    _ engine: EngineName, _ specification: RunSpecification, _ label: String
  ) throws -> ChildRun.Outcome {
    var specification = specification
    specification.engine = engine.engine
    specification.directory = directory + "/\(engine.engine)-\(specification.workload)"
    defer { try? FileManager.default.removeItem(atPath: specification.directory) }
    progress.begin(label: "\(engine.label) \(label)", total: specification.operationCount)
    let child = ChildRun(executable: engine.executable, specification: specification)
    var outcome = try child.run { progress.update(done: $0) }
    if case .result(var result) = outcome {
      result.engine.name = engine.label
      outcome = .result(result)
      progress.end(summary: "\(Int(result.operationsPerSecond)) operations/s")
    } else {
      progress.end(summary: "left out")
    }
    return outcome
  }
}
