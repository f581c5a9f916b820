import CSupport
import Testing

@testable import Siltstone

/// A header is taken for one only where and as it was written.
@Suite struct RecordFramingTests {
  typealias Header = RecordFraming.Header
  static let position: UInt64 = 0x12_3456_789A

  static func encode(_ header: Header, position: UInt64 = position) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: RecordFraming.headerBytes)
    bytes.withUnsafeMutableBytes { RecordFraming.encode(header, position: position, at: $0.baseAddress!) }
    return bytes
  }

  static func decode(_ bytes: [UInt8], position: UInt64 = position) -> Header? {
    bytes.withUnsafeBytes { RecordFraming.decode($0.baseAddress!, position: position) }
  }

  /// The given 12 bytes with a checksum that is right, as a hostile writer would have it.
  static func sealed(_ length: UInt32, _ countAndFlags: UInt32, _ checksum: UInt32 = 7) -> [UInt8] {
    var bytes: [UInt8] = []
    for word in [length, countAndFlags, checksum] {
      withUnsafeBytes(of: word.littleEndian) { bytes += $0 }
    }
    let sum = withUnsafeBytes(of: position.littleEndian) { place in
      csup_crc32c(csup_crc32c(0, bytes, 12), place.baseAddress, 8)
    }
    withUnsafeBytes(of: sum.littleEndian) { bytes += $0 }
    return bytes
  }

  static let sample = Header(
    payloadBytes: 4321, entryCount: 17, continues: false, payloadChecksum: 0xDEAD_BEEF)

  @Test func headersComeBack() {
    for payloadBytes in [0, 1, 255, 65_536, RecordFraming.maxPayloadBytes] {
      for entryCount in [0, 1, 65_536, RecordFraming.maxEntryCount] {
        for flags in 0..<8 {
          let header = Header(
            payloadBytes: payloadBytes, entryCount: entryCount, continues: flags & 1 == 1,
            payloadChecksum: UInt32(truncatingIfNeeded: payloadBytes &* 31), isContinuation: flags & 2 == 2,
            keepsValues: flags & 4 == 4)
          #expect(Self.decode(Self.encode(header)) == header)
          #expect(header.recordBytes == payloadBytes + 16)
        }
      }
    }
  }

  @Test func theBytesAreThoseOfTheDrawing() {
    let bytes = Self.encode(
      Header(payloadBytes: 0x0A0B, entryCount: 0x0C0D0E, continues: true, payloadChecksum: 1))
    #expect(bytes.prefix(12) == [0x0B, 0x0A, 0, 0, 0x0E, 0x0D, 0x0C, 1, 1, 0, 0, 0])
    #expect(Self.encode(Self.sample) == Self.sealed(4321, 17, 0xDEAD_BEEF))
  }

  @Test func everyFlippedBitIsSeen() {
    let bytes = Self.encode(Self.sample)
    for index in bytes.indices {
      for bit in 0..<8 {
        var flipped = bytes
        flipped[index] ^= 1 << bit
        #expect(Self.decode(flipped) == nil, "byte \(index), bit \(bit)")
      }
    }
    #expect(Self.decode(bytes) == Self.sample)
  }

  @Test func anotherPlaceIsAnotherRecord() {
    let bytes = Self.encode(Self.sample)
    for bit in 0..<64 { #expect(Self.decode(bytes, position: Self.position ^ (1 << bit)) == nil) }
    for segment in 1...1000 {
      #expect(Self.decode(bytes, position: Self.position + UInt64(segment) << 26) == nil)
    }
  }

  @Test func bytesThatWereNeverWrittenAreNoHeader() {
    for byte: UInt8 in [0x00, 0xFF, 0x5A] {
      let bytes = [UInt8](repeating: byte, count: 16)
      for position in [UInt64(0), 16, 4096, 1 << 40] {
        #expect(Self.decode(bytes, position: position) == nil)
      }
    }
  }

  @Test func hostileHeadersWithTheRightChecksumAreRefused() {
    let limit = UInt32(RecordFraming.maxPayloadBytes)
    #expect(Self.decode(Self.sealed(limit, 1)) != nil)
    for length in [limit + 1, 1 << 31, .max] { #expect(Self.decode(Self.sealed(length, 1)) == nil) }
    for flag in 27..<32 {
      #expect(Self.decode(Self.sealed(100, 1 | 1 << UInt32(flag))) == nil, "unknown flag \(flag)")
    }
  }
}
