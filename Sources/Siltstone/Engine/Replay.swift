/// Puts the log's entries into memtables when a database is recovered. One that fills is flushed on the spot, so that
/// recovery needs no more memory than running does; but by a process that only reads, which keeps them all. Nobody else
/// has the database open.
struct Replay {
  let parts: SharedParts
  let view: CurrentView
  let tree: TreeKeeper

  func run(_ recovery: LogRecovery) throws(SiltstoneError) -> LogRecovery.Outcome {
    try recovery.replay { (payload, firstByte) throws(SiltstoneError) in
      // No batch that was let in takes more than this; one that did could outgrow an arena's 32-bit offsets.
      guard let size = EntryEncoding.measure(payload),
        Memtable.capacityNeeded(count: size.count, payloadBytes: size.keyValueBytes) <= Limits.maxBatchBytes
      else {
        throw .corrupt("the log record at position \(firstByte) verifies, but makes no sense", file: "log")
      }
      var memtable = try view.load().active
      if !memtable.hasRoom(count: size.count, payloadBytes: size.keyValueBytes) {
        memtable = try rotate(memtable, at: firstByte - UInt64(RecordFraming.headerBytes), for: size)
      }
      let isInserted = memtable.insert(payload: payload, firstByte: firstByte)
      precondition(isInserted, "it was measured, and room was checked before")
    }
  }

  private func rotate(
    _ full: Memtable, at position: LogPosition, for batch: (count: Int, keyValueBytes: Int)
  ) throws(SiltstoneError) -> Memtable {
    var minimum = Memtable.capacityNeeded(count: batch.count, payloadBytes: batch.keyValueBytes)
    // Each twice as large as the last: however long the log is, a few hold it, and the arena table does.
    if shared.isPrivate { minimum = max(minimum, min(2 * full.sizeBytes, Replay.maxGrownBytes)) }
    guard
      let fresh = try parts.arenas.activate(
        firstPosition: position, commonPrefix: full.commonKeyPrefix(), minimumBytes: minimum, ignoringLimit: true)
    else { throw SiltstoneError(.outOfMemory, "the table of memtables is full") }
    try view.follow()
    if !shared.isPrivate { try flushSealed() }
    return fresh
  }
  private static let maxGrownBytes = 1 << 30
  private var shared: SharedState { parts.shared }

  /// Flushes what is sealed, oldest first. On a full disk it may wait in memory, as it would have had to while
  /// running: so a database that filled its disk can still be read.
  private func flushSealed() throws(SiltstoneError) {
    while true {
      let current = try view.load()
      guard let oldest = current.sealed.last else { return }
      let next = current.sealed.dropLast().last ?? current.active
      do throws(SiltstoneError) {
        _ = try tree.flush(oldest, end: next.firstPosition)
      } catch {
        guard error.code == .diskFull, current.sealed.count < parts.arenas.plan.limit else { throw error }
        return
      }
    }
  }
}
