import CSupport
import Foundation
import Testing

@testable import Siltstone

@Suite struct SharedStateTests {
  static let database = DatabaseID(high: 0x1122_3344_5566_7788, low: 42)
  static let ringBytes: UInt64 = 1 << 16
  let directory = TemporaryDirectory()

  func storage() throws -> DiskStorage { try DiskStorage(path: directory.path, create: false, backend: .plain) }

  func attach(
    _ database: DatabaseID = database, ringBytes: UInt64 = ringBytes
  ) throws -> (SharedState, SharedState.Remains?) {
    try SharedState.attach(storage: try storage(), database: database, ringBytes: ringBytes)
  }

  /// Leaves a SHARED of this boot behind, as a process that was killed would.
  func leaveBehind(end: LogPosition = 9000, drained: LogPosition = 5000, durable: LogPosition = 4000) throws {
    let (state, remains) = try attach()
    #expect(remains == nil)
    try state.begin(
      database: Self.database, segmentBytes: 1 << 16, end: end, drained: drained, durable: durable)
  }

  /// Changes the file's bytes. With `resealed`, the header's checksum is made to fit again.
  func change(resealed: Bool = false, _ body: (inout csup_shared) -> Void) throws {
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: directory.file("SHARED")))
    defer { try? handle.close() }
    var bytes = [UInt8](try #require(try handle.read(upToCount: MemoryLayout<csup_shared>.size)))
    bytes.withUnsafeMutableBytes { bytes in
      let header = bytes.baseAddress!.assumingMemoryBound(to: csup_shared.self)
      body(&header.pointee)
      if resealed { header.pointee.checksum = csup_crc32c(0, header, Int(CSUP_SHARED_IDENTITY_BYTES)) }
    }
    try handle.seek(toOffset: 0)
    try handle.write(contentsOf: bytes)
  }

  func attachCode(_ database: DatabaseID = database) -> SiltstoneError.Code? {
    do { _ = try attach(database) } catch { return (error as? SiltstoneError)?.code }
    return nil
  }

  @Test func whatOneLifeLeavesTheNextOneFinds() throws {
    try leaveBehind()
    let remains = try #require(try attach().1)
    #expect(remains.reserved == 9000 && remains.drained == 5000 && remains.durable == 4000)
    #expect(remains.ringIsLive && !remains.clean && !remains.failed)
  }

  @Test func anOrderlyEndIsRemembered() throws {
    try leaveBehind(end: 9000, drained: 9000, durable: 9000)
    try attach().0.end()
    #expect(try #require(try attach().1).clean)
    // The next life takes the mark back.
    try attach().0.begin(database: Self.database, segmentBytes: 1 << 16, end: 9000, drained: 9000, durable: 9000)
    #expect(try !#require(try attach().1).clean)
  }

  @Test func aFailedLogIsRemembered() throws {
    try leaveBehind()
    let (state, _) = try attach()
    state.setFailed(0)
    #expect(state.failed != 0, "even if nobody knows the number")
    #expect(try #require(try attach().1).failed)
  }

  @Test func theRingKeepsItsSizeAndItsBytes() throws {
    try leaveBehind()
    let (state, _) = try attach()
    csup_ring_write(state.ring, state.ringBytes, 8990, [1, 2, 3] as [UInt8], 3)
    let (again, _) = try attach(ringBytes: 1 << 20)
    #expect(again.ringBytes == Self.ringBytes)
    #expect(again.ring[8991] == 2)
  }

  @Test func damageToTheIdentityIsReported() throws {
    try leaveBehind()
    let whole = try Data(contentsOf: URL(fileURLWithPath: directory.file("SHARED")))
    for index in 0..<(Int(CSUP_SHARED_IDENTITY_BYTES) + 4) {
      var damaged = whole
      damaged[index] ^= 0x10
      try damaged.write(to: URL(fileURLWithPath: directory.file("SHARED")))
      #expect(attachCode() == .corruption, "byte \(index)")
    }
    try whole.write(to: URL(fileURLWithPath: directory.file("SHARED")))
    #expect(attachCode() == nil)
  }

  @Test func aHalfMadeFileIsMadeAnew() throws {
    let file = URL(fileURLWithPath: directory.file("SHARED"))
    for length in [0, 100, Int(CSUP_SHARED_HEADER_BYTES), SharedState.fileBytes(ringBytes: Self.ringBytes)] {
      try Data(count: length).write(to: file)
      #expect(try attach().1 == nil, "\(length) zeros")
      #expect(try Data(contentsOf: file).count == SharedState.fileBytes(ringBytes: Self.ringBytes))
    }
  }

  @Test func anotherLengthThanTheHeaderSaysIsDamage() throws {
    try leaveBehind()
    let file = URL(fileURLWithPath: directory.file("SHARED"))
    let whole = try Data(contentsOf: file)
    for length in [64, 1000, Int(CSUP_SHARED_HEADER_BYTES), whole.count - 1, whole.count + 1] {
      try (whole + [0]).prefix(length).write(to: file)
      #expect(attachCode() == .corruption, "\(length) bytes")
    }
  }

  @Test func impossibleRingSizesAreDamage() throws {
    for size in [0, 1, 4096, (1 << 16) + 4096, 1 << 31, 1 << 63, UInt64.max] as [UInt64] {
      try? FileManager.default.removeItem(atPath: directory.file("SHARED"))
      try leaveBehind()
      try change(resealed: true) { $0.ring_bytes = size }
      #expect(attachCode() == .corruption, "\(size)")
    }
  }

  @Test func contradictoryWatermarksAreDamageWhileTheyMatter() throws {
    let contradictions: [(inout csup_shared) -> Void] = [
      { $0.durable = $0.drained + 1 }, { $0.drained = $0.reserved + 1 }, { $0.published = $0.reserved + 1 },
      { $0.reserved = $0.drained + Self.ringBytes + 1 }, { $0.reserved = .max }, { $0.reserved = 1 << 56 },
    ]
    for (number, contradict) in contradictions.enumerated() {
      try? FileManager.default.removeItem(atPath: directory.file("SHARED"))
      try leaveBehind()
      try change(contradict)
      #expect(attachCode() == .corruption, "contradiction \(number)")
      // After an orderly close the files hold everything, and the words are of no use.
      try change { $0.clean = 1 }
      #expect(try attach().1 == nil, "contradiction \(number)")
    }
  }

  @Test func anotherDatabasesStateIsNotTaken() throws {
    try leaveBehind()
    #expect(attachCode(DatabaseID(high: 1, low: 2)) == .corruption)
    try change { $0.clean = 1 }
    #expect(try attach(DatabaseID(high: 1, low: 2)).1 == nil)
  }

  @Test func afterARestartOfTheMachineTheRingIsDead() throws {
    try leaveBehind()
    try change(resealed: true) { $0.boot.0 ^= 1 }
    let remains = try #require(try attach().1)
    #expect(!remains.ringIsLive && remains.durable == 4000)
  }

  @Test func aNewerVersionIsRefused() throws {
    try leaveBehind()
    try change(resealed: true) { $0.version += 1 }
    #expect(attachCode() == .unsupportedVersion)
  }

  @Test func anOlderVersionIsMadeAnewIfNothingHangsOnIt() throws {
    try leaveBehind()
    try change(resealed: true) { $0.version -= 1 }
    #expect(attachCode() == .unsupportedVersion)
    try change { $0.clean = 1 }
    #expect(try attach().1 == nil)
  }

  @Test func theDumpTellsWhatIsThere() throws {
    try leaveBehind()
    var lines: [String] = []
    try SharedState.dump(try storage()) { lines.append($0) }
    #expect(lines.contains { $0.contains("\(Self.database)") } && lines.contains("reserved  9000"))
    try change { $0.checksum ^= 1 }
    #expect(throws: SiltstoneError.self) { try SharedState.dump(try storage()) { _ in } }
  }

  @Test func copiesGoAroundTheRingsEnd() {
    let size = 64
    for start in 0..<(2 * size) {
      for length in [0, 1, 7, 63, 64] {
        var ring = [UInt8](repeating: 0xEE, count: size)
        let bytes = (0..<length).map { UInt8($0 + 1) }
        csup_ring_write(&ring, UInt64(size), UInt64(start), bytes, length)
        for index in 0..<size {
          let place = (index - start % size + size) % size
          #expect(ring[index] == (place < length ? bytes[place] : 0xEE))
        }
        var back = [UInt8](repeating: 0, count: length)
        csup_ring_read(ring, UInt64(size), UInt64(start), &back, length)
        #expect(back == bytes)
      }
    }
  }
}
