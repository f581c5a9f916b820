internal import CSupport

/// The newest entries, sorted, in one arena: a typed handle over the C skip list, as this process sees it.
///
/// Any number of readers at any time, without a lock. One inserter at a time: the commit pipeline inserts under the
/// commit lock, recovery is alone. What a view names is not recycled under it; see `ArenaTable`.
final class Memtable: Sendable {
  /// Numbers memtables in the order in which they fill.
  let serial: UInt64
  /// What the entries' positions begin at: everything in here has `firstPosition <= sequence`.
  let firstPosition: LogPosition
  private let memory: any SharedMemory
  /// The skip list at the arena's start. The C contract makes it safe to share.
  nonisolated(unsafe) let list: OpaquePointer

  /// Makes an empty one in memory that nobody uses, of which `reservedBytes` stand reserved.
  init(
    _ memory: any SharedMemory, serial: UInt64 = 0, firstPosition: LogPosition, commonPrefix: [UInt8] = [],
    reservedBytes: Int? = nil
  ) {
    self.memory = memory
    self.serial = serial
    self.firstPosition = firstPosition
    list = commonPrefix.withUnsafeBytes { prefix in
      csup_memtable_create(
        memory.base, min(reservedBytes ?? memory.sizeBytes, memory.sizeBytes), prefix.baseAddress, prefix.count)
    }
  }

  /// One that another process may have made.
  init(attached memory: any SharedMemory, serial: UInt64, firstPosition: LogPosition) {
    self.memory = memory
    self.serial = serial
    self.firstPosition = firstPosition
    list = OpaquePointer(memory.base)
  }

  var usedBytes: Int { max(0, min(csup_memtable_used(list), memory.sizeBytes)) }
  /// What it may grow to.
  var sizeBytes: Int { memory.sizeBytes }
  /// What of that may be used now.
  var capacityBytes: Int { max(0, min(csup_memtable_capacity(list), memory.sizeBytes)) }
  /// Too low by one for each inserter that died before it had counted its last.
  var entryCount: UInt64 { csup_memtable_count(list) }
  var isEmpty: Bool { csup_memtable_is_empty(list) }

  /// Reserves and faults in memory ahead of the inserts. Called from the background as the log grows; a memtable that
  /// hardly fills hardly costs memory. A file system that is full is left for the insert to find.
  func populateAhead() {
    let end = usedBytes + Memtable.populateAheadBytes
    _ = grow(to: end)
    memory.populate(upTo: min(end, capacityBytes))
  }
  /// What a fast writer fills while the background is asleep.
  private static let populateAheadBytes = 8 << 20

  /// What is reserved at once when the background did not come in time: a millisecond's work.
  private static let growthBytes = SharedMemoryLayout.firstBytes

  private func grow(to end: Int) -> Bool {
    // Whole huge pages: the next one is no more than a piece away.
    let end = min((end + Memtable.growthBytes - 1) / Memtable.growthBytes * Memtable.growthBytes, sizeBytes)
    let begin = capacityBytes
    if end <= begin { return true }
    do throws(SiltstoneError) { try memory.reserve(begin..<end) } catch { return false }
    csup_memtable_grow(list, end)
    return true
  }

  /// Whether `count` more entries of `payloadBytes` key and value bytes in all are certain to fit.
  @inline(__always)
  func hasRoom(count: Int, payloadBytes: Int) -> Bool {
    csup_memtable_need(count, payloadBytes) <= capacityBytes &- usedBytes
      || makeRoom(csup_memtable_need(count, payloadBytes))
  }

  @inline(never)
  private func makeRoom(_ bytes: Int) -> Bool {
    let end = usedBytes + bytes
    return end <= sizeBytes && grow(to: end)
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

  /// Finishes what an inserter that died was at. REQUIRES: as `insert`.
  func repair() { csup_memtable_repair(list) }

  /// The newest version of `key` that a read at `snapshot` sees, or nil. The entry lives as long as the memtable.
  @inline(__always)
  func get(_ key: ByteView, snapshot: LogPosition) throws(SiltstoneError) -> (trailer: KeyTrailer, value: ByteView)? {
    var entry = csup_entry()
    var isDamaged = false
    let bound = KeyTrailer.visible(at: snapshot).rawValue
    let isFound = csup_memtable_get(
      list, memory.sizeBytes, key.base, UInt32(truncatingIfNeeded: key.count), bound, &entry, &isDamaged)
    if isDamaged { throw damaged }
    return isFound ? (KeyTrailer(rawValue: entry.trailer), ByteView(entry.value, Int(entry.value_length))) : nil
  }

  var damaged: SiltstoneError {
    .corrupt(
      "a memtable in shared memory makes no sense: some process has written over it; what it held is in the log, and"
        + " comes back when all processes have closed the database and one opens it", file: SharedState.fileName)
  }

  /// What all keys in here have in common: the next memtable's best guess. Bytes that all keys share discriminate
  /// nothing, so the skip list leaves them out of the prefixes that it compares.
  func commonKeyPrefix() -> [UInt8] {
    var first = MemtableCursor(self)
    var last = MemtableCursor(self)
    guard (try? first.seekToFirst()) != nil, (try? last.seekToLast()) != nil, first.isValid, last.isValid else {
      return []
    }
    return first.key.prefix(first.key.commonPrefixLength(last.key)).copied()
  }
}
