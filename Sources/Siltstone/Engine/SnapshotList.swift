internal import Synchronization

/// The positions that somebody in this process reads at, each registered in the table of all processes. Flush and
/// compaction keep, for each of them, what it sees.
final class SnapshotList: Sendable {
  private let table: SnapshotTable
  private struct Entry {
    var index: Int
    var count: Int
  }
  private let positions = Mutex<[LogPosition: Entry]>([:])

  init(_ table: SnapshotTable) { self.table = table }

  /// Registers the present, and returns it.
  func acquire(_ present: () -> LogPosition) throws(SiltstoneError) -> LogPosition {
    try positions.withLock { (positions) throws(SiltstoneError) in
      // Under the lock, and registered already: whatever comes after the present comes after its registration.
      let now = present()
      if positions[now] != nil {
        positions[now]?.count += 1
        return now
      }
      let (index, position) = try table.acquire(present)
      if positions[position] != nil {
        positions[position]?.count += 1
        table.release(index)
      } else {
        positions[position] = Entry(index: index, count: 1)
      }
      return position
    }
  }

  func release(_ position: LogPosition) {
    if table.isInherited { return }
    positions.withLock { positions in
      guard let entry = positions[position] else { preconditionFailure("a snapshot is released once") }
      positions[position] = entry.count == 1 ? nil : Entry(index: entry.index, count: entry.count - 1)
      if entry.count == 1 { table.release(entry.index) }
    }
  }

  /// Those of all processes, ascending, without repeats.
  func sorted() throws(SiltstoneError) -> [LogPosition] { try table.sorted() }
  /// If it cannot be told, everything is kept.
  var oldest: LogPosition? {
    do throws(SiltstoneError) { return try table.sorted().first } catch { return 0 }
  }

  func positions(ofSlot slot: Int) -> [LogPosition] { table.positions(ofSlot: slot) }

  /// Those of this process.
  var count: Int { positions.withLock { $0.values.reduce(0) { $0 + $1.count } } }
}
