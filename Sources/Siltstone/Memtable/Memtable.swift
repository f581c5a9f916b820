internal import CSupport

/// The newest entries, sorted, in one fixed arena: a typed handle over the C skip list.
///
/// Any number of readers at any time, without a lock. One inserter at a time: the commit pipeline inserts under the
/// commit lock, recovery is alone. Dies with its last reference, and then gives its arena back to the pool.
final class Memtable: Sendable {
  /// What the entries' positions begin at: everything in here has `firstPosition <= sequence`.
  let firstPosition: LogPosition
  private let arena: AnonymousMemory
  private let pool: MemtableArenaPool
  /// The skip list at the arena's start. The C contract makes it safe to share.
  nonisolated(unsafe) let list: OpaquePointer

  init(arena: AnonymousMemory, pool: MemtableArenaPool, firstPosition: LogPosition, commonPrefix: [UInt8]) {
    self.arena = arena
    self.pool = pool
    self.firstPosition = firstPosition
    self.list = commonPrefix.withUnsafeBytes { prefix in
      csup_memtable_create(arena.base, arena.sizeBytes, prefix.baseAddress, prefix.count)
    }
  }

  deinit { pool.recycle(arena) }

  var usedBytes: Int { csup_memtable_used(list) }
  var capacityBytes: Int { csup_memtable_capacity(list) }
  var entryCount: UInt64 { csup_memtable_count(list) }
  var isEmpty: Bool { entryCount == 0 }

  /// Faults in memory ahead of the inserts, and readies the next arena when half of this one is used. Called from the
  /// background as the log grows; a memtable that hardly fills hardly costs memory.
  func populateAhead() {
    arena.populate(upTo: usedBytes + Memtable.populateAheadBytes)
    if usedBytes > capacityBytes / 2 { pool.prepareSpare() }
  }
  /// What a fast writer fills while the background is asleep.
  private static let populateAheadBytes = 8 << 20

  /// Whether `count` more entries of `payloadBytes` key and value bytes in all are certain to fit.
  @inline(__always)
  func hasRoom(count: Int, payloadBytes: Int) -> Bool {
    csup_memtable_need(count, payloadBytes) <= capacityBytes &- usedBytes
  }

  /// The arena size that certainly takes such a batch when it is all there is.
  static func capacityNeeded(count: Int, payloadBytes: Int) -> Int {
    csup_memtable_capacity_for(csup_memtable_fresh_need(count, payloadBytes))
  }

  /// Inserts one entry; inserting it again changes nothing. Returns false, with nothing changed, if it does not fit.
  /// REQUIRES: the caller is the only inserter.
  @inline(__always)
  func insert(_ key: ByteView, _ trailer: KeyTrailer, _ value: ByteView) -> Bool {
    csup_memtable_insert(
      list, key.base, UInt32(truncatingIfNeeded: key.count), value.base, UInt32(truncatingIfNeeded: value.count),
      trailer.rawValue)
  }

  /// The newest version of `key` that a read at `snapshot` sees, or nil. The entry lives as long as the memtable.
  @inline(__always)
  func get(_ key: ByteView, snapshot: LogPosition) -> (trailer: KeyTrailer, value: ByteView)? {
    var entry = csup_entry()
    let bound = KeyTrailer.visible(at: snapshot).rawValue
    guard csup_memtable_get(list, key.base, UInt32(truncatingIfNeeded: key.count), bound, &entry) else { return nil }
    return (KeyTrailer(rawValue: entry.trailer), ByteView(entry.value, Int(entry.value_length)))
  }

  /// What all keys in here have in common: the next memtable's best guess. Bytes that all keys share discriminate
  /// nothing, so the skip list leaves them out of the prefixes that it compares.
  func commonKeyPrefix() -> [UInt8] {
    var first = MemtableCursor(self)
    var last = MemtableCursor(self)
    first.seekToFirst()
    last.seekToLast()
    guard first.isValid, last.isValid else { return [] }
    return first.key.prefix(first.key.commonPrefixLength(last.key)).copied()
  }
}
