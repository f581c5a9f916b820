/// A sum of hashes, one a record: the same for the same records in any order, so that what was written in one
/// order can be compared with what is read back in another, without keeping either. Not for adversaries.
struct RecordDigest: Equatable {
  private(set) var records: UInt64 = 0
  /// Of keys and values.
  private(set) var bytes: UInt64 = 0
  private var sum: UInt64 = 0

  @inline(__always)
  mutating func add(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    let seed = RecordDigest.hash(key, seed: 0x9E37_79B9_7F4A_7C15)
    sum &+= RecordDigest.hash(value, seed: seed)
    records &+= 1
    bytes &+= UInt64(truncatingIfNeeded: key.count &+ value.count)
  }

  /// Eight bytes at a time, multiplied to 128 bits and folded.
  @inline(__always)
  private static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
    var state = seed ^ UInt64(truncatingIfNeeded: bytes.count)
    var index = 0
    while index &+ 8 <= bytes.count {
      state = fold(state ^ bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      index &+= 8
    }
    var tail: UInt64 = 0
    while index < bytes.count {
      tail = tail << 8 | UInt64(bytes[index])
      index &+= 1
    }
    return fold(state ^ tail)
  }

  @inline(__always)
  private static func fold(_ word: UInt64) -> UInt64 {
    let product = (word ^ 0xA076_1D64_78BD_642F).multipliedFullWidth(by: 0xE703_7ED1_A0B4_28DB)
    return product.high ^ product.low
  }
}
