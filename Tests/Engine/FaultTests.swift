import Foundation
import Synchronization
import Testing

@testable import Siltstone

/// Devices that fail and disks that fill up: what was acknowledged stays, what fails says so, and what can pass does.
@Suite struct FaultTests {
  static func options(_ change: (inout Options) -> Void = { _ in }) -> Options {
    var options = Options.small()
    change(&options)
    return options
  }

  /// Tries for up to ten seconds.
  static func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<2_000 {
      if try condition() { return true }
      usleep(5_000)
    }
    return false
  }

  static func code(_ body: () throws(SiltstoneError) -> Void) -> SiltstoneError.Code? {
    do throws(SiltstoneError) { try body() } catch { return error.code }
    return nil
  }

  @Test(arguments: [FaultStorage.Call.write, .sync])
  func aFailedLogWriteEndsWritingUntilReopened(call: FaultStorage.Call) throws {
    let disk = CrashDisk()
    let storage = FaultStorage(disk)
    let engine = try Engine.open("", .small(), on: storage)
    for number in 0..<50 { try engine.put("staged\(number)", "1", .staged) }
    try engine.put("synced", "1", .synced)
    for number in 50..<100 { try engine.put("staged\(number)", "1", .staged) }
    storage.inject(.init(call: call, nameSuffix: ".log", after: 0, isSticky: false, error: FaultStorage.ioError("log")))
    let first = Self.code { () throws(SiltstoneError) in try engine.put("lost?", "1", .synced) }
    #expect(first == .inputOutput || first == .readOnly)  // the latter if the background was the first to meet it
    for durability in [Durability.staged, .synced] {
      #expect(Self.code { () throws(SiltstoneError) in try engine.put("more", "1", durability) } == .readOnly)
    }
    #expect(try engine.text("synced") == "1" && engine.text("staged99") == "1")
    #expect(try engine.text("more") == nil)
    try? engine.close()
    let again = try Engine.open("", .small(), on: disk)
    #expect(try again.text("synced") == "1")
    for number in 0..<100 { #expect(try again.text("staged\(number)") == "1") }
    #expect(try again.text("more") == nil)
    try again.put("more", "2", .synced)
    // What had to be written again is: after this sync no power cut takes any of it.
    let left = disk.crashed(.power(keep: { _, _, _ in 0 }, journal: { _ in 0 }))
    try again.close()
    let last = try Engine.open("", .small(), on: left)
    for number in 0..<100 { #expect(try last.text("staged\(number)") == "1") }
    #expect(try last.text("more") == "2")
    try last.close()
  }

  /// The sync says no, and the device has dropped what it was to sync.
  @Test func aFailedSyncMayHaveLostWhatWasWritten() throws {
    let disk = CrashDisk()
    let storage = FaultStorage(disk)
    let engine = try Engine.open("", .small(), on: storage)
    try engine.put("synced", "1", .synced)
    for number in 0..<20 { try engine.put("staged\(number)", "1", .staged) }
    try engine.drainer.waitDrained(engine.shared.reserved)
    storage.inject(.init(call: .sync, nameSuffix: ".log", after: 0, isSticky: true, error: FaultStorage.ioError("log")))
    #expect(Self.code { () throws(SiltstoneError) in try engine.sync() } != nil)
    // The process dies, and the log file is found as it was at the last sync.
    let left = disk.crashed(.process)
    let cut = disk.crashed(.power(keep: { _, _, _ in 0 }, journal: { _ in 0 }))
    left.setContents(LogSegment.fileName(0), cut.contents(LogSegment.fileName(0)))
    try? engine.close()
    let again = try Engine.open("", .small(), on: left)
    #expect(try again.text("synced") == "1")
    for number in 0..<20 { #expect(try again.text("staged\(number)") == "1") }
    try again.close()
  }

  /// A full disk, from the first moment at which anything is to grow, to the moment when space returns.
  @Test func aFullDiskIsAStateThatPasses() throws {
    let disk = CrashDisk()
    let storage = FaultStorage(disk)
    let engine = try Engine.open("", .small(), on: storage)
    let value = String(repeating: "v", count: 1_000)
    var acknowledged = 0
    for _ in 0..<100 {
      try engine.put("key\(acknowledged)", value)
      acknowledged += 1
    }
    for round in 0..<3 {
      storage.diskIsFull = true
      var refusals = 0
      let begin = ContinuousClock.now
      while refusals < 5 {
        switch Self.code({ () throws(SiltstoneError) in try engine.put("key\(acknowledged)", value) }) {
        case nil: acknowledged += 1
        case .diskFull: refusals += 1
        case let other:
          Issue.record("round \(round): \(String(describing: other))")
          return
        }
        #expect(ContinuousClock.now - begin < .seconds(20), "writers hang")
      }
      for number in stride(from: 0, to: acknowledged, by: 17) { #expect(try engine.text("key\(number)") == value) }
      #expect(Self.code { () throws(SiltstoneError) in try engine.flush() } == .diskFull)
      storage.diskIsFull = false
      let resumed = Self.eventually {
        Self.code { () throws(SiltstoneError) in try engine.put("key\(acknowledged)", value) } == nil
      }
      #expect(resumed)
      acknowledged += 1
      #expect(Self.eventually { Self.code { () throws(SiltstoneError) in try engine.flush() } == nil })
    }
    #expect(storage.hits > 5)
    try engine.close()
    let again = try Engine.open("", .small(), on: disk)
    for number in 0..<acknowledged { #expect(try again.text("key\(number)") == value) }
    #expect(try again.verify { _ in }.problems.isEmpty)
    try again.close()
  }

  /// Each place where a background job can fail, for a while: it is tried again, and leaves nothing behind.
  @Test(arguments: [
    (FaultStorage.Call.create, ".sst"), (.write, ".sst"), (.sync, ".sst"), (.create, "MANIFEST-000002"),
    (.write, "MANIFEST-000002"), (.sync, "MANIFEST-000002"), (.rename, "CURRENT"), (.write, "CURRENT.new"),
    (.syncDirectory, ""), (.remove, ".log"), (.rename, ".log"), (.read, ".sst"), (.remove, ".sst"),
  ])
  func failedJobsAreTriedAgain(call: FaultStorage.Call, suffix: String) throws {
    let disk = CrashDisk()
    let storage = FaultStorage(disk)
    try Engine.open("", .small(), on: storage).close()
    let engine = try Engine.open("", .small(), on: storage)  // its first edit begins a second manifest
    let fault = FaultStorage.Fault(
      call: call, nameSuffix: suffix, after: 0, isSticky: true, error: FaultStorage.ioError(suffix))
    storage.inject(fault)
    let value = String(repeating: "v", count: 1_000)
    var acknowledged = 0
    for _ in 0..<150 {
      if Self.code({ () throws(SiltstoneError) in try engine.put("key\(acknowledged)", value) }) == nil {
        acknowledged += 1
      }
    }
    #expect(acknowledged > 50)
    _ = Self.code { () throws(SiltstoneError) in try engine.flush() }
    if suffix.hasPrefix("MANIFEST") { usleep(450_000) }  // long enough to fail again and again
    let tables = try disk.list().filter { TableFile.number($0) != nil }.count
    #expect(tables < 12, "failed flushes pile up tables")
    storage.clear()
    #expect(Self.eventually { Self.code { () throws(SiltstoneError) in try engine.flush() } == nil })
    #expect(Self.eventually { Self.code { () throws(SiltstoneError) in try engine.compact(.all) } == nil })
    if suffix != ".log" && call != .remove { #expect(storage.hits > 0) }
    for number in 0..<acknowledged { #expect(try engine.text("key\(number)") == value) }
    #expect(try engine.verify { _ in }.problems.isEmpty)
    try engine.close()
    let again = try Engine.open("", .small(), on: disk)
    for number in 0..<acknowledged { #expect(try again.text("key\(number)") == value) }
    try again.close()
  }

  /// Who waits for a job that cannot be installed is told so; and closing does not wait for the disk to get well.
  @Test func waitersAreToldWhyAndClosingDoesNotHang() throws {
    let disk = CrashDisk()
    let storage = FaultStorage(disk)
    let engine = try Engine.open("", .small(), on: storage)
    for round in 0..<3 {
      for number in 0..<50 { try engine.put("key\(number)", "\(round)") }
      try engine.flush()
    }
    storage.inject(
      .init(call: .sync, nameSuffix: "", after: 0, isSticky: true, error: SiltstoneError(.diskFull, "injected")))
    #expect(Self.code { () throws(SiltstoneError) in try engine.compact(.all) } == .diskFull)
    let begin = ContinuousClock.now
    try? engine.close()
    #expect(ContinuousClock.now - begin < .seconds(5))
    let again = try Engine.open("", .small(), on: disk)
    for number in 0..<50 { #expect(try again.text("key\(number)") == "2") }
    try again.compact(.all)
    try again.close()
  }

  @Test func readErrorsAreTypedAndPass() throws {
    let disk = CrashDisk()
    let storage = FaultStorage(disk)
    let engine = try Engine.open("", Self.options { $0.memoryBudgetBytes = 2 << 20 }, on: storage)
    for number in 0..<100 { try engine.put("key\(number)", "value\(number)") }
    try engine.flush()
    storage.inject(.init(call: .read, nameSuffix: ".sst", after: 0, isSticky: true, error: FaultStorage.ioError("t")))
    #expect(throws: SiltstoneError.self) { _ = try engine.text("key7") }
    #expect(throws: SiltstoneError.self) {
      try engine.scan(.all, at: nil, reverse: false) { (_, _) throws(SiltstoneError) in true }
    }
    try engine.put("new", "1", .synced)
    storage.clear()
    for number in 0..<100 { #expect(try engine.text("key\(number)") == "value\(number)") }
    try engine.close()
  }

  /// One failure, at each call of each kind that a short life makes; then the disk is well again.
  @Test(arguments: [
    FaultStorage.Call.create, .write, .sync, .rename, .remove, .read, .syncDirectory, .preallocate,
  ])
  func oneFailureAnywhereLosesNothing(call: FaultStorage.Call) throws {
    var index = 0
    while true {
      let disk = CrashDisk()
      let storage = FaultStorage(disk)
      storage.inject(.init(call: call, nameSuffix: "", after: index, isSticky: false, error: FaultStorage.ioError("?")))
      let acknowledged = Self.shortLife(storage)
      let view = try FrozenView(of: disk, "\(call) \(index)")
      let engine = try Engine.open("", .small(), on: disk)
      try view.expectSame(as: engine, "\(call) \(index)")
      for (key, value) in acknowledged { #expect(try engine.text(key) == value, "\(call) \(index): \(key)") }
      let problems = try engine.verify { _ in }.problems
      #expect(problems.isEmpty, "\(call) \(index): \(problems)")
      try engine.put("end", "1", .synced)
      try engine.close()
      if storage.hits == 0 { break }  // fewer such calls than this
      index += index < 20 ? 1 : 11
    }
    #expect(index > 0)
  }

  /// A log that only fits into tables can be read where there is no space for them.
  @Test func aFullDiskKeepsNobodyFromReading() throws {
    let disk = CrashDisk()
    let writer = try Engine.open("", Self.options { $0.memtableBytes = 1 << 20 }, on: disk)
    for number in 0..<400 { try writer.put("key\(number)", String(repeating: "v", count: 1_000)) }
    let left = disk.crashed(.process)
    try writer.close()
    let storage = FaultStorage(left)
    storage.diskIsFull = true
    #expect(Self.code { () throws(SiltstoneError) in _ = try Engine.open("", .small(), on: storage) } == .diskFull)
    let reader = try Engine.open("", Self.options { $0.sharing = .readOnly }, on: storage)
    for number in 0..<400 { #expect(try reader.text("key\(number)")?.count == 1_000) }
    try reader.close()
  }

  /// Writes, flushes, compacts, closes and opens again, whatever fails, and returns what was acknowledged.
  static func shortLife(_ storage: FaultStorage) -> [String: String] {
    var acknowledged: [String: String] = [:]
    for life in 0..<2 {
      guard let engine = try? Engine.open("", .small(), on: storage) else { continue }
      for number in 0..<40 {
        let (key, value) = ("key\(number % 30)", "\(life)-\(number)-" + String(repeating: "v", count: 1_500))
        acknowledged[key] = nil  // if this fails, either value is right
        let failed = code { () throws(SiltstoneError) in try engine.put(key, value, number % 9 == 0 ? .synced : .staged)
        }
        if failed == nil { acknowledged[key] = value }
        if number % 15 == 14 { _ = code { () throws(SiltstoneError) in try engine.flush() } }
      }
      _ = code { () throws(SiltstoneError) in try engine.compact(.all) }
      _ = code { () throws(SiltstoneError) in try engine.close() }
    }
    return acknowledged
  }
}
