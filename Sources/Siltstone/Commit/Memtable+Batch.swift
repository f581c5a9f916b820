internal import CSupport

extension Memtable {
  /// Inserts the entries of a batch's payload, whose first byte has the log position `firstByte`; those that are there
  /// already change nothing. Returns false if the payload is malformed or an entry does not fit; those before it are
  /// inserted then.
  ///
  /// The memtable gets some entries at a time: it overlaps its searches for them, and follows keys that are in order.
  ///
  /// REQUIRES: the caller is the only inserter.
  func insert(payload: ByteView, firstByte: LogPosition) -> Bool {
    withUnsafeTemporaryAllocation(of: csup_entry.self, capacity: Memtable.groupCount) { group in
      var count = 0
      var fits = true
      let isWhole = EntryEncoding.forEach(in: payload) { entry in
        let trailer = KeyTrailer(firstByte &+ UInt64(entry.offset), entry.kind)
        group[count] = csup_entry(entry.key, trailer, entry.value)
        count &+= 1
        if count == group.count {
          fits = insert(UnsafeBufferPointer(group))
          count = 0
        }
        return fits
      }
      return isWhole && fits && insert(UnsafeBufferPointer(rebasing: group[..<count]))
    }
  }

  /// As many as the stack takes: 1 KiB, beyond which it would be the heap.
  private static var groupCount: Int { 32 }

  @inline(__always)
  private func insert(_ group: UnsafeBufferPointer<csup_entry>) -> Bool {
    defer { KillPoint.reach(.insertedOne) }
    return group.count == 1
      ? insert(group[0]) : csup_memtable_insert_all(list, group.baseAddress!, UInt32(group.count))
  }

  @inline(__always)
  private func insert(_ entry: csup_entry) -> Bool {
    csup_memtable_insert(list, entry.key, entry.key_length, entry.value, entry.value_length, entry.trailer)
  }
}

extension csup_entry {
  @inline(__always)
  fileprivate init(_ key: ByteView, _ trailer: KeyTrailer, _ value: ByteView) {
    self.init(
      key: key.base.assumingMemoryBound(to: UInt8.self), value: value.base.assumingMemoryBound(to: UInt8.self),
      key_length: UInt32(truncatingIfNeeded: key.count), value_length: UInt32(truncatingIfNeeded: value.count),
      trailer: trailer.rawValue)
  }
}
