import CSupport
import Foundation
import Testing

@testable import Siltstone

@Suite struct LogReaderTests {
  static let database = DatabaseID(high: 5, low: 6)
  static let segmentBytes: UInt64 = 8192
  static let ringBytes: UInt64 = 1 << 16
  let directory = TemporaryDirectory()

  struct Whole: Equatable {
    var position: LogPosition
    var payload: [UInt8]
  }

  /// Records of the given lengths, one after another from position 0, and the log's bytes.
  static func log(_ lengths: [Int]) -> (records: [Whole], bytes: [UInt8]) {
    var random = SeededGenerator(seed: 1)
    var log = ByteBuffer()
    var records: [Whole] = []
    for length in lengths {
      let payload = random.bytes(length: length...length)
      let position = UInt64(log.count)
      let header = RecordFraming.Header(
        payloadBytes: length, entryCount: 1, continues: false,
        payloadChecksum: csup_crc32c(0, payload, length))
      RecordFraming.encode(header, position: position, at: log.appendUninitialized(RecordFraming.headerBytes))
      payload.withView { log.append($0) }
      records.append(Whole(position: position, payload: payload))
    }
    return (records, log.view.copied())
  }

  /// Writes the log's first bytes into segment files, the rest of the last one zeros.
  func store(_ bytes: [UInt8]) throws {
    for number in 0...(UInt64(bytes.count) / Self.segmentBytes) {
      var file = [UInt8](repeating: 0, count: LogSegment.headerBytes)
      file.withUnsafeMutableBytes {
        LogSegment.encodeHeader($0, database: Self.database, number: number, segmentBytes: Self.segmentBytes)
      }
      let begin = Int(number * Self.segmentBytes)
      var content = Array(bytes[begin..<min(bytes.count, begin + Int(Self.segmentBytes))])
      content += [UInt8](repeating: 0, count: Int(Self.segmentBytes) - content.count)
      try Data(file + content).write(to: URL(fileURLWithPath: directory.file(LogSegment.fileName(number))))
    }
  }

  func read(
    from start: LogPosition = 0, ring: (SharedState, LogPosition, LogPosition)? = nil
  ) throws -> (records: [Whole], end: LogPosition) {
    let storage = try DiskStorage(path: directory.path, create: false, backend: .plain)
    var reader = LogReader(
      storage: storage, database: Self.database, segmentBytes: Self.segmentBytes, from: start, ring: ring)
    var records: [Whole] = []
    while let record = try reader.next() {
      records.append(Whole(position: record.position, payload: record.payload.copied()))
    }
    return (records, reader.position)
  }

  static let lengths = [0, 1, 100, 5000, 4000, 16, 20_000, 3, 700, 8176, 8192, 50]

  @Test func recordsCrossSegments() throws {
    let (records, bytes) = Self.log(Self.lengths)
    try store(bytes)
    let found = try read()
    #expect(found.records == records && found.end == UInt64(bytes.count))
    for (index, record) in records.enumerated() {
      #expect(try read(from: record.position).records == Array(records[index...]))
    }
  }

  @Test func aRecordLargerThanTheReadAheadIsPutTogether() throws {
    let (records, bytes) = Self.log([10, 700_000, 10])
    try store(bytes)
    #expect(try read().records == records)
  }

  @Test func theRingHoldsWhatTheFilesDoNot() throws {
    let (records, bytes) = Self.log(Self.lengths)
    let storage = try DiskStorage(path: directory.path, create: false, backend: .plain)
    let (shared, _) = try SharedState.attach(storage: storage, database: Self.database, ringBytes: Self.ringBytes)
    csup_ring_write(shared.ring, shared.ringBytes, 0, bytes, bytes.count)
    // The files end anywhere, in the middle of records and of blocks.
    for drained in stride(from: 0, through: bytes.count, by: 1777) {
      try store(Array(bytes[..<drained]))
      let found = try read(ring: (shared, UInt64(drained), UInt64(bytes.count)))
      #expect(found.records == records && found.end == UInt64(bytes.count), "drained to \(drained)")
    }
    // Never past what was reserved, whatever bytes lie there.
    let last = try #require(records.last)
    #expect(try read(ring: (shared, 0, last.position)).records == Array(records.dropLast()))
    #expect(try read(ring: (shared, 0, UInt64(bytes.count) - 1)).end == last.position)
  }

  @Test func theRingIsReadAroundItsEnd() throws {
    let storage = try DiskStorage(path: directory.path, create: false, backend: .plain)
    let (shared, _) = try SharedState.attach(storage: storage, database: Self.database, ringBytes: Self.ringBytes)
    let (records, bytes) = Self.log(Array(repeating: 3000, count: 40))  // nearly twice the ring
    let first = try #require(records.first { UInt64(bytes.count) - $0.position <= Self.ringBytes })
    let tail = Array(bytes[Int(first.position)...])
    csup_ring_write(shared.ring, shared.ringBytes, first.position, tail, tail.count)
    let found = try read(from: first.position, ring: (shared, first.position, UInt64(bytes.count)))
    #expect(found.records == records.filter { $0.position >= first.position })
  }

  @Test func anyFlippedByteEndsTheLogBeforeItsRecord() throws {
    let (records, bytes) = Self.log([30, 0, 90, 60])
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 0x20
      try store(damaged)
      let intact = records.prefix { Int($0.position) + RecordFraming.headerBytes + $0.payload.count <= index }
      #expect(try read().records == Array(intact), "byte \(index)")
    }
  }

  @Test func bytesOfAnotherPositionNeverVerify() throws {
    // A recycled segment: what stood at 0 stands at the same place of segment 1.
    let (_, bytes) = Self.log([100, 100])
    try store([UInt8](repeating: 0, count: Int(Self.segmentBytes)) + bytes)
    #expect(try read(from: Self.segmentBytes).records.isEmpty)
  }

  @Test func aMissingOrUnfinishedSegmentEndsTheLog() throws {
    let (records, bytes) = Self.log([5000, 5000, 5000])
    let second = directory.file(LogSegment.fileName(1))
    try store(bytes)
    try FileManager.default.removeItem(atPath: second)
    #expect(try read().records == [records[0]])
    for length in [0, 100, LogSegment.headerBytes] {
      try Data(count: length).write(to: URL(fileURLWithPath: second))
      #expect(try read().records == [records[0]], "\(length) zeros")
    }
  }
}
