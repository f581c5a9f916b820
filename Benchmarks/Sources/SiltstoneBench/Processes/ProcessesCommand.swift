import ArgumentParser
import Foundation

/// What several processes on one database cost and are worth, each question held against what it must show.
struct ProcessesCommand: ParsableCommand {
  enum Part: String, CaseIterable, ExpressibleByArgument { case fill, read, visibility, kill, sharing }

  static let configuration = CommandConfiguration(
    commandName: "processes", abstract: "Several processes on one database of Siltstone, against threads of one.",
    discussion: """
      fill: puts of several processes, against as many threads of one. read: gets in another process than the one that \
      wrote. visibility: from a put in one process to its being read in another. kill: how long others pause when a \
      process is killed with the lock of writing. sharing: what it costs one process that others might come. Ends with \
      status 1 if a target is missed.
      """)

  @Option(help: "Parts, separated by commas.") var part = Part.allCases.map(\.rawValue).joined(separator: ",")
  @Option(help: "Rounds: how often each side is measured, in turn.") var rounds = 7
  @Option(help: "Keys, and staged puts or gets of a round.") var keys: UInt64 = 2_000_000
  @Option(help: "Synced puts of a round.") var syncs: UInt64 = 20_000
  @Option(help: "Processes that are killed.") var kills = 200
  @Option(help: "Where to work; a directory is made there, and removed.") var dir = "."
  @Option(help: "Write everything that was measured to this file, as JSON.") var json: String?

  func validate() throws {
    guard rounds >= 1, kills >= 1, keys >= 1_000, syncs >= 100 else {
      throw ValidationError("--rounds and --kills are 1 or more, --keys 1000, --syncs 100.")
    }
    _ = try parts()
  }

  func run() throws {
    let place = try WorkingDirectory(in: dir)
    defer { place.remove() }
    var report = ProcessReport(
      date: ISO8601DateFormatter().string(from: Date()), machine: .current(directory: place.path), rounds: rounds)
    for part in try parts() { report.sections.append(try measure(part, in: place.path)) }
    for line in report.lines(.forStandardOutput) { print(line) }
    if let json {
      let text = try ComparisonReport.encoder.encode(report) + Data("\n".utf8)
      try text.write(to: URL(fileURLWithPath: json), options: .atomic)
    }
    if !report.isMet { throw ExitCode.failure }
  }

  private func parts() throws -> [Part] {
    try part.split(separator: ",").map { name in
      guard let part = Part(rawValue: String(name)) else { throw ValidationError("there is no part \(name).") }
      return part
    }
  }

  private func measure(_ part: Part, in place: String) throws -> ProcessSection {
    var specification = RunSpecification(engine: SiltstoneEngine.name, workload: "", directory: place + "/db")
    specification.keys = keys
    let progress = LiveProgress()
    switch part {
    case .fill:
      return try TurnTaking(specification, rounds: rounds, progress).fill(syncs: syncs)
    case .sharing:
      return try TurnTaking(specification, rounds: rounds, progress).sharing()
    case .read:
      return try ReadingProcesses(specification: specification, rounds: rounds, progress: progress).measure()
    case .visibility:
      return try VisibilityMeasurement(specification: specification, rounds: rounds, progress: progress).measure()
    case .kill:
      return try PauseMeasurement(specification: specification, kills: kills, progress: progress).measure()
    }
  }
}

/// Two ways to run a workload, in turn (A B B A A B ...), by the runs that every comparison is made of.
struct TurnTaking {
  private let specification: RunSpecification
  private let rounds: Int
  private let progress: LiveProgress

  init(_ specification: RunSpecification, rounds: Int, _ progress: LiveProgress) {
    (self.specification, self.rounds, self.progress) = (specification, rounds, progress)
  }

  func fill(syncs: UInt64) throws -> ProcessSection {
    func runs(_ durability: RunSpecification.Durability, _ count: UInt64) throws -> [[RunResult]] {
      try inTurn("\(durability.rawValue) puts", [.fillProcesses, .fillrandom]) { specification, _ in
        specification.keys = count
        specification.threads = WorkloadKind.fillProcesses.defaultThreads
        specification.durability = durability
      }
    }
    let staged = try runs(.staged, specification.keys)
    let synced = try runs(.synced, syncs)
    func figure(_ name: String, _ runs: [[RunResult]], _ least: Double) -> ProcessFigure {
      let rates = runs.map { $0.map(\.operationsPerSecond) }
      return ProcessFigure(
        name: name, unit: .perSecond, values: rates[0], others: rates[1], target: .ratioAtLeast(least))
    }
    return ProcessSection(
      title: "Writing", columns: ["4 processes", "4 threads"],
      figures: [figure("staged puts", staged, 0.8), figure("synced puts", synced, 0.9)])
  }

  func sharing() throws -> ProcessSection {
    func runs(_ workload: WorkloadKind) throws -> [[RunResult]] {
      try inTurn("\(workload.rawValue)", [workload, workload]) { specification, isOther in
        specification.sharing = isOther ? .exclusive : nil
      }
    }
    let (puts, gets) = (try runs(.fillrandom), try runs(.readrandom))
    func rate(_ name: String, _ runs: [[RunResult]]) -> ProcessFigure {
      let rates = runs.map { $0.map(\.operationsPerSecond) }
      return ProcessFigure(
        name: name, unit: .perSecond, values: rates[0], others: rates[1], target: .ratioAtLeast(0.97))
    }
    func cost(_ name: String, _ runs: [[RunResult]]) -> ProcessFigure {
      let costs = runs.map { $0.map(\.processorNanosecondsPerOperation) }
      return ProcessFigure(
        name: name, unit: .nanoseconds, values: costs[0], others: costs[1], target: .ratioAtMost(1.03))
    }
    return ProcessSection(
      title: "One process", columns: ["shared", "exclusive"],
      figures: [
        rate("staged puts", puts), cost("processor time of a put", puts), rate("gets", gets),
        cost("processor time of a get", gets),
      ], note: "processor time is that of all threads, flushes and compactions included.")
  }

  /// For each of the two, its results, round by round.
  private func inTurn(
    _ label: String, _ workloads: [WorkloadKind],
    _ change: (inout RunSpecification, _ isOther: Bool) -> Void
  ) throws -> [[RunResult]] {
    var results = workloads.map { _ in [RunResult]() }
    for round in 0..<rounds {
      // Each goes first as often as the other.
      for index in round % 2 == 0 ? [0, 1] : [1, 0] {
        var specification = specification
        specification.workload = workloads[index].rawValue
        change(&specification, index > 0)
        defer { try? FileManager.default.removeItem(atPath: specification.directory) }
        let side = index == 0 ? "first" : "second"
        progress.begin(label: "\(label), \(side) side, round \(round + 1)", total: specification.operationCount)
        guard case .result(let result) = try ChildRun.run(specification, progress: { progress.update(done: $0) }) else {
          throw BenchError("processes: a run has failed")
        }
        progress.end(summary: Format.count(result.operationsPerSecond) + " operations/s")
        results[index].append(result)
      }
    }
    return results
  }
}
