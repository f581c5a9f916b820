extension TreeKeeper {
  /// What jobs need to know; the snapshots are those of now.
  func jobContext(_ cancellation: Cancellation) -> JobContext {
    JobContext(
      storage: storage, snapshots: snapshots.sorted(), targetTableBytes: shape.targetTableBytes,
      nextFileNumber: { self.takeFileNumber() }, cancellation: cancellation)
  }

  /// Writes a sealed memtable to level 0, and takes it out of the view. Everything before `end` is in tables then.
  /// REQUIRES: it is the oldest sealed one, and nobody inserts into it any more.
  func flush(
    _ memtable: Memtable, end: LogPosition, cancellation: Cancellation = Cancellation()
  ) throws(SiltstoneError) -> (bytesWritten: UInt64, nanoseconds: UInt64) {
    let begin = storage.monotonicNanoseconds()
    let context = jobContext(cancellation)
    var job = FlushJob(
      MemtableCursor(memtable), layout: view.load().version.layout, shape: shape, context: context)
    let result = try job.run()
    let edit = VersionEdit.flush(result.outputs, run: takeRunID(), logStart: end)
    let opened = try open(result.outputs)
    try commit(edit, opened: opened) { old, version in
      ReadView(active: old.active, sealed: old.sealed.filter { $0 !== memtable }, version: version)
    }
    let duration = storage.monotonicNanoseconds() - begin
    note { work in
      work.flushes += 1
      work.flushBytesWritten += result.bytesWritten
    }
    options.eventHandler?(
      Event(
        .flush, "\(result.entriesRead) entries to \(result.outputs.count) tables, \(result.bytesWritten) bytes",
        durationNanoseconds: duration, bytesWritten: result.bytesWritten))
    return (result.bytesWritten, duration)
  }
}
