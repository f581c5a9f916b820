import ArgumentParser
import Foundation
import Histogram
import Synchronization

/// `fill-processes`: as many processes as there are threads elsewhere open one database and put at random keys, one at
/// a time, all at once. What they measured and used is summed; of peak memory, what they share counts for each.
extension RunDriver {
  func fillProcesses() throws -> RunResult {
    guard Engine.sharesBetweenProcesses else {
      throw NotApplicable("one process at a time may open a database of \(Engine.name)")
    }
    try clearDirectory()
    let fill = Fill(specification, .random)
    let harness = try harnessNanoseconds(fill)
    // The first to come makes the database; the others find it.
    let maker = try Engine(directory: specification.directory, specification: specification)
    var result = RunResult(engine: maker.identity, specification: specification)
    try maker.close()

    let children = try (0..<specification.threads).map { index in
      try ChildProcess(["fill-process", "\(index)", specification.json])
    }
    for child in children { _ = try child.expect("ready") }
    let device = DeviceUsage.current(of: specification.directory)
    let begin = Clock.nanoseconds()
    for child in children { try child.send("go") }
    try follow(children)
    try children[0].send("settle")
    _ = try children[0].expect("settled")
    result.settledSeconds = Clock.seconds(from: begin, to: Clock.nanoseconds())
    let settled = DeviceUsage.current(of: specification.directory)
    result.deviceBytesRead = settled.bytesRead - device.bytesRead
    result.deviceBytesWritten = settled.bytesWritten - device.bytesWritten
    for child in children { try child.send("report") }
    let shares = try children.map { try ProcessShare(json: $0.expect("result")) }
    guard children.allSatisfy({ $0.wait() == .exit(0) }) else { throw BenchError("fill-processes: a process failed") }

    ProcessShare.sum(shares, since: begin, &result)
    result.extra["processes"] = Double(children.count)
    result.liveBytes = fill.liveBytes(after: result.operations)
    result.diskBytes = DirectorySize.allocatedBytes(specification.directory)
    result.harnessNanoseconds = UInt64(harness * Double(result.operations))
    return result
  }

  /// Passes on how far the children are, until all have done their share.
  private func follow(_ children: [ChildProcess]) throws {
    let counts = Mutex([UInt64](repeating: 0, count: children.count))
    let progress = progress
    try Threads.run(children.count) { index in
      while true {
        guard let line = children[index].receive() else { throw BenchError("fill-processes: a process failed") }
        if line == "done" { return }
        guard line.hasPrefix("progress "), let count = UInt64(line.dropFirst(9)) else { continue }
        progress(
          counts.withLock { counts in
            counts[index] = count
            return counts.reduce(0, +)
          })
      }
    }
  }
}

/// What one of the processes has measured of itself.
struct ProcessShare: Codable {
  var result: RunResult
  var histogram: Histogram<UInt64>
  /// By the monotonic clock, which all processes share.
  var endNanoseconds: UInt64

  init(_ result: RunResult, _ histogram: Histogram<UInt64>, end: UInt64) {
    self.result = result
    self.histogram = histogram
    endNanoseconds = end
  }

  init(json: String) throws { self = try JSONDecoder().decode(ProcessShare.self, from: Data(json.utf8)) }

  /// Adds all up in `result`. They began together, at `begin`.
  static func sum(_ shares: [ProcessShare], since begin: UInt64, _ result: inout RunResult) {
    guard var histogram = shares.first?.histogram else { return }
    for share in shares.dropFirst() { histogram.add(share.histogram) }
    result.latency = RunResult.Latency(histogram)
    result.seconds = Clock.seconds(from: begin, to: shares.map(\.endNanoseconds).max() ?? begin)
    for share in shares.map(\.result) {
      result.operations += share.operations
      result.payloadBytes += share.payloadBytes
      result.stalledSeconds += share.stalledSeconds
      result.processorNanoseconds += share.processorNanoseconds
      result.settledProcessorNanoseconds += share.settledProcessorNanoseconds
      result.systemNanoseconds += share.systemNanoseconds
      result.peakMemoryBytes += share.peakMemoryBytes
      result.processBytesWritten += share.processBytesWritten
      result.processBytesRead += share.processBytesRead
      add(share.timeline, to: &result.timeline)
    }
    result.extra.merge(shares[0].result.extra) { own, _ in own }
  }

  /// Point by point: each process looks once a second, and they began together.
  private static func add(_ points: [RunResult.TimelinePoint], to timeline: inout [RunResult.TimelinePoint]) {
    for (index, point) in points.enumerated() {
      guard index < timeline.count else {
        timeline.append(point)
        continue
      }
      timeline[index].second = max(timeline[index].second, point.second)
      timeline[index].operations += point.operations
      timeline[index].processorNanoseconds += point.processorNanoseconds
      timeline[index].bytesWritten += point.bytesWritten
      timeline[index].residentBytes += point.residentBytes
    }
  }
}

/// One of the processes: waits for a word before each step, so that all begin together and none leaves early.
struct FillProcess: ParsableCommand, EngineVisitor {
  static let configuration = CommandConfiguration(
    commandName: "fill-process", abstract: "One of several that write: what `fill-processes` starts.",
    shouldDisplay: false)

  @Argument(help: "Its number, from 0.") var index: Int
  @Argument(help: "The specification, as JSON.") var specification: String

  func run() throws { try EngineCatalogue.visit(RunSpecification(json: specification).engine, self) }

  func visit<Engine: KeyValueEngine>(_ type: Engine.Type) throws {
    let specification = try RunSpecification(json: specification)
    let engine = try Engine(directory: specification.directory, specification: specification)
    let driver = RunDriver<Engine>(specification: specification) { _ in }
    var session: Engine.Session? = try engine.makeSession()
    let counter = OperationCounter()
    var worker = Worker(
      index: index, of: specification.threads, specification, progress: counter, deadline: .max, over: StopSign())
    ParentProcess.send("ready")
    guard readLine() == "go" else { throw BenchError("fill-process: told nothing") }

    let begin = RunDriver<Engine>.Beginning(specification, [counter]) { ParentProcess.send("progress \($0)") }
    let deadline = specification.seconds.map { begin.usage.nanoseconds + UInt64($0 * 1e9) } ?? .max
    worker.recorder = LatencyRecorder(progress: counter, deadline: deadline)
    try Fill(specification, .random).work(session!, &worker)
    let end = ProcessUsage.current()
    session = nil
    ParentProcess.send("done")
    while let word = readLine() {
      switch word {
      case "settle":
        try engine.settle()
        FileSystem.sync(specification.directory)
        ParentProcess.send("settled")
      case "report":
        var result = RunResult(engine: .init(name: Engine.name, version: ""), specification: specification)
        driver.note(settled: .current(), .current(of: specification.directory), since: begin, &result)
        result.processorNanoseconds = end.processorNanoseconds - begin.usage.processorNanoseconds
        result.operations = worker.recorder.operations
        result.payloadBytes = worker.recorder.payloadBytes
        result.stalledSeconds = Double(worker.recorder.stalledNanoseconds) / 1e9
        for (name, value) in engine.internals { result.extra["engine." + name] = value }
        let share = ProcessShare(result, worker.recorder.histogram, end: end.nanoseconds)
        ParentProcess.send("result " + String(decoding: try JSONEncoder().encode(share), as: UTF8.self))
      default: throw BenchError("fill-process: told \(word)")
      }
    }
    try engine.close()
  }
}
