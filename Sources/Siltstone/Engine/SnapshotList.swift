internal import Synchronization

/// The positions that somebody reads at. Flush and compaction keep, for each of them, what it sees.
final class SnapshotList: Sendable {
  private let positions = Mutex<[LogPosition: Int]>([:])

  /// Registers the present, and returns it. `present` is read under the list's lock: a job that takes the list before
  /// sees only older entries, all of which this snapshot sees too; one that takes it later finds the snapshot in it.
  func acquire(_ present: () -> LogPosition) -> LogPosition {
    positions.withLock { positions in
      let position = present()
      positions[position, default: 0] += 1
      return position
    }
  }

  func release(_ position: LogPosition) {
    positions.withLock { positions in
      guard let count = positions[position] else { preconditionFailure("a snapshot is released once") }
      positions[position] = count == 1 ? nil : count - 1
    }
  }

  /// Ascending, without repeats.
  func sorted() -> [LogPosition] { positions.withLock { $0.keys.sorted() } }

  var count: Int { positions.withLock { $0.values.reduce(0, +) } }
  var oldest: LogPosition? { positions.withLock { $0.keys.min() } }
}
