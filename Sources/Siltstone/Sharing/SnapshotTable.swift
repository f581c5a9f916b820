internal import CSupport

/// The positions that snapshots read at, of all processes, in SHARED. A job that drops versions reads it first, and
/// keeps for each of them what it sees. Thread-safe.
struct SnapshotTable: Sendable {
  static let capacity = Int(CSUP_SHARED_SNAPSHOTS)
  private let processes: ProcessTable
  /// For a process that may not write: it marks its positions.
  private let marks: (any FileMarks)?
  /// The owner, as the words have it.
  private let owner: UInt64

  init(_ processes: ProcessTable, marks: (any FileMarks)? = nil) {
    self.processes = processes
    self.marks = marks
    owner = UInt64(processes.own + 1)
  }

  /// Whether what is registered is a parent's, as `ProcessTable` has it.
  var isInherited: Bool { processes.isInherited }

  private func word(_ index: Int) -> UnsafeMutablePointer<UInt64> {
    csup_snapshot_at(processes.shared.header, index)!
  }

  /// Registers the present, and returns it.
  ///
  /// The position is stored first and then read again, until it is the same: so an entry that the snapshot does not see
  /// was made visible after the store, and whoever could drop something in favour of that entry finds the snapshot.
  ///
  /// - Throws: `.outOfMemory` if the table is full, `.closed` if this process has left.
  func acquire(_ present: () -> LogPosition) throws(SiltstoneError) -> (index: Int, position: LogPosition) {
    if let marks { return try mark(marks, present) }
    var entry: (index: Int, position: LogPosition)?
    guard processes.withOwnSlot({ _ in entry = take(present) }) else {
      throw SiltstoneError(.closed, "the database was closed")
    }
    if let entry { return entry }
    throw SiltstoneError(.outOfMemory, "there are \(SnapshotTable.capacity) snapshots, which is the limit")
  }

  private func take(_ present: () -> LogPosition) -> (index: Int, position: LogPosition)? {
    var position = present()
    // Begin at a place of one's own, so that processes do not meet.
    let start = Int(owner) * 41
    for step in 0..<SnapshotTable.capacity {
      let index = (start + step) % SnapshotTable.capacity
      if csup_load(word(index)) != 0 || !csup_replace(word(index), 0, position << 8 | owner) { continue }
      while true {
        csup_fence()
        let now = present()
        if now == position { return (index, position) }
        position = now
        csup_store(word(index), position << 8 | owner)
      }
    }
    return nil
  }

  private func mark(
    _ marks: any FileMarks, _ present: () -> LogPosition
  ) throws(SiltstoneError) -> (index: Int, position: LogPosition) {
    let base = SharedState.LockByte.positions
    var position = present()
    while true {
      try marks.set(base + position, true)
      csup_fence()  // the system call alone does not keep the look back from coming first
      let now = present()
      if now == position { return (Int(position), position) }
      try? marks.set(base + position, false)
      position = now
    }
  }

  func release(_ index: Int) {
    if let marks {
      try? marks.set(SharedState.LockByte.positions + UInt64(index), false)
    } else {
      processes.withOwnSlot { _ in csup_store(word(index), 0) }
    }
  }

  /// Those of one process.
  func positions(ofSlot slot: Int) -> [LogPosition] {
    (0..<SnapshotTable.capacity).compactMap { index in
      let value = csup_load(word(index))
      return value & 0xFF == UInt64(slot + 1) ? value >> 8 : nil
    }
  }

  /// Ascending, without repeats. Those of processes that died count until their slots are cleared.
  func sorted() throws(SiltstoneError) -> [LogPosition] {
    csup_fence()  // after the entries that a job is going to look at were made visible
    let base = SharedState.LockByte.positions
    var positions = try processes.storage.marks(
      SharedState.fileName, in: base..<base + KeyTrailer.maxSequence + 1, limit: .max
    ).map { $0 - base }
    for index in 0..<SnapshotTable.capacity {
      let value = csup_load(word(index))
      if value != 0 { positions.append(value >> 8) }
    }
    positions.sort()
    var distinct: [LogPosition] = []
    for position in positions where position != distinct.last { distinct.append(position) }
    return distinct
  }
}
