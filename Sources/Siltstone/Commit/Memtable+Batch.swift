internal import CSupport

extension Memtable {
  /// Inserts the entries of a batch's payload, whose first byte has the log position `firstByte`; those that are there
  /// already change nothing. Returns false if the payload is malformed; what came before the fault is inserted then.
  ///
  /// The memtable gets some entries at a time: it overlaps its searches for them, and follows keys that are in order.
  ///
  /// REQUIRES: room for all of them, and the caller is the only inserter.
  func insert(payload: ByteView, firstByte: LogPosition) -> Bool {
    withUnsafeTemporaryAllocation(of: csup_entry.self, capacity: Memtable.groupCount) { group in
      var count = 0
      let isWhole = EntryEncoding.forEach(in: payload) { entry in
        let trailer = KeyTrailer(firstByte &+ UInt64(entry.offset), entry.kind)
        group[count] = csup_entry(entry.key, trailer, entry.value)
        count &+= 1
        if count == group.count {
          insert(UnsafeBufferPointer(group))
          count = 0
        }
        return true
      }
      insert(UnsafeBufferPointer(rebasing: group[..<count]))
      return isWhole
    }
  }

  /// As many as the stack takes: 1 KiB, beyond which it would be the heap.
  private static var groupCount: Int { 32 }

  @inline(__always)
  private func insert(_ group: UnsafeBufferPointer<csup_entry>) {
    let fits =
      group.count == 1 ? insert(group[0]) : csup_memtable_insert_all(list, group.baseAddress!, UInt32(group.count))
    precondition(fits, "room was checked before")
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
