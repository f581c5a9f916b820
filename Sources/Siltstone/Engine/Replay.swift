/// Puts the log's entries into memtables when a database is recovered. One that fills is flushed on the spot, so that
/// recovery needs no more memory than running does; but by a process that only reads, which keeps them all. Nobody else
/// has the database open.
struct Replay {
  let parts: SharedParts
  let view: CurrentView
  let tree: TreeKeeper

  func run(_ recovery: LogRecovery) throws(SiltstoneError) -> LogRecovery.Outcome {
    try recovery.replay { (batch) throws(SiltstoneError) in
      // No batch that was let in takes more than this; one that did could outgrow an arena's 32-bit offsets.
      guard let size = EntryEncoding.measure(batch.payload),
        Memtable.capacityNeeded(count: size.count, payloadBytes: size.keyValueBytes) <= Limits.maxBatchBytes
      else {
        throw .corrupt("the log record at position \(batch.firstByte) verifies, but makes no sense", file: "log")
      }
      let bytes = size.memtableBytes(keepsValues: batch.keepsValues)
      var memtable = try view.load().active
      if !memtable.hasRoom(count: size.count, payloadBytes: bytes) {
        memtable = try rotate(
          memtable, at: batch.firstByte - UInt64(RecordFraming.headerBytes),
          minimumBytes: Memtable.capacityNeeded(count: size.count, payloadBytes: bytes), recovery)
      }
      let isInserted = memtable.insert(batch)
      precondition(isInserted, "it was measured, and room was checked before")
    }
  }

  private func rotate(
    _ full: Memtable, at position: LogPosition, minimumBytes: Int, _ recovery: LogRecovery
  ) throws(SiltstoneError) -> Memtable {
    // Each twice as large as the last: however long the log is, a few hold it, and the arena table does.
    let grown = shared.isPrivate ? min(2 * full.sizeBytes, Replay.maxGrownBytes) : 0
    guard
      let fresh = try parts.arenas.activate(
        firstPosition: position, commonPrefix: full.commonKeyPrefix(),
        minimumBytes: max(minimumBytes, grown), ignoringLimit: true)
    else { throw SiltstoneError(.outOfMemory, "the table of memtables is full") }
    try view.follow()
    if shared.isPrivate { return fresh }
    // A table may point at values in the files, and the log up to here will not be replayed again.
    try recovery.syncFiles(upTo: position)
    try flushSealed()
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
