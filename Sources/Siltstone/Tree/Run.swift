/// A sorted run: open tables in key order, no two of which cover a common key. Immutable and thread-safe; versions
/// share the runs that an edit did not touch.
///
/// The tables' bounds are kept beside each other in memory of the run's own, so that a lookup touches no table but the
/// one that may hold its key.
final class Run: Sendable {
  private struct Fence {
    var largestPrefix: UInt64
    var largest: ByteView
    var smallest: ByteView
  }

  /// Larger is newer, within a level.
  let id: UInt64
  let tables: [Table]
  /// One a table. They and the keys they point at are written once, in `init`.
  nonisolated(unsafe) private let fences: UnsafeMutablePointer<Fence>
  nonisolated(unsafe) private let keys: UnsafeMutableRawPointer

  /// REQUIRES: in key order, without overlap.
  init(id: UInt64, tables: [Table]) {
    self.id = id
    self.tables = tables
    fences = .allocate(capacity: max(tables.count, 1))
    let keyBytes = tables.reduce(0) { $0 + $1.metadata.smallestKey.count + $1.metadata.largestKey.count }
    keys = .allocate(byteCount: max(keyBytes, 1), alignment: 1)
    var end = keys
    for (index, table) in tables.enumerated() {
      let smallest = table.metadata.smallestKey.withView { $0.stored(at: &end) }
      let largest = table.metadata.largestKey.withView { $0.stored(at: &end) }
      (fences + index).initialize(
        to: Fence(largestPrefix: largest.bigEndianPrefix, largest: largest, smallest: smallest))
    }
  }

  deinit {
    fences.deallocate()
    keys.deallocate()
  }

  /// The index of the first table that ends at or behind `key`; `tables.count` if all end before it.
  @inline(__always)
  func firstIndex(endingAtOrAfter key: ByteView) -> Int {
    let prefix = key.bigEndianPrefix
    var low = 0
    var high = tables.count
    while low < high {
      let middle = (low &+ high) &>> 1
      let fence = fences + middle
      let isBefore =
        fence.pointee.largestPrefix != prefix
        ? fence.pointee.largestPrefix < prefix : fence.pointee.largest.compare(key) < 0
      if isBefore { low = middle &+ 1 } else { high = middle }
    }
    return low
  }

  /// The one table whose bounds contain `key`, if there is one.
  @inline(__always)
  func table(covering key: ByteView) -> Table? {
    let index = firstIndex(endingAtOrAfter: key)
    guard index < tables.count, fences[index].smallest.compare(key) <= 0 else { return nil }
    return tables[index]
  }

  /// The index of the last table that begins at or before `key`; -1 if all begin behind it.
  func lastIndex(beginningAtOrBefore key: ByteView) -> Int {
    let index = firstIndex(endingAtOrAfter: key)
    return index < tables.count && fences[index].smallest.compare(key) <= 0 ? index : index - 1
  }
}

/// One level of a version.
struct Level: Sendable {
  /// Newest first.
  let runs: [Run]
}
