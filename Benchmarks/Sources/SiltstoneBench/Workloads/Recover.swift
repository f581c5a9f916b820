import ArgumentParser
import Foundation

/// `recover`: a process fills the log, with memtables so large that nothing is flushed, and dies by SIGKILL; what is
/// measured is how long it takes to open the database until the first get succeeds, and whether everything that was
/// acknowledged is there. The log is in the page cache then: this is the death of a process, not of the machine.
enum Recovery {
  static let batch = 1_000

  /// The same for the process that writes and the one that opens.
  static func specification(_ specification: RunSpecification) -> RunSpecification {
    var specification = specification
    let payloadBytes = Int(specification.keys) * specification.entryBytes
    let mebibytes = (2 * payloadBytes + (1 << 20) - 1) >> 20
    specification.memtableBytes = max(specification.memtableBytes, mebibytes << 20)
    specification.durability = .staged
    return specification
  }

  /// Visits the entries in the order in which they are written, each key once, up to the `count`th.
  static func entries(
    _ specification: RunSpecification, count: UInt64,
    _ body: (_ index: UInt64, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
  ) rethrows {
    let permutation = Permutation(count: specification.keys, seed: specification.seed)
    var keys = KeyMaker(keyBytes: specification.keyBytes)
    var values = ValueMaker(
      seed: specification.seed, largest: specification.valueBytes, compressible: specification.hasCompressibleValues)
    for index in 0..<count {
      try body(index, keys.make(permutation[index]), values.make(specification.valueBytes))
    }
  }

  /// Throws if an acknowledged entry is missing or wrong: looks at the last ten batches, and at one in a hundred of
  /// all.
  static func verify<Session: EngineSession>(
    _ session: Session, _ specification: RunSpecification, acknowledged: UInt64
  ) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: specification.valueBytes, alignment: 16)
    defer { buffer.deallocate() }
    try entries(specification, count: acknowledged) { index, key, value in
      guard index % 100 == 0 || acknowledged - index <= UInt64(10 * batch) else { return }
      let count = try session.get(key, into: buffer)
      guard count == value.count, buffer.elementsEqual(value) else {
        throw BenchError(
          "\(specification.engine) LOST an acknowledged write: entry \(index) of \(acknowledged) is "
            + "\(count == nil ? "missing" : "not what was written") after kill -9 and recovery")
      }
    }
  }
}

extension RunDriver {
  func recover() throws -> RunResult {
    try clearDirectory()
    let specification = Recovery.specification(self.specification)
    let acknowledged = try fillAndDie(specification)
    var result = RunResult(engine: .init(name: Engine.name, version: ""), specification: specification)
    result.extra["recover.diskBytesBefore"] = Double(DirectorySize.allocatedBytes(specification.directory))

    let begin = Beginning(specification) { _ in }
    let engine = try Engine(directory: specification.directory, specification: specification)
    var session: Engine.Session? = try engine.makeSession()
    try firstGet(session!, specification)
    let end = ProcessUsage.current()
    result.engine = engine.identity
    result.operations = acknowledged
    result.payloadBytes = acknowledged * UInt64(specification.entryBytes)
    result.seconds = Clock.seconds(from: begin.usage.nanoseconds, to: end.nanoseconds)
    result.processorNanoseconds = end.processorNanoseconds - begin.usage.processorNanoseconds
    note(settled: end, .current(of: specification.directory), since: begin, &result)
    result.extra["recover.seconds"] = result.seconds
    result.extra["recover.megabytesPerSecond"] = result.payloadBytesPerSecond / 1e6
    try Recovery.verify(session!, specification, acknowledged: acknowledged)
    session = nil
    for (name, value) in engine.internals { result.extra["engine." + name] = value }
    try engine.close()
    result.liveBytes = acknowledged * UInt64(specification.entryBytes)
    result.diskBytes = DirectorySize.allocatedBytes(specification.directory)
    return result
  }

  /// Has another process write everything and die; returns how many entries were acknowledged to it.
  private func fillAndDie(_ specification: RunSpecification) throws -> UInt64 {
    let writer = try ChildProcess(["recover-writer", specification.json])
    var acknowledged: UInt64 = 0
    while let line = writer.receive() {
      if line.hasPrefix("acknowledged "), let count = UInt64(line.dropFirst(13)) { acknowledged = count }
      progress(acknowledged)
    }
    guard writer.wait() == .signal(SIGKILL), acknowledged > 0 else {
      throw BenchError("recover: the writing process failed")
    }
    return acknowledged
  }

  private func firstGet(_ session: Engine.Session, _ specification: RunSpecification) throws {
    try Recovery.entries(specification, count: 1) { _, key, value in
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: value.count, alignment: 16)
      defer { buffer.deallocate() }
      guard try session.get(key, into: buffer) != nil else {
        throw BenchError("\(specification.engine) LOST an acknowledged write: the first one is missing after kill -9")
      }
    }
  }
}

/// The process that `recover` lets die.
struct RecoverWriter: ParsableCommand, EngineVisitor {
  static let configuration = CommandConfiguration(
    commandName: "recover-writer", abstract: "Fills a log and dies: what `recover` starts.", shouldDisplay: false)

  @Argument(help: "The specification, as JSON.") var specification: String

  func run() throws { try EngineCatalogue.visit(RunSpecification(json: specification).engine, self) }

  func visit<Engine: KeyValueEngine>(_ type: Engine.Type) throws {
    let specification = try RunSpecification(json: specification)
    let engine = try Engine(directory: specification.directory, specification: specification)
    let session = try engine.makeSession()
    try Recovery.entries(specification, count: specification.keys) { index, key, value in
      try session.batchPut(key, value)
      guard (index + 1) % UInt64(Recovery.batch) == 0 || index + 1 == specification.keys else { return }
      try session.commitBatch()
      ParentProcess.send("acknowledged \(index + 1)")
    }
    kill(getpid(), SIGKILL)
  }
}
