internal import CSupport

/// Walks a memtable in internal-key order, both ways, while others insert. Entries inserted after the cursor was
/// made may or may not appear; a reader tells them by their sequence number.
struct MemtableCursor: ~Copyable, EntryCursor {
  private let memtable: Memtable
  private var cursor = csup_memtable_cursor()
  private(set) var isValid = false

  init(_ memtable: Memtable) {
    self.memtable = memtable
    csup_memtable_cursor_init(&cursor, memtable.list)
  }

  var key: ByteView { ByteView(cursor.entry.key, Int(cursor.entry.key_length)) }
  var trailer: KeyTrailer { KeyTrailer(rawValue: cursor.entry.trailer) }
  var value: ByteView { ByteView(cursor.entry.value, Int(cursor.entry.value_length)) }

  mutating func seekToFirst() { isValid = csup_memtable_cursor_first(&cursor) }
  mutating func seekToLast() { isValid = csup_memtable_cursor_last(&cursor) }
  mutating func seek(_ key: ByteView, _ trailer: KeyTrailer) {
    isValid = csup_memtable_cursor_seek(&cursor, key.base, UInt32(key.count), trailer.rawValue)
  }
  mutating func seekBefore(_ key: ByteView, _ trailer: KeyTrailer) {
    isValid = csup_memtable_cursor_seek_before(&cursor, key.base, UInt32(key.count), trailer.rawValue)
  }
  mutating func next() { isValid = csup_memtable_cursor_next(&cursor) }
  mutating func previous() { isValid = csup_memtable_cursor_previous(&cursor) }
}
