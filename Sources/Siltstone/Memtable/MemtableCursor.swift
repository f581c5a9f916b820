internal import CSupport

/// Walks a memtable in internal-key order, both ways, while others insert. Entries inserted after the cursor was
/// made may or may not appear; a reader tells them by their sequence number.
struct MemtableCursor: ~Copyable, EntryCursor {
  private let memtable: Memtable
  private var cursor = csup_memtable_cursor()
  private(set) var isValid = false

  init(_ memtable: Memtable) {
    self.memtable = memtable
    csup_memtable_cursor_init(&cursor, memtable.list, memtable.sizeBytes)
  }

  var key: ByteView { ByteView(cursor.entry.key, Int(cursor.entry.key_length)) }
  var trailer: KeyTrailer { KeyTrailer(rawValue: cursor.entry.trailer) }
  var value: ByteView { ByteView(cursor.entry.value, Int(cursor.entry.value_length)) }

  mutating func seekToFirst() throws(SiltstoneError) { try settle(csup_memtable_cursor_first(&cursor)) }
  mutating func seekToLast() throws(SiltstoneError) { try settle(csup_memtable_cursor_last(&cursor)) }
  mutating func seek(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    try settle(csup_memtable_cursor_seek(&cursor, key.base, UInt32(key.count), trailer.rawValue))
  }
  mutating func seekBefore(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    try settle(csup_memtable_cursor_seek_before(&cursor, key.base, UInt32(key.count), trailer.rawValue))
  }
  mutating func next() throws(SiltstoneError) { try settle(csup_memtable_cursor_next(&cursor)) }
  mutating func previous() throws(SiltstoneError) { try settle(csup_memtable_cursor_previous(&cursor)) }

  @inline(__always)
  private mutating func settle(_ isPositioned: Bool) throws(SiltstoneError) {
    isValid = isPositioned
    if !isPositioned, cursor.damaged { throw memtable.damaged }
  }
}
