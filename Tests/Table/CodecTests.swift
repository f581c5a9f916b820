import Testing

@testable import Siltstone

@Suite struct CodecTests {
  static let codecs: [Compression] = [.lz4, .zstd, .snappy]

  @Test(arguments: codecs)
  func givesBackWhatItTook(_ codec: Compression) {
    var random = SeededGenerator(seed: 11)
    for size in [1000, 16 << 10, 1 << 20] {
      let text = TableTestBytes(random.bytes(size, below: 3))
      var output = ByteBuffer()
      output.append(UInt8(42))
      #expect(codec.compress(text.view, into: &output))
      #expect(output.view[0] == 42)
      let compressed = output.view.dropFirst(1)
      #expect(compressed.count < size - size / 8)
      let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
      defer { raw.deallocate() }
      #expect(codec.decompress(compressed, into: raw))
      #expect(text.view.equals(ByteView(UnsafeRawBufferPointer(raw))))
      // Any other length is refused.
      #expect(!codec.decompress(compressed, into: UnsafeMutableRawBufferPointer(rebasing: raw.dropLast())))
      #expect(!codec.decompress(compressed.prefix(compressed.count - 1), into: raw))
    }
  }

  @Test(arguments: Compression.allCases)
  func leavesNoiseAlone(_ codec: Compression) {
    var random = SeededGenerator(seed: 12)
    for size in [0, 1, 7, 16 << 10] {
      let noise = TableTestBytes(random.bytes(size))
      var output = ByteBuffer()
      #expect(!codec.compress(noise.view, into: &output))
      #expect(output.count == 0)
    }
  }

  @Test(arguments: codecs)
  func survivesHostileBytes(_ codec: Compression) {
    var random = SeededGenerator(seed: 13)
    let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
    defer { raw.deallocate() }
    let text = TableTestBytes(random.bytes(4096, below: 3))
    var output = ByteBuffer()
    #expect(codec.compress(text.view, into: &output))
    for _ in 0..<2000 {
      var damaged = output.view.copied()
      damaged[Int.random(in: 0..<damaged.count, using: &random)] ^=
        1 << UInt8.random(in: 0..<8, using: &random)
      _ = codec.decompress(TableTestBytes(damaged).view, into: raw)
      _ = codec.decompress(TableTestBytes(random.bytes(50)).view, into: raw)
    }
  }

  /// Noise with repeats between loses nothing when LZ4 hurries; text does.
  @Test(arguments: [true, false])
  func looksForMatchesAsHardAsItPays(_ isNoisy: Bool) {
    var random = SeededGenerator(seed: 14)
    let words = (0..<200).map { _ in random.bytes(length: 2...7, alphabet: 97...110) }
    var compressor = BlockCompressor()
    for _ in 0..<70 {
      var raw: [UInt8] = []
      while raw.count < 16 << 10 {
        let noise = random.bytes(50)
        if isNoisy { raw += noise + noise } else { raw += words.randomElement(using: &random)! }
      }
      let block = TableTestBytes(raw)
      var output = ByteBuffer()
      #expect(compressor.compress(block.view, .lz4, into: &output))
      #expect(compressor.isQuick == isNoisy)
      let back = UnsafeMutableRawBufferPointer.allocate(byteCount: raw.count, alignment: 16)
      defer { back.deallocate() }
      #expect(Compression.lz4.decompress(output.view, into: back))
      #expect(block.view.equals(ByteView(UnsafeRawBufferPointer(back))))
    }
  }
}
