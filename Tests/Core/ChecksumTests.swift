import CSupport
import Testing

/// CRC32C against the standard's own vectors, and against the slowest thing that can be right.
@Suite struct ChecksumTests {
  static func checksum(_ bytes: some Collection<UInt8>, from seed: UInt32 = 0) -> UInt32 {
    Array(bytes).withUnsafeBytes { csup_crc32c(seed, $0.baseAddress, $0.count) }
  }

  /// Bit by bit, as the polynomial says.
  static func reference(_ bytes: some Collection<UInt8>) -> UInt32 {
    var crc: UInt32 = ~0
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
    return ~crc
  }

  /// RFC 3720, appendix B.4.
  @Test func theStandardsVectors() {
    #expect(Self.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(Self.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(Self.checksum(Array(0..<32)) == 0x46DD_794E)
    #expect(Self.checksum((0..<32).reversed()) == 0x113F_DB5C)
    let readCommand: [UInt8] = [
      0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14, 0, 0,
      0,
      0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
    ]
    #expect(Self.checksum(readCommand) == 0xD996_3A56)
    #expect(Self.checksum(Array("123456789".utf8)) == 0xE306_9283)
    #expect(csup_crc32c(0, nil, 0) == 0)
  }

  /// Around every length at which the code changes its stride, at every alignment.
  @Test func everyLengthAndAlignment() {
    var generator = SeededGenerator(seed: 1)
    let bytes = generator.bytes(length: 14_000...14_000)
    var lengths = Array(0...40)
    for stride in [256, 256 + 64, 2 * 256, 3 * 256, 2 * 3 * 256, 3 * 2048, 3 * 2048 + 3 * 256, 2 * 3 * 2048] {
      lengths += [-9, -8, -1, 0, 1, 7, 8, 9].map { stride + $0 }
    }
    for length in lengths {
      let start = length % 13
      let piece = bytes[start..<start + length]
      let actual = bytes.withUnsafeBytes { csup_crc32c(0, $0.baseAddress! + start, length) }
      #expect(actual == Self.reference(piece), "\(length) bytes")
    }
  }

  @Test func aChecksumCanBeTakenInPieces() {
    var generator = SeededGenerator(seed: 2)
    let bytes = generator.bytes(length: 8000...8000)
    let whole = Self.checksum(bytes)
    for _ in 0..<100 {
      let cut = Int.random(in: 0...bytes.count, using: &generator)
      #expect(Self.checksum(bytes[cut...], from: Self.checksum(bytes[..<cut])) == whole, "cut at \(cut)")
    }
    #expect(bytes.reduce(0) { Self.checksum([$1], from: $0) } == whole)
  }
}
