/// Random numbers that are the same in each run: Steele, Lea and Flood's SplitMix64.
struct Noise: RandomNumberGenerator, Sendable {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  @inline(__always)
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Noise.mix(state)
  }

  /// Uniform below `bound`, by Lemire's multiplication; the bias is below 2^-32 for any bound that fits in memory.
  @inline(__always)
  mutating func next(below bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }

  /// Uniform in [0, 1).
  @inline(__always)
  mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A bijection of 64-bit words that looks like noise.
  @inline(__always)
  static func mix(_ word: UInt64) -> UInt64 {
    var word = word
    word = (word ^ word &>> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word &>> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word &>> 31
  }
}
