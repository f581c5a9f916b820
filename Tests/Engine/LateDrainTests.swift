import Synchronization
import Testing

@testable import Siltstone

/// Most of the log is never written: what that saves, and what must be there all the same.
@Suite struct LateDrainTests {
  static let value = String(repeating: "v", count: 1_000)

  /// A ring that holds several memtables.
  static var options: Options {
    var options = Options.small()
    options.ringBytes = 1 << 20
    return options
  }

  /// Whether a log file holds anything behind its header.
  static func isWritten(_ disk: CrashDisk, _ name: String) -> Bool {
    disk.contents(name)?.dropFirst(LogSegment.headerBytes).contains { $0 != 0 } ?? false
  }

  static var nothing: CrashDisk.Loss { .power(keep: { _, _, _ in 0 }, journal: { _ in 0 }) }

  /// A database on a disk whose clock stands still until somebody moves it.
  static func open() throws -> (disk: CrashDisk, storage: FaultStorage, engine: Engine) {
    let disk = CrashDisk()
    let storage = FaultStorage(disk)
    storage.clock.withLock { $0 = 1 << 40 }
    return (disk, storage, try Engine.open("", options, on: storage))
  }

  /// Time stands still, so nothing gets old; and what was flushed is durable.
  @Test func whatIsFlushedInTimeIsNotWrittenToTheLog() throws {
    let (disk, _, engine) = try Self.open()
    for round in 0..<50 {
      for number in 0..<50 { try engine.put("\(round)/\(number)", Self.value) }
      try engine.flush()
    }
    #expect(engine.shared.reserved > 50 * 50 * 1_000)
    #expect(engine.drainer.totalBytesWritten == 0)
    for name in try disk.list() where LogSegment.number(fromFileName: name) != nil {
      #expect(!Self.isWritten(disk, name))
    }
    #expect(FaultTests.eventually { engine.shared.durable == engine.shared.reserved })
    let left = disk.crashed(Self.nothing)
    try engine.close()
    let again = try Engine.open("", Self.options, on: left)
    for round in 0..<50 { #expect(try again.text("\(round)/\(round)") == Self.value) }
    // The log goes on behind what was never written.
    try again.put("after", "1", .synced)
    let cut = left.crashed(Self.nothing)
    try again.close()
    let last = try Engine.open("", Self.options, on: cut)
    #expect(try last.text("after") == "1" && last.text("49/49") == Self.value)
    #expect(try last.verify { _ in }.problems.isEmpty)
    try last.close()
  }

  /// Nobody asks for it, and time passes.
  @Test func aStagedWriteBecomesDurableByItself() throws {
    let (disk, storage, engine) = try Self.open()
    try engine.put("key", "1")
    let end = engine.shared.reserved
    #expect(engine.shared.durable < end)
    #expect(
      FaultTests.eventually {
        storage.clock.withLock { $0 = ($0 ?? 0) + 20_000_000 }
        return engine.shared.durable == end
      })
    let left = disk.crashed(Self.nothing)
    try engine.close()
    let again = try Engine.open("", Self.options, on: left)
    #expect(try again.text("key") == "1")
    try again.close()
  }

  /// Space for what is in the ring was found when it was put: a disk that fills up later keeps nothing from the log.
  @Test func aFullDiskIsFoundAtThePut() throws {
    let disk = CrashDisk()
    let storage = FaultStorage(disk)
    storage.clock.withLock { $0 = 1 << 40 }
    var options = Self.options
    options.memtableBytes = 1 << 20
    let engine = try Engine.open("", options, on: storage)
    var count = 0
    while engine.shared.reserved < 300 << 10 {
      try engine.put("key\(count)", Self.value)
      count += 1
    }
    storage.diskIsFull = true
    while FaultTests.code({ () throws(SiltstoneError) in try engine.put("key\(count)", Self.value) }) == nil {
      count += 1
    }
    #expect(engine.drainer.totalBytesWritten == 0)
    try engine.sync()
    let left = disk.crashed(Self.nothing)
    storage.diskIsFull = false
    try engine.close()
    let again = try Engine.open("", options, on: left)
    for number in 0..<count { #expect(try again.text("key\(number)") == Self.value) }
    try again.close()
  }

  /// The files may end in the middle of a record, whose rest is in the ring.
  @Test func aDrainMayEndAnywhere() throws {
    let (disk, _, engine) = try Self.open()
    for number in 0..<20 {
      try engine.put("key\(number)", Self.value)
      try engine.drainer.waitDrained(engine.shared.reserved - 10)
      #expect(try engine.verify { _ in }.problems.isEmpty)
      let again = try Engine.open("", Self.options, on: disk.crashed(.process))
      #expect(try again.text("key\(number)") == Self.value)
      try again.close()
    }
    try engine.sync()
    #expect(engine.shared.durable == engine.shared.reserved)
    let left = disk.crashed(Self.nothing)
    try engine.close()
    let again = try Engine.open("", Self.options, on: left)
    for number in 0..<20 { #expect(try again.text("key\(number)") == Self.value) }
    try again.close()
  }

  /// A process dies with an edit written and not synced. Who recovers takes it for done, and gives up the log before
  /// it: so it must be durable by then.
  @Test func anEditThatRecoveryFoundOutlivesAPowerCut() throws {
    let disk = CrashDisk()
    let storage = FaultStorage(disk)
    let engine = try Engine.open("", Self.options, on: storage)
    try engine.put("first", Self.value)
    try engine.flush()
    for number in 0..<30 { try engine.put("key\(number)", Self.value) }
    let manifest = try #require(try disk.list().first { $0.hasPrefix("MANIFEST") })
    storage.inject(.init(call: .sync, nameSuffix: manifest, after: 0, isSticky: true, error: FaultStorage.ioError("x")))
    #expect(throws: SiltstoneError.self) { try engine.flush() }
    let left = disk.crashed(.process)
    try? engine.close()
    let again = try Engine.open("", Self.options, on: left)
    try again.put("after", "1", .synced)
    let cut = left.crashed(Self.nothing)
    try again.close()
    let last = try Engine.open("", Self.options, on: cut)
    for number in 0..<30 { #expect(try last.text("key\(number)") == Self.value) }
    #expect(try last.text("after") == "1")
    try last.close()
  }
}
