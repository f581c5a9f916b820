import Foundation
import Testing

@testable import Siltstone

/// Values that stay in the log: they are written once, found again whatever happens to their keys, and their room is
/// used again when nobody needs them.
@Suite struct LargeValueTests {
  let directory = TemporaryDirectory()

  /// A value that says whose it is, of a size that goes from a little under the threshold to several records.
  static func value(_ key: Int, _ round: Int, size: Int? = nil) -> [UInt8] {
    let sizes = [4_095, 4_096, 5_000, 12_000, 16_384, 40_000, 70_000]
    let length = size ?? sizes[(key + round) % sizes.count]
    let begin = (key * 7_919 + round * 104_729) % 65_536
    return Array("\(key)/\(round)/".utf8) + noise[begin..<begin + length - 8]
  }

  private static let noise: [UInt8] = {
    var random = SeededGenerator(seed: 6)
    return random.bytes(length: 150_000...150_000)
  }()

  static func key(_ number: Int) -> [UInt8] { Array("key\(1_000 + number)".utf8) }

  static func isRight(_ database: Database, _ expected: [Int: Int]) throws -> Bool {
    for (key, round) in expected where try database.get(Self.key(key)) != value(key, round) { return false }
    return true
  }

  @Test func everyWayOfReadingFindsThem() throws {
    var database = try Database.open(directory.path, options: .small())
    for number in 0..<60 { try database.put(Self.key(number), Self.value(number, 0)) }
    let snapshot = try database.snapshot()
    for number in stride(from: 0, to: 60, by: 3) { try database.put(Self.key(number), Self.value(number, 1)) }
    try database.delete(Self.key(7))
    let expected = (0..<60).map { $0 == 7 ? nil : Self.value($0, $0 % 3 == 0 ? 1 : 0) }
    for step in 0..<4 {
      switch step {
      case 1: try database.flush()
      case 2: try database.compact()
      case 3:
        snapshot.close()
        try database.close()
        database = try Database.open(directory.path, options: .small())
      default: break
      }
      for number in 0..<60 { #expect(try database.get(Self.key(number)) == expected[number], "\(step): \(number)") }
      #expect(try database.multiGet((0..<60).map(Self.key)) == expected)
      for reverse in [false, true] {
        var values: [[UInt8]] = []
        try database.scan(reverse: reverse) { (_, value) throws(SiltstoneError) in
          values.append(ByteView(value).copied())
          return true
        }
        #expect(values == (reverse ? expected.reversed() : expected).compactMap { $0 }, "\(step), reverse \(reverse)")
      }
      if step < 3 {
        for number in 0..<60 { #expect(try snapshot.get(Self.key(number)) == Self.value(number, 0), "\(step)") }
      }
    }
    #expect(database.metrics.valueBytes > 0, "some are in the log")
    #expect(try database.verify().problems.isEmpty)
    let trace = try database.trace(Self.key(5))
    #expect(trace.value == expected[5] && "\(trace)".contains("value segment 0"), "\(trace)")
    try database.close()
  }

  @Test func theyAreWrittenOnce() throws {
    let database = try Database.open(directory.path, options: .small())
    for number in 0..<400 { try database.put(Self.key(number), Self.value(number, 0, size: 10_000)) }
    try database.compact()
    let metrics = database.metrics
    #expect(metrics.flushes >= 4 && metrics.compactions >= 1)
    #expect(metrics.flushBytesWritten + metrics.compactionBytesWritten < 400_000)
    #expect(metrics.valueBytes > 3_500_000 && metrics.garbageValueBytes < 800_000)
    try database.close()
  }

  /// Small entries keep nothing of the log, and large values among many small ones go with them.
  @Test func amongSmallEntriesTheyGoIntoTables() throws {
    let database = try Database.open(directory.path, options: .small())
    for number in 0..<6_000 {
      try database.put("small\(number)", String(repeating: "s", count: 100))
      if number % 100 == 0 { try database.put(Self.key(number), Self.value(number, 0, size: 6_000)) }
    }
    try database.flush()
    #expect(database.metrics.valueBytes < 20_000)
    for number in stride(from: 0, to: 6_000, by: 100) {
      #expect(try database.get(Self.key(number)) == Self.value(number, 0, size: 6_000))
    }
    try database.close()
  }

  // MARK: - Room

  private func logBytes() throws -> Int {
    let storage = try DiskStorage(path: directory.path, create: false)
    return try storage.list().count { LogSegment.number(fromFileName: $0) != nil } << 16
  }

  @Test func overwritingThemTakesNoMoreAndMoreRoom() throws {
    let database = try Database.open(directory.path, options: .small())
    var random = SeededGenerator(seed: 4)
    var expected: [Int: Int] = [:]
    for round in 0..<3_000 {
      let key = Int.random(in: 0..<100, using: &random)
      try database.put(Self.key(key), Self.value(key, round, size: 6_000))
      expected[key] = round
    }
    try database.flush()
    try database.waitForCompaction()
    for _ in 0..<500 where try logBytes() > 4_000_000 { usleep(10_000) }
    // 600 KB are alive, 18 MB were written.
    #expect(try logBytes() <= 4_000_000)
    for (key, round) in expected { #expect(try database.get(Self.key(key)) == Self.value(key, round, size: 6_000)) }
    #expect(try database.verify().problems.isEmpty)
    try database.close()
  }

  /// One value in eight lives on, so that no segment becomes empty by itself.
  @Test func whatIsAliveIsMovedOutOfMostlyEmptySegments() throws {
    let database = try Database.open(directory.path, options: .small())
    for round in 0..<2 {
      for number in 0..<800 where round == 0 || number % 8 != 0 {
        try database.put(Self.key(number), Self.value(number, round, size: 5_000))
      }
    }
    for number in 0..<800 where number % 8 != 0 { try database.delete(Self.key(number)) }
    try database.compact()
    for _ in 0..<1_000 where database.metrics.garbageValueBytes > 1_000_000 { usleep(10_000) }
    let metrics = database.metrics
    #expect(metrics.valueBytesMoved > 0)
    #expect(metrics.garbageValueBytes <= 1_000_000, "\(metrics.valueBytes) bytes of values")
    for number in 0..<800 {
      let expected = number % 8 == 0 ? Self.value(number, 0, size: 5_000) : nil
      #expect(try database.get(Self.key(number)) == expected)
    }
    #expect(try database.verify().problems.isEmpty)
    try database.close()
    let again = try Database.open(directory.path, options: .small())
    for number in stride(from: 0, to: 800, by: 8) {
      #expect(try again.get(Self.key(number)) == Self.value(number, 0, size: 5_000))
    }
    try again.close()
  }

  @Test func whatACursorReadsIsKept() throws {
    let database = try Database.open(directory.path, options: .small())
    for number in 0..<100 { try database.put(Self.key(number), Self.value(number, 0)) }
    var old = try database.makeCursor()
    try database.flush()
    var flushed = try database.makeCursor()
    for round in 1..<4 {
      for number in 0..<100 { try database.put(Self.key(number), Self.value(number, round)) }
      try database.compact()
    }
    for number in 0..<100 {
      if number == 0 { try old.seekToFirst() } else { try old.next() }
      if number == 0 { try flushed.seekToFirst() } else { try flushed.next() }
      #expect(ByteView(try old.value).copied() == Self.value(number, 0))
      #expect(ByteView(try flushed.value).copied() == Self.value(number, 0))
    }
    let held = try logBytes()
    _ = consume old
    _ = consume flushed
    try database.put("x", "y")
    try database.flush()
    for _ in 0..<500 where try logBytes() >= held { usleep(10_000) }
    #expect(try logBytes() < held, "and given up when the cursors are")
    try database.close()
  }

  @Test func aReadOnlyProcessReadsThemFromRingAndFiles() throws {
    let writer = try Database.open(directory.path, options: .small())
    let reader = try Database.open(directory.path, options: ReadOnlyTests.readOnly)
    for number in 0..<200 {
      try writer.put(Self.key(number), Self.value(number, 0))
      #expect(try reader.get(Self.key(number)) == Self.value(number, 0))
    }
    var cursor = try reader.makeCursor()
    try cursor.seekToFirst()
    for round in 1..<3 {
      for number in 0..<200 { try writer.put(Self.key(number), Self.value(number, round)) }
      try writer.compact()
    }
    for number in 0..<200 {
      #expect(ByteView(try cursor.value).copied() == Self.value(number, 0))
      try cursor.next()
      #expect(try reader.get(Self.key(number)) == Self.value(number, 2))
    }
    _ = consume cursor
    try reader.close()
    try writer.close()
  }
}
