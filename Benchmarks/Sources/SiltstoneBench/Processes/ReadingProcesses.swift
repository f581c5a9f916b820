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
    for process in [reader, writer] { _ = try process.ask("read", "rate") }  // what they read comes into their caches
    var rates: [[Double]] = [[], []]
    for round in 0..<rounds {
      for (index, process) in [reader, writer].enumerated() {
        let name = index == 0 ? "the reader" : "the writer"
        progress.begin(label: "gets in \(name), round \(round + 1)", total: 0)
        rates[index].append(Double(try process.ask("read", "rate")) ?? .nan)
        progress.end(summary: Format.count(rates[index].last ?? .nan) + " operations/s")
      }
    }
    for process in [reader, writer] { try process.end() }
    return ProcessSection(
      title: "Reading", columns: ["a reader", "the writer"],
      figures: [
        ProcessFigure(
          name: "gets", unit: .perSecond, values: rates[0], others: rates[1], target: .ratioAtLeast(0.95))
      ])
  }

  /// The process's side: does all reads whenever it is told to, and tells how many it did in a second.
  static func serve(_ engine: SiltstoneEngine) throws {
    ParentProcess.send("ready")
    let specification = engine.specification
    while readLine() == "read" {
      var worker = Worker(
        index: 0, of: 1, specification, progress: OperationCounter(), deadline: .max, over: StopSign())
      let begin = Clock.nanoseconds()
      try Reads(specification).work(engine.makeSession(), &worker)
      let seconds = Clock.seconds(from: begin, to: Clock.nanoseconds())
      guard worker.recorder.found == worker.recorder.operations else { throw BenchError("processes: a key is missing") }
      ParentProcess.send("rate \(Double(worker.recorder.operations) / seconds)")
    }
  }
}
