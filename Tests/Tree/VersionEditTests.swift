import Testing

@testable import Siltstone

@Suite struct VersionEditTests {
  static func random(_ generator: inout SeededGenerator) -> VersionEdit {
    var edit = VersionEdit()
    if Bool.random(using: &generator) {
      edit.creation = .init(
        database: DatabaseID(high: generator.next(), low: generator.next()),
        logSegmentBytes: 4096 * UInt64.random(in: 1...1000, using: &generator))
    }
    if Bool.random(using: &generator) { edit.logStart = generator.next() >> 8 }
    if Bool.random(using: &generator) { edit.nextFileNumber = generator.next() }
    if Bool.random(using: &generator) { edit.nextRunID = generator.next() }
    for _ in 0..<Int.random(in: 0...3, using: &generator) { edit.remove(generator.next()) }
    for _ in 0..<Int.random(in: 0...3, using: &generator) {
      var table = TableMetadata(
        number: generator.next(), sizeBytes: generator.next() >> 16, entryCount: generator.next() >> 16,
        tombstoneCount: generator.next(), keyBytes: generator.next() >> 16, valueBytes: generator.next() >> 16,
        smallestKey: generator.bytes(length: 0...300), largestKey: generator.bytes(length: 0...20),
        smallestSequence: generator.next(), largestSequence: generator.next() >> 8,
        compression: Compression.allCases.randomElement(using: &generator)!)
      for number in 0..<Int.random(in: 0...3, using: &generator) {
        table.segmentUse.append(
          SegmentUse(segment: UInt64(number) * 1_000 + generator.next() % 1_000, bytes: generator.next() >> 17 | 1))
      }
      edit.add(table, level: Int.random(in: 0..<TreeLayout.maxLevels, using: &generator), run: generator.next())
    }
    return edit
  }

  static func encode(_ edit: VersionEdit) -> [UInt8] {
    var buffer = ByteBuffer()
    edit.encode(into: &buffer)
    return buffer.view.copied()
  }

  static func decode(_ bytes: [UInt8]) throws(SiltstoneError) -> VersionEdit {
    try bytes.withView { (view) throws(SiltstoneError) in try VersionEdit.decode(view, file: "M", offset: 64) }
  }

  @Test func whatIsEncodedIsDecoded() throws {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<300 {
      let edit = Self.random(&generator)
      #expect(try Self.decode(Self.encode(edit)) == edit)
    }
  }

  @Test func anyTruncationIsAnErrorOrAnotherEdit() throws {
    var generator = SeededGenerator(seed: 2)
    var errors = 0
    for _ in 0..<20 {
      let edit = Self.random(&generator)
      let bytes = Self.encode(edit)
      for length in bytes.indices {
        do throws(SiltstoneError) {
          #expect(try Self.decode([UInt8](bytes[..<length])) != edit)
        } catch {
          #expect(error.code == .corruption && error.file == "M" && error.offset == 64)
          errors += 1
        }
      }
    }
    #expect(errors > 100)
  }

  @Test func hostileBytesNeverCrash() {
    var generator = SeededGenerator(seed: 3)
    var codes: Set<SiltstoneError.Code> = []
    for _ in 0..<3000 {
      var bytes = Self.encode(Self.random(&generator))
      for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
        bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      do throws(SiltstoneError) { _ = try Self.decode(bytes) } catch { codes.insert(error.code) }
    }
    #expect(codes == [.corruption, .unsupportedVersion])
  }

  @Test func anUnknownFieldIsPassedOverUnlessItIsCritical() throws {
    var edit = VersionEdit()
    edit.logStart = 77
    let harmless: [UInt8] = [50 << 1, 3, 1, 2, 3]
    #expect(try Self.decode(harmless + Self.encode(edit) + harmless) == edit)
    let critical: [UInt8] = [50 << 1 | 1, 0]
    let error = #expect(throws: SiltstoneError.self) { try Self.decode(Self.encode(edit) + critical) }
    #expect(error?.code == .unsupportedVersion)
    #expect(error?.file == "M")
  }

  @Test func aNewerFormatIsRefused() {
    let edit = VersionEdit(
      creation: .init(database: DatabaseID(high: 1, low: 2), formatVersion: 2, logSegmentBytes: 4096))
    let error = #expect(throws: SiltstoneError.self) { try Self.decode(Self.encode(edit)) }
    #expect(error?.code == .unsupportedVersion)
  }

  @Test func aFieldThatAppearsOnceMayNotAppearTwice() {
    var edit = VersionEdit()
    edit.nextRunID = 5
    let error = #expect(throws: SiltstoneError.self) { try Self.decode(Self.encode(edit) + Self.encode(edit)) }
    #expect(error?.code == .corruption)
  }
}
