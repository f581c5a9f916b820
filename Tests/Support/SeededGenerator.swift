/// A small generator with a seed, so that every failure can be had again (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }

  /// Bytes from a small alphabet, so that keys share prefixes and repeat.
  mutating func bytes(length: ClosedRange<Int>, alphabet: ClosedRange<UInt8> = 0...255) -> [UInt8] {
    (0..<Int.random(in: length, using: &self)).map { _ in UInt8.random(in: alphabet, using: &self) }
  }
}
