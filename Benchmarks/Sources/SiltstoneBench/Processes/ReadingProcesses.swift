import Foundation

/// The reads of `readrandom` in the process that loaded the database, and in another, in turn.
struct ReadingProcesses {
  let specification: RunSpecification
  let rounds: Int
  let progress: LiveProgress

  func measure() throws -> ProcessSection {
    try FileManager.default.createDirectory(atPath: specification.directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: specification.directory) }
    progress.begin(label: "a database to read from", total: 0)
    let writer = try ProcessPeer.start(.loader, specification)
    var guest = specification
    guest.sharing = .guest
    let reader = try ProcessPeer.start(.reader, guest)
    progress.end(summary: "loaded")
    let processes = [reader, writer]
    for process in processes { _ = try process.ask("read", "read") }  // what they read comes into their caches
    var (rates, costs): ([[Double]], [[Double]]) = ([[], []], [[], []])
    for round in 0..<rounds {
      // Each goes first as often as the other.
      for index in round % 2 == 0 ? [0, 1] : [1, 0] {
        progress.begin(label: "gets in the \(index == 0 ? "reader" : "writer"), round \(round + 1)", total: 0)
        let answer = try processes[index].ask("read", "read").split(separator: " ").compactMap { Double($0) }
        guard answer.count == 2 else { throw BenchError("processes: a reader has failed") }
        rates[index].append(answer[0])
        costs[index].append(answer[1])
        progress.end(summary: Format.count(answer[0]) + " operations/s")
      }
    }
    for process in processes { try process.end() }
    return ProcessSection(
      title: "Reading", columns: ["a reader", "the writer"],
      figures: [
        ProcessFigure(
          name: "gets", unit: .perSecond, values: rates[0], others: rates[1], target: .ratioAtLeast(0.95)),
        ProcessFigure(
          name: "processor time of a get", unit: .nanoseconds, values: costs[0], others: costs[1],
          target: .ratioAtMost(1.05)),
      ])
  }

  /// The process's side: does all reads whenever it is told to, and tells how many it did in a second, and what
  /// processor time each took in this thread.
  static func serve(_ engine: SiltstoneEngine) throws {
    ParentProcess.send("ready")
    let specification = engine.specification
    while readLine() == "read" {
      var worker = Worker(
        index: 0, of: 1, specification, progress: OperationCounter(), deadline: .max, over: StopSign())
      let (begin, spent) = (Clock.nanoseconds(), Clock.threadNanoseconds())
      try Reads(specification).work(engine.makeSession(), &worker)
      let cost = Double(Clock.threadNanoseconds() - spent) / Double(worker.recorder.operations)
      let seconds = Clock.seconds(from: begin, to: Clock.nanoseconds())
      guard worker.recorder.found == worker.recorder.operations else { throw BenchError("processes: a key is missing") }
      ParentProcess.send("read \(Double(worker.recorder.operations) / seconds) \(cost)")
    }
  }
}
