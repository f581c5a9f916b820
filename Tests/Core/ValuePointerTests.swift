import Testing

@testable import Siltstone

@Suite struct ValuePointerTests {
  static func encode(_ pointer: ValuePointer) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.append(upTo: ValuePointer.maxEncodedBytes) { pointer.store(at: $0) }
    return buffer.view.copied()
  }

  static func pieces(_ pointer: ValuePointer, segmentBytes: UInt64) -> [Range<UInt64>] {
    var pieces: [Range<UInt64>] = []
    pointer.forEachPiece(segmentBytes: segmentBytes) { pieces.append($0..<$0 + UInt64($1)) }
    return pieces
  }

  @Test func aPointerComesBackAsItWas() {
    for (offset, length) in [(20, 5_000), (16 << 10, 1), ((16 << 10) - 1, 2), (40_000, 200_000)] {
      let pointer = ValuePointer(
        batch: 1 << 40, recordBytes: 16 << 10, offset: offset, length: length, checksum: 0xDEAD_BEEF)
      let bytes = Self.encode(pointer)
      #expect(bytes.count == (pointer.firstCut == 0 ? 16 : 24))
      #expect(bytes.withView { ValuePointer($0) } == pointer)
    }
  }

  /// Against a log that is cut byte by byte.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func itLeadsToTheBytesBetweenTheHeaders(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<50 {
      let recordBytes = 16 << 10
      let first = UInt64.random(in: 0...1 << 20, using: &random)
      let offset = Int.random(in: 0..<3 * recordBytes, using: &random)
      let length = Int.random(in: 1..<4 * recordBytes, using: &random)
      let pointer = ValuePointer(
        batch: first, recordBytes: recordBytes, offset: offset, length: length, checksum: 0)
      // Where a payload's byte lies: behind the headers of as many records as were cut before it.
      func position(_ index: Int) -> UInt64 { first + UInt64(index + index / recordBytes * 16) }
      let pieces = Self.pieces(pointer, segmentBytes: 1 << 16)
      #expect(pieces.flatMap(Array.init) == (offset..<offset + length).map(position))
      #expect(pieces.allSatisfy { $0.lowerBound >> 16 == ($0.upperBound - 1) >> 16 }, "none crosses a segment's end")
      #expect(pointer.end == position(offset + length - 1) + 1)
    }
  }

  @Test func whatCannotBeIsNoPointer() {
    let whole = ValuePointer(batch: 100, recordBytes: 1 << 20, offset: 10, length: 5_000, checksum: 1)
    let cut = ValuePointer(batch: 100, recordBytes: 1 << 14, offset: 10, length: 50_000, checksum: 1)
    let bytes = Self.encode(whole)
    for length in 0..<bytes.count { #expect(Array(bytes.prefix(length)).withView { ValuePointer($0) } == nil) }
    func change(_ pointer: ValuePointer, _ at: Int, _ value: [UInt8]) -> Bool {
      var bytes = Self.encode(pointer)
      bytes.replaceSubrange(at..<at + value.count, with: value)
      return bytes.withView { ValuePointer($0) } != nil
    }
    #expect(!change(whole, 7, [1]), "a position past 2^56")
    #expect(!change(whole, 0, [255, 255, 255, 255, 255, 255, 255, 0]), "an end past 2^56")
    #expect(!change(whole, 8, [0, 0, 0, 0]), "no bytes")
    #expect(!change(whole, 8, [255, 255, 255, 255]), "longer than any value")
    #expect(!change(cut, 16, [0, 0, 0, 0]), "cut before the first byte")
    #expect(!change(cut, 16, [255, 255, 255, 255]), "cut behind the last")
    #expect(!change(cut, 20, [1, 0, 0, 0]), "a record of one byte")
    #expect(!change(cut, 20, [255, 255, 255, 255]), "a record longer than any")
  }

  @Test func segmentsAreTalliedAndComeBack() throws {
    var tally = SegmentTally(segmentBytes: 1 << 16)
    tally.add(ValuePointer(batch: 65_000, recordBytes: 1 << 20, offset: 0, length: 1_000, checksum: 0))
    tally.add(ValuePointer(batch: 9 << 16, recordBytes: 1 << 20, offset: 0, length: 10, checksum: 0))
    let uses = tally.sorted
    #expect(uses == [.init(segment: 0, bytes: 536), .init(segment: 1, bytes: 464), .init(segment: 9, bytes: 10)])
    var buffer = ByteBuffer()
    buffer.append(uses)
    let bytes = buffer.view.copied()
    for length in 0..<bytes.count {
      #expect(
        Array(bytes.prefix(length)).withView { view in
          var reader = ByteReader(view)
          return reader.readSegmentUse()
        } == nil)
    }
    bytes.withView { view in
      var reader = ByteReader(view)
      #expect(reader.readSegmentUse() == uses && reader.isAtEnd)
    }
    #expect(
      [1, 5, 0].withView { view in
        var reader = ByteReader(view)
        return reader.readSegmentUse()
      } == nil, "no bytes are no use")
  }
}
