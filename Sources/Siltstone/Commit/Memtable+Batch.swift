internal import CSupport

extension Memtable {
  /// Inserts a batch's entries; those that are there already change nothing. Returns false if the payload is malformed
  /// or an entry does not fit; those before it are inserted then.
  ///
  /// The memtable gets some entries at a time: it overlaps its searches for them, and follows keys that are in order.
  ///
  /// REQUIRES: the caller is the only inserter.
  func insert(_ batch: LoggedBatch) -> Bool {
    withUnsafeTemporaryAllocation(of: csup_entry.self, capacity: Memtable.groupCount) { group in
      withUnsafeTemporaryAllocation(byteCount: Memtable.groupCount * ValuePointer.maxEncodedBytes, alignment: 8) {
        pointers in
        var count = 0
        var fits = true
        let isWhole = EntryEncoding.forEach(in: batch.payload) { entry in
          let sequence = batch.firstByte &+ UInt64(entry.offset)
          if entry.kind == .putApart, batch.keepsValues {
            let place = pointers.baseAddress! + count &* ValuePointer.maxEncodedBytes
            let pointer = ByteView(place, batch.pointer(to: entry).store(at: place))
            group[count] = csup_entry(entry.key, KeyTrailer(sequence, .putApart), pointer)
          } else {
            let kind = entry.kind == .delete ? EntryKind.delete : .put
            group[count] = csup_entry(entry.key, KeyTrailer(sequence, kind), entry.value)
          }
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

extension LoggedBatch {
  @inline(__always)
  fileprivate func pointer(to entry: EntryEncoding.Entry) -> ValuePointer {
    ValuePointer(
      batch: firstByte, recordBytes: recordBytes, offset: entry.value.base - payload.base, length: entry.value.count,
      checksum: entry.checksum)
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
