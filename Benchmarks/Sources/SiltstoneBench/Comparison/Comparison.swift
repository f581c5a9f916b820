import Foundation

/// Runs every workload through every engine, in turn (A B A B ...), each run in a fresh process and directory, and
/// gathers what they measured.
struct Comparison {
  let engines: [EngineName]
  let workloads: [WorkloadKind]
  /// What a run of this workload is to be; engine and directory are filled in.
  let specification: (WorkloadKind) -> RunSpecification
  let rounds: Int
  /// Where the runs' directories are made, one at a time.
  let directory: String
  let progress: LiveProgress

  func run(arguments: [String]) throws -> ComparisonReport {
    var report = ComparisonReport(
      date: ISO8601DateFormatter().string(from: Date()), arguments: arguments,
      machine: .current(directory: directory))
    measureDevice(&report)
    for workload in workloads { try compare(workload, &report) }
    measureDevice(&report)
    report.label(engines)
    return report
  }

  /// Where the system grants no io_uring, engines can still be compared with each other.
  private func measureDevice(_ report: inout ComparisonReport) {
    do {
      report.device.append(try DeviceProbe.measure(in: directory, .quick))
    } catch {
      FileHandle.standardError.write(Data("the device was not measured: \(error)\n".utf8))
    }
  }

  private func compare(_ workload: WorkloadKind, _ report: inout ComparisonReport) throws {
    var candidates = engines.filter { engine in
      guard let reason = engine.absence else { return true }
      report.omissions.append(.init(engine: engine.description, workload: workload.rawValue, reason: reason))
      return false
    }
    var specification = self.specification(workload)
    if workload == .stall, specification.rate == nil, let first = candidates.first {
      specification.rate = try calibratedRate(first)
      specification.operations = UInt64((specification.rate ?? 0) * (specification.seconds ?? 30))
    }
    for round in 0..<rounds {
      for engine in candidates {
        switch try run(engine, specification, "\(workload.rawValue), round \(round + 1) of \(rounds)") {
        case .result(let result): report.runs.append(.init(round: round, result: result))
        case .omission(let reason, let isFailure):
          report.omissions.append(
            .init(engine: engine.description, workload: workload.rawValue, reason: reason, isFailure: isFailure))
          candidates.removeAll { $0 == engine }
        }
      }
    }
  }

  /// One more run of each, under a profiler: nothing that is measured so is compared.
  func profile() throws {
    for workload in workloads {
      for engine in engines where engine.absence == nil && engine.executable == nil {
        var specification = self.specification(workload)
        specification.engine = engine.engine
        specification.directory = directory + "/profile"
        defer { try? FileManager.default.removeItem(atPath: specification.directory) }
        let folder = "profile/\(engine.engine)-\(workload.rawValue)"
        print("\n\(folder)/flame.svg\n" + (try Profiler.profile(specification, into: folder)).rooms.text)
      }
    }
  }

  /// Half of what the first engine takes in when nobody holds it back: a rate that it should bear for ever.
  private func calibratedRate(_ engine: EngineName) throws -> Double {
    var specification = self.specification(.fillrandom)
    specification.seconds = 10
    specification.keys = max(specification.keys, 10_000_000)
    guard case .result(let result) = try run(engine, specification, "the rate for stall") else {
      throw BenchError(
        "\(engine.description) cannot do fillrandom, so there is no rate for stall: give one with --rate")
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
    progress.begin(label: "\(engine) \(label)", total: specification.operationCount)
    let outcome = try ChildRun.run(specification, executable: engine.executable) { progress.update(done: $0) }
    guard case .result(var result) = outcome else {
      if case .omission(let reason, _) = outcome { progress.end(summary: reason) }
      return outcome
    }
    progress.end(summary: Format.count(result.operationsPerSecond) + " operations/s")
    result.engine.name = engine.description
    return .result(result)
  }
}

extension ComparisonReport {
  /// Calls engines that ran in other builds by their versions, as far as that tells them apart.
  fileprivate mutating func label(_ engines: [EngineName]) {
    let versions = engines.map { engine in
      runs.first { $0.result.engine.name == engine.description }?.result.engine.version ?? "?"
    }
    let labels = Dictionary(
      uniqueKeysWithValues: zip(engines.map(\.description), EngineName.labels(engines, versions: versions)))
    for index in runs.indices {
      runs[index].result.engine.name = labels[runs[index].result.engine.name] ?? runs[index].result.engine.name
    }
  }
}

extension EngineName {
  /// Why it cannot run, if it cannot.
  fileprivate var absence: String? {
    if let executable {
      return FileManager.default.isExecutableFile(atPath: executable) ? nil : "\(executable) is no program"
    }
    guard let entry = EngineCatalogue.all.first(where: { $0.name == engine }) else {
      return "there is no engine of this name"
    }
    return entry.isPresent ? nil : "not built in: install \(entry.package ?? "it") (make peers) and build again"
  }
}
