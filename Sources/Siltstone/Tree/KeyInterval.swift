/// A closed interval of user keys: what a table, or several, cover.
struct KeyInterval: Equatable, Sendable {
  var smallest: [UInt8]
  var largest: [UInt8]

  func overlaps(_ other: KeyInterval) -> Bool {
    compareKeys(smallest, other.largest) <= 0 && compareKeys(other.smallest, largest) <= 0
  }

  mutating func formUnion(_ other: KeyInterval) {
    if compareKeys(other.smallest, smallest) < 0 { smallest = other.smallest }
    if compareKeys(other.largest, largest) > 0 { largest = other.largest }
  }
}

/// Negative, zero or positive, as `key` sorts before, with or after `other`. Not for inner loops: those hold views.
func compareKeys(_ key: [UInt8], _ other: [UInt8]) -> Int {
  key.withView { view in other.withView { view.compare($0) } }
}

extension TableMetadata {
  var interval: KeyInterval { KeyInterval(smallest: smallestKey, largest: largestKey) }

  /// What the table holds, whatever its codec made of it: 9 bytes for each entry's trailer and lengths.
  var dataBytes: UInt64 { keyBytes &+ valueBytes &+ 9 &* entryCount }
}

extension ByteView {
  /// The first eight bytes as a big-endian number, padded with zeros: smaller numbers are smaller keys, equal numbers
  /// say nothing.
  @inline(__always)
  var bigEndianPrefix: UInt64 {
    if count >= 8 { return UInt64(bigEndian: base.loadUnaligned(as: UInt64.self)) }
    var prefix: UInt64 = 0
    for index in 0..<count { prefix |= UInt64(self[index]) &<< UInt64(56 &- 8 &* index) }
    return prefix
  }
}
