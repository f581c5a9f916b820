internal import Synchronization

/// A memtable's tables, written and open, with the edit that puts them into the tree.
struct PendingFlush {
  let memtable: Memtable
  let edit: VersionEdit
  let opened: [Table]
  let result: JobResult
  /// Until the edit is done, its tables count as being written.
  let outputs: OutputFloor.Hold
  let beganNanoseconds: UInt64
}

extension TreeKeeper {
  /// What jobs need to know; the snapshots are those of now.
  func jobContext(
    _ cancellation: Cancellation, _ progress: JobProgress = JobProgress()
  ) throws(SiltstoneError) -> JobContext {
    JobContext(
      storage: storage, snapshots: try snapshots.sorted(), targetTableBytes: shape.targetTableBytes,
      nextFileNumber: { self.takeFileNumber() }, cancellation: cancellation, progress: progress)
  }

  /// Writes a sealed memtable to level 0, and takes it out of the view. Everything before `end` is in tables then.
  ///
  /// When it throws, call it again: what was written is kept if the manifest may have it already.
  ///
  /// REQUIRES: it is the oldest sealed one, nobody inserts into it any more, and one flush at a time.
  /// - Returns: how long it took, in nanoseconds.
  func flush(_ memtable: Memtable, end: LogPosition) throws(SiltstoneError) -> UInt64 {
    let pending: PendingFlush
    if let unfinished = unfinishedFlush.withLock({ $0 }) {
      assert(unfinished.memtable.serial == memtable.serial, "memtables are flushed one after the other")
      pending = unfinished
    } else {
      pending = try write(memtable, end: end)
      unfinishedFlush.withLock { $0 = pending }
    }
    try commit(pending.edit, opened: pending.opened, flushed: memtable.serial)
    unfinishedFlush.withLock { $0 = nil }
    let duration = storage.monotonicNanoseconds() - pending.beganNanoseconds
    announce(pending.result, duration)
    return duration
  }

  private func write(_ memtable: Memtable, end: LogPosition) throws(SiltstoneError) -> PendingFlush {
    let begin = storage.monotonicNanoseconds()
    let hold = outputs.begin()
    var job = FlushJob(
      MemtableCursor(memtable), end: end, layout: view.peek().version.layout, shape: shape,
      context: try jobContext(Cancellation()))
    let result = try job.run()
    KillPoint.reach(.tableWritten)
    return PendingFlush(
      memtable: memtable, edit: .flush(result.outputs, run: takeRunID(), logStart: end),
      opened: try open(result.outputs), result: result, outputs: hold, beganNanoseconds: begin)
  }

  private func announce(_ result: JobResult, _ duration: UInt64) {
    note { work in
      work.flushes += 1
      work.flushBytesWritten += result.bytesWritten
    }
    options.eventHandler?(
      Event(
        .flush, "\(result.entriesRead) entries to \(result.outputs.count) tables, \(result.bytesWritten) bytes",
        durationNanoseconds: duration, bytesWritten: result.bytesWritten))
  }
}
