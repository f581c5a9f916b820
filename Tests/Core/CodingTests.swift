import Testing

@testable import Siltstone

/// The alphabet of all formats, there and back, and what hostile bytes make of it.
@Suite struct CodingTests {
  static let interesting: [UInt64] =
    (0..<64).flatMap { [UInt64(1) << $0 &- 1, UInt64(1) << $0, UInt64(1) << $0 &+ 1] } + [.max]

  static func varint(_ value: UInt64) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.append(varint: value)
    return buffer.view.copied()
  }

  /// Reads with `body`, and says how many bytes that left.
  static func reading<Value>(_ bytes: [UInt8], _ body: (inout ByteReader) -> Value?) -> (
    value: Value?, rest: Int
  ) {
    bytes.withView { view in
      var reader = ByteReader(view)
      let value = body(&reader)
      return (value, reader.rest.count)
    }
  }

  @Test func varintsComeBack() {
    for value in Self.interesting {
      let bytes = Self.varint(value)
      #expect(bytes.count == varintLength(value))
      let (read, rest) = Self.reading(bytes + [0x55]) { $0.readVarint() }
      #expect(read == value && rest == 1, "\(value)")
    }
  }

  @Test func aCutVarintIsNoneAndReadsNothing() {
    for value in Self.interesting {
      let bytes = Self.varint(value)
      for length in 0..<bytes.count {
        let (read, rest) = Self.reading(Array(bytes.prefix(length))) { $0.readVarint() }
        #expect(read == nil && rest == length, "\(value) cut to \(length)")
      }
    }
  }

  @Test func aVarintOfMoreThan64BitsIsNone() {
    let ones = [UInt8](repeating: 0xFF, count: 9)
    #expect(Self.reading(ones + [0x01]) { $0.readVarint() }.value == .max)
    for last in UInt8(2)...255 { #expect(Self.reading(ones + [last, 0]) { $0.readVarint() }.value == nil) }
    let endless = [UInt8](repeating: 0x80, count: 100)
    let (read, rest) = Self.reading(endless) { $0.readVarint() }
    #expect(read == nil && rest == 100)
  }

  @Test func fixedIntegersAreLittleEndian() {
    var buffer = ByteBuffer()
    buffer.append(fixed: UInt32(0x0403_0201))
    buffer.append(fixed: UInt64(0x0C0B_0A09_0807_0605))
    buffer.append(UInt8(0x0D))
    #expect(buffer.view.copied() == Array(1...13))
    let bytes = buffer.view.copied()
    bytes.withView { view in
      var reader = ByteReader(view)
      #expect(reader.readFixed(UInt32.self) == 0x0403_0201)
      #expect(reader.readFixed(UInt64.self) == 0x0C0B_0A09_0807_0605)
      #expect(reader.readFixed(UInt16.self) == nil, "one byte is left")
      #expect(reader.readFixed(UInt8.self) == 0x0D)
      #expect(reader.isAtEnd && reader.readFixed(UInt8.self) == nil)
    }
  }

  @Test func lengthPrefixedBytesComeBackAndNeverReachPastTheEnd() {
    for count in [0, 1, 127, 128, 300] {
      var buffer = ByteBuffer()
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
      bytes.withView { buffer.append(lengthPrefixed: $0) }
      let encoded = buffer.view.copied()
      let (read, rest) = Self.reading(encoded) { $0.readLengthPrefixed()?.copied() }
      #expect(read == bytes && rest == 0)
      for length in 0..<encoded.count {
        #expect(
          Self.reading(Array(encoded.prefix(length))) { $0.readLengthPrefixed()?.copied() }.value == nil)
      }
    }
  }

  @Test func hostileLengthsAreNone() {
    for length in [UInt64(1), 1 << 31, 1 << 62, 1 << 63, .max] {
      #expect(Self.reading(Self.varint(length)) { $0.readLengthPrefixed()?.copied() }.value == nil)
    }
    for length in [-1, 4, .max, .min] {
      let (read, rest) = Self.reading([1, 2, 3]) { $0.readBytes(length)?.copied() }
      #expect(read == nil && rest == 3)
    }
    #expect(Self.reading([1, 2, 3]) { $0.readBytes(3)?.copied() }.value == [1, 2, 3])
  }

  @Test func aBufferGrowsAndKeepsItsBytes() {
    var buffer = ByteBuffer(capacityBytes: 0)
    var expected: [UInt8] = []
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<300 {
      let piece = generator.bytes(length: 0...200)
      piece.withView { buffer.append($0) }
      expected += piece
    }
    #expect(buffer.count == expected.count && buffer.view.copied() == expected)
    #expect(Int(bitPattern: buffer.base) % ByteBuffer.alignmentBytes == 0, "large enough for direct I/O")
    buffer.truncate(to: 100)
    #expect(buffer.view.copied() == Array(expected.prefix(100)))
    buffer.appendUninitialized(2).storeBytes(of: 0x0201, as: UInt16.self)
    #expect(buffer.view.copied() == expected.prefix(100) + [1, 2])
    buffer.append(upTo: 10) { storeVarint(300, at: $0) }
    #expect(buffer.view.copied().suffix(2) == [0xAC, 0x02] && buffer.count == 104)
    buffer.removeAll()
    #expect(buffer.view.count == 0)
  }

  @Test func numberedNamesComeBack() {
    for number in [0, 1, 999_999, 1_000_000, Limits.maxFileNumber] {
      #expect(fileNumber(numberedFileName(number, suffix: "log"), suffix: "log") == number)
    }
    #expect(numberedFileName(7, suffix: "log") == "000007.log")
    let strangers = [
      "7.log", "0000007.log", "000007.lo", "000007.log2", "+00007.log", "-00007.log", ".log", "log", "",
      "99999999999999999999.log", "00007x.log",
    ]
    for name in strangers { #expect(fileNumber(name, suffix: "log") == nil, "\(name)") }
  }
}
