import CSupport
import Glibc

@testable import Siltstone

/// Shared memory for a memtable, between two pages whose touch is death; and the memtable in it by its C interface.
final class GuardedArena: @unchecked Sendable {  // as a memtable is, with one inserter
  typealias Entry = MemtableTests.Entry

  let base: UnsafeMutableRawPointer
  let size: Int
  private static let pageBytes = sysconf(Int32(_SC_PAGESIZE))

  init(size: Int) {
    precondition(size % GuardedArena.pageBytes == 0)
    self.size = size
    let whole = size + 2 * GuardedArena.pageBytes
    let memory = mmap(nil, whole, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)!
    base = memory + GuardedArena.pageBytes
    precondition(memory != MAP_FAILED && mprotect(base, size, PROT_READ | PROT_WRITE) == 0)
  }

  deinit { munmap(base - GuardedArena.pageBytes, size + 2 * GuardedArena.pageBytes) }

  var table: OpaquePointer { OpaquePointer(base) }
  var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: size) }

  func create(capacity: Int? = nil, common: [UInt8] = []) {
    _ = csup_memtable_create(base, capacity ?? size, common, common.count)
  }

  func insert(_ entry: Entry) -> Bool {
    csup_memtable_insert(
      table, entry.key, UInt32(entry.key.count), entry.value, UInt32(entry.value.count), entry.trailer)
  }

  /// Calls `body` with the entries as C knows them.
  static func withEntries<Result>(_ entries: [Entry], _ body: ([csup_entry]) throws -> Result) rethrows -> Result {
    let bytes = entries.flatMap { $0.key + $0.value }
    return try bytes.withUnsafeBufferPointer { bytes in
      var end = bytes.baseAddress
      return try body(
        entries.map { entry in
          let key = end
          end = end.map { $0 + entry.key.count + entry.value.count }
          return csup_entry(
            key: key, value: key.map { $0 + entry.key.count }, key_length: UInt32(entry.key.count),
            value_length: UInt32(entry.value.count), trailer: entry.trailer)
        })
    }
  }

  func insert(all entries: [Entry]) -> Bool {
    GuardedArena.withEntries(entries) { csup_memtable_insert_all(table, $0, UInt32($0.count)) }
  }

  /// The entry that a get finds, and whether it met damage.
  func get(_ key: [UInt8], _ trailer: UInt64) -> (entry: csup_entry?, isDamaged: Bool) {
    var entry = csup_entry()
    var isDamaged = false
    let isFound = csup_memtable_get(table, size, key, UInt32(key.count), trailer, &entry, &isDamaged)
    return (isFound ? entry : nil, isDamaged)
  }

  func cursor() -> csup_memtable_cursor {
    var cursor = csup_memtable_cursor()
    csup_memtable_cursor_init(&cursor, table, size)
    return cursor
  }

  static func entry(_ entry: csup_entry) -> Entry {
    Entry(
      key: Array(UnsafeBufferPointer(start: entry.key, count: Int(entry.key_length))), trailer: entry.trailer,
      value: Array(UnsafeBufferPointer(start: entry.value, count: Int(entry.value_length))))
  }

  /// Calls `body` with all entries in order, or in reverse; returns whether there was damage.
  func walk(reverse: Bool, _ body: (csup_entry) -> Void) -> Bool {
    var cursor = cursor()
    var isValid = reverse ? csup_memtable_cursor_last(&cursor) : csup_memtable_cursor_first(&cursor)
    while isValid {
      body(cursor.entry)
      isValid = reverse ? csup_memtable_cursor_previous(&cursor) : csup_memtable_cursor_next(&cursor)
    }
    return cursor.damaged
  }

  /// All entries, or nil if there is damage.
  func entries(reverse: Bool = false) -> [Entry]? {
    var seen: [Entry] = []
    return walk(reverse: reverse, { seen.append(GuardedArena.entry($0)) }) ? nil : seen
  }
}
