import Foundation
import Testing

@testable import Siltstone

/// How much of the log stands behind a memtable of pointers, and who pays for moving values.
@Suite struct LargeValueSpanTests {
  let directory = TemporaryDirectory()

  /// Values of which a memtable holds next to nothing still have to be replayed, and so it is sealed in time.
  @Test func aMemtableStandsForABoundedStretchOfTheLog() throws {
    let database = try Database.open(directory.path, options: .small())
    let bound = 8 * UInt64(Options.small().memtableBytes)
    for number in 0..<400 {
      try database.put(LargeValueTests.key(number), LargeValueTests.value(number, 0, size: 9_000))
      let view = database.engine.view.peek()
      #expect(database.engine.shared.reserved - view.active.firstPosition <= bound + 10_000)
    }
    #expect(database.metrics.bytesWritten > 6 * bound && database.metrics.flushes >= 4)
    try database.close()
  }

  /// A moved value belongs to no memtable, but to the log all the same.
  @Test func movedValuesAreNoWritesOfTheUser() throws {
    let database = try Database.open(directory.path, options: .small())
    try database.put("a", LargeValueTests.value(1, 0, size: 8_000))
    let before = database.metrics
    let engine = database.engine
    let value = LargeValueTests.value(2, 0, size: 40_000)
    let pointer = try #require(
      try value.withView { (view) throws(SiltstoneError) in
        try engine.pipeline.move(view, checksum: RecordChecksums(view, recordBytes: 1 << 20)[0])
      })
    #expect(pointer.length == value.count && pointer.firstCut > 0, "it is longer than a record of this ring")
    #expect(engine.shared.valuesEnd == pointer.end && engine.shared.reserved == pointer.end)
    var encoded = ByteBuffer()
    encoded.append(upTo: ValuePointer.maxEncodedBytes) { pointer.store(at: $0) }
    #expect(try engine.values.value(encoded.view).bytes.copied() == value)
    let after = database.metrics
    #expect(after.entriesWritten == before.entriesWritten && after.bytesWritten == before.bytesWritten)
    #expect(after.batchesWritten == before.batchesWritten)
    try database.close()
    let again = try Database.open(directory.path, options: .small())
    #expect(try again.get("a") == LargeValueTests.value(1, 0, size: 8_000), "replay passes over it")
    #expect(try again.verify().problems.isEmpty)
    try again.close()
  }

  /// Among small entries the log is no place for values, and so none are moved to its end.
  @Test func whereTheLogIsSmallEntriesNothingIsMovedThere() throws {
    let database = try Database.open(directory.path, options: .small())
    for number in 0..<3_000 { try database.put("small\(number)", String(repeating: "s", count: 100)) }
    let value = LargeValueTests.value(2, 0, size: 5_000)
    let pointer = try value.withView { (view) throws(SiltstoneError) in
      try database.engine.pipeline.move(view, checksum: 0)
    }
    #expect(pointer == nil)
    try database.close()
  }

  /// Many at once, whose reads overlap, and one of them damaged.
  @Test func aDamagedValueAmongManyIsNamed() throws {
    let database = try Database.open(directory.path, options: .small())
    for number in 0..<100 {
      try database.put(LargeValueTests.key(number), LargeValueTests.value(number, 0, size: 20_000))
    }
    try database.flush()
    try database.close()
    let again = try Database.open(directory.path, options: .small())
    let keys = (0..<100).map(LargeValueTests.key)
    #expect(try again.multiGet(keys) == (0..<100).map { LargeValueTests.value($0, 0, size: 20_000) })
    try again.close()
    let name = directory.file(LogSegment.fileName(2))
    var bytes = try Data(contentsOf: URL(fileURLWithPath: name))
    bytes[30_000] ^= 1
    try bytes.write(to: URL(fileURLWithPath: name))
    let damaged = try Database.open(directory.path, options: .small())
    do throws(SiltstoneError) {
      _ = try damaged.multiGet(keys)
      Issue.record("the damage went unnoticed")
    } catch {
      #expect(error.code == .corruption && (error.file == "000001.log" || error.file == "000002.log"), "\(error)")
    }
    try damaged.close()
  }

  /// While many values are moved, many memtables are filled and flushed; they are used again meanwhile.
  @Test func aLongMoveHoldsNoMemtable() throws {
    var options = Options.small()
    options.logSegmentBytes = 256 << 10
    let database = try Database.open(directory.path, options: options)
    let count = 1_600
    for number in 0..<count {
      try database.put(LargeValueTests.key(number), LargeValueTests.value(number, 0, size: 20_000))
    }
    for number in 0..<count where number % 4 != 0 { try database.delete(LargeValueTests.key(number)) }
    try database.compact()
    var arenas = 0
    for _ in 0..<20_000 {
      arenas = max(arenas, database.engine.arenas.totalBytes / options.memtableBytes)
      if database.engine.scheduler.running.isEmpty, database.metrics.valueBytesMoved > 0 { break }
      usleep(500)
    }
    try database.waitForCompaction()
    #expect(database.metrics.valueBytesMoved > 4_000_000)
    #expect(arenas <= 10, "\(arenas)")
    #expect(database.engine.shared.words.movedFloor.pointee == 0)
    for number in stride(from: 0, to: count, by: 4) {
      #expect(
        try database.get(LargeValueTests.key(number)) == LargeValueTests.value(number, 0, size: 20_000), "\(number)")
    }
    try database.close()
  }
}
