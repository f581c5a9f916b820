/// A position in the endless log, in bytes from its beginning. Also the number line of everything else: an entry's
/// sequence number is its own position, a snapshot is a position, and so is every watermark.
typealias LogPosition = UInt64

/// What an entry says about its key.
enum EntryKind: UInt8 {
  case delete = 0
  case put = 1
  /// A put whose value lies in the log: the entry's own value is a `ValuePointer`.
  case putApart = 2
}

/// The end of an internal key: the entry's sequence number in the upper 56 bits, its kind in the lower 8.
///
/// Internal keys sort by user key ascending, then trailer *descending*, so that the newest version of a key is met
/// first.
struct KeyTrailer: Equatable {
  let rawValue: UInt64

  /// The largest position a trailer can carry: 2^56 - 1.
  static let maxSequence: LogPosition = (1 << 56) - 1
  /// Sorts before every version of a key: what a seek to "the newest" uses.
  static let newest = KeyTrailer(rawValue: .max)
  /// Sorts after every version of a key.
  static let oldest = KeyTrailer(rawValue: 0)

  @inline(__always) init(rawValue: UInt64) { self.rawValue = rawValue }
  @inline(__always) init(_ sequence: LogPosition, _ kind: EntryKind) {
    rawValue = sequence &<< 8 | UInt64(kind.rawValue)
  }
  /// Sorts before every version with a sequence number below `position`, and after all others: where a read at the
  /// snapshot `position` begins. A snapshot sees exactly the entries with sequence < position.
  @inline(__always) static func visible(at position: LogPosition) -> KeyTrailer {
    position == 0 ? .oldest : KeyTrailer(rawValue: (position &- 1) &<< 8 | 0xFF)
  }

  @inline(__always) var sequence: LogPosition { rawValue &>> 8 }
  @inline(__always) var kindByte: UInt8 { UInt8(truncatingIfNeeded: rawValue) }
  @inline(__always) var isPut: Bool { kindByte == EntryKind.put.rawValue || isApart }
  /// Whether the value lies in the log.
  @inline(__always) var isApart: Bool { kindByte == EntryKind.putApart.rawValue }
  /// The same kind of entry without a sequence number.
  @inline(__always) var unsequenced: KeyTrailer { KeyTrailer(rawValue: rawValue & 0xFF) }
}

/// Compares two internal keys. Negative, zero or positive.
@inline(__always)
func compareInternal(_ key: ByteView, _ trailer: KeyTrailer, _ otherKey: ByteView, _ otherTrailer: KeyTrailer) -> Int {
  let order = key.compare(otherKey)
  if order != 0 { return order }
  if trailer.rawValue == otherTrailer.rawValue { return 0 }
  return trailer.rawValue > otherTrailer.rawValue ? -1 : 1
}

/// What walks entries in internal-key order, whatever holds them: a memtable, a table, a run, a merge of those.
///
/// REQUIRES for `key`, `trailer`, `value`, `next`, `previous`: `isValid`. The views stay valid until the cursor
/// moves or is destroyed. A fresh cursor is not valid until it was sought. After a throw the cursor is not valid.
protocol EntryCursor: ~Copyable {
  var isValid: Bool { get }
  /// The user key.
  var key: ByteView { get }
  var trailer: KeyTrailer { get }
  var value: ByteView { get }
  mutating func seekToFirst() throws(SiltstoneError)
  mutating func seekToLast() throws(SiltstoneError)
  /// Moves to the first entry at or after the internal key.
  mutating func seek(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError)
  /// Moves to the last entry strictly before the internal key.
  mutating func seekBefore(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError)
  mutating func next() throws(SiltstoneError)
  mutating func previous() throws(SiltstoneError)
}
