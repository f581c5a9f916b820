/// Writes keys into a buffer of its own, as `db_bench` does: the number in eight bytes, big-endian, and then `0`
/// characters up to the key's length. Keys shorter than eight bytes take the number's low bytes.
struct KeyMaker: ~Copyable {
  let keyBytes: Int
  private let base: UnsafeMutableRawPointer
  /// The same with another last byte, for keys that are missing.
  private let missing: UnsafeMutableRawPointer

  init(keyBytes: Int) {
    self.keyBytes = keyBytes
    let room = max(keyBytes, 8)
    base = .allocate(byteCount: room, alignment: 16)
    base.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "0"), count: room)
    missing = .allocate(byteCount: room, alignment: 16)
    missing.copyMemory(from: base, byteCount: room)
    missing.storeBytes(of: UInt8(ascii: "1"), toByteOffset: keyBytes - 1, as: UInt8.self)
  }

  deinit {
    base.deallocate()
    missing.deallocate()
  }

  /// The key of this number. Valid until the next call.
  @inline(__always)
  mutating func make(_ number: UInt64) -> UnsafeRawBufferPointer {
    if keyBytes >= 8 {
      base.storeBytes(of: number.bigEndian, as: UInt64.self)
    } else {
      for index in 0..<keyBytes {
        base.storeBytes(
          of: UInt8(truncatingIfNeeded: number &>> UInt64(8 * (keyBytes - 1 - index))), toByteOffset: index,
          as: UInt8.self)
      }
    }
    return UnsafeRawBufferPointer(start: base, count: keyBytes)
  }

  /// A key right behind that of this number, which no number has. REQUIRES: keys of nine bytes and more.
  @inline(__always)
  mutating func makeMissing(_ number: UInt64) -> UnsafeRawBufferPointer {
    precondition(keyBytes > 8)
    missing.storeBytes(of: number.bigEndian, as: UInt64.self)
    return UnsafeRawBufferPointer(start: missing, count: keyBytes)
  }

  /// The key of two numbers, one behind the other, for keys of 16 bytes and more.
  @inline(__always)
  mutating func make(_ first: UInt64, _ second: UInt64) -> UnsafeRawBufferPointer {
    precondition(keyBytes >= 16)
    base.storeBytes(of: first.bigEndian, as: UInt64.self)
    base.storeBytes(of: second.bigEndian, toByteOffset: 8, as: UInt64.self)
    return UnsafeRawBufferPointer(start: base, count: keyBytes)
  }
}

/// A permutation of 0..<count, without a table: a Feistel network over the next even number of bits, walked until it
/// lands inside. Each number appears exactly once, in an order that looks random.
struct Permutation: Sendable {
  private let count: UInt64
  private let halfBits: UInt64
  private let seed: UInt64

  init(count: UInt64, seed: UInt64) {
    self.count = max(count, 1)
    self.seed = seed
    halfBits = max(1, (64 - UInt64((self.count - 1).leadingZeroBitCount) + 1) / 2)
  }

  @inline(__always)
  subscript(index: UInt64) -> UInt64 {
    let mask = (UInt64(1) &<< halfBits) &- 1
    var word = index
    repeat {
      var (left, right) = (word &>> halfBits, word & mask)
      for round in 0..<4 as Range<UInt64> {
        (left, right) = (right, left ^ (Noise.mix(right &+ seed &+ round &* 0x9E37_79B9_7F4A_7C15) & mask))
      }
      word = left &<< halfBits | right
    } while word >= count
    return word
  }
}
