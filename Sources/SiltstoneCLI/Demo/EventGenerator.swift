/// Random numbers that are the same in each run: Steele, Lea and Flood's SplitMix64.
struct Noise {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  @inline(__always)
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Noise.mix(state)
  }

  /// Two different words never mix to one.
  @inline(__always)
  static func mix(_ word: UInt64) -> UInt64 {
    var word = word
    word = (word ^ word &>> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word &>> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word &>> 31
  }
}

/// Makes events: a key of 16 bytes, in random order and never twice, and a value of 84 to 115 bytes, of which
/// half is noise and half is text that repeats, so that a fast codec halves it.
///
/// Memory is reused: the views are valid until the next `make`.
struct EventGenerator: ~Copyable {
  private static let keyBytes = 16
  private static let maxValueBytes = 115
  private static let text = Array("temperature=21.5;unit=celsius;status=ok;sensor=".utf8)

  private let base: UnsafeMutableRawPointer
  private var valueBytes = 0
  private let seed: UInt64

  init(seed: UInt64) {
    self.seed = seed
    base = .allocate(byteCount: 256, alignment: 16)
    for index in 0..<256 {
      let byte = EventGenerator.text[index % EventGenerator.text.count]
      base.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
    }
  }

  deinit { base.deallocate() }

  var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: EventGenerator.keyBytes) }
  var value: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base + EventGenerator.keyBytes, count: valueBytes)
  }

  /// Makes the event of this number: always the same one.
  mutating func make(_ number: UInt64) {
    let first = Noise.mix(number &+ seed)
    base.storeBytes(of: first.bigEndian, toByteOffset: 0, as: UInt64.self)
    base.storeBytes(of: Noise.mix(~first), toByteOffset: 8, as: UInt64.self)
    var noise = Noise(seed: first)
    valueBytes = 84 + Int(noise.next() & 31)
    // 48 bytes of noise; the text behind it stays from event to event.
    for offset in stride(from: 16, to: 64, by: 8) {
      base.storeBytes(of: noise.next(), toByteOffset: offset, as: UInt64.self)
    }
  }
}
