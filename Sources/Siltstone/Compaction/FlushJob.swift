/// Writes a memtable's entries to level 0 as one run: one table, or more if it is large.
///
/// Versions that nobody can see any more stay behind. Tombstones all go along: what they hide may be in an older
/// memtable that is not yet flushed.
struct FlushJob<Source: EntryCursor & ~Copyable>: ~Copyable {
  private var source: Source
  private let context: JobContext
  private let shape: CompactionShape
  private let layout: TreeLayout
  private let end: LogPosition

  /// `layout` is the tree as it is now; it decides only what the table is like.
  ///
  /// - Parameter end: where the next memtable begins. What lies behind belongs to a batch whose committer died half way
  ///   and which went to the next memtable as a whole: nobody may see it before it is finished there.
  init(
    _ source: consuming Source, end: LogPosition, layout: TreeLayout, shape: CompactionShape, context: JobContext
  ) {
    self.source = source
    self.end = end
    self.layout = layout
    self.shape = shape
    self.context = context
  }

  /// Does the job. When it throws, nothing that it wrote is left, and it may be run again.
  mutating func run() throws(SiltstoneError) -> JobResult {
    var result = JobResult()
    guard let interval = try interval() else { return result }
    // What overlaps nothing will go down by moves alone, and never be rewritten: it is at the bottom already.
    let settings = shape.tableSettings(
      level: 0, lastLevel: layout.lastLevel, isBottom: !layout.overlapsAnything(interval))
    var outputs = TableOutputs(
      storage: context.storage, settings: settings, targetTableBytes: context.targetTableBytes,
      nextFileNumber: context.nextFileNumber)
    do throws(SiltstoneError) {
      try write(into: &outputs, &result)
      result.outputs = try outputs.finish()
    } catch {
      outputs.abandon()
      throw error
    }
    result.entriesWritten = outputs.entryCount
    return result
  }

  /// From the first to the last key; nil if there is none.
  private mutating func interval() throws(SiltstoneError) -> KeyInterval? {
    try source.seekToLast()
    guard source.isValid else { return nil }
    let largest = source.key.copied()
    try source.seekToFirst()
    guard source.isValid else { return nil }
    return KeyInterval(smallest: source.key.copied(), largest: largest)
  }

  /// REQUIRES: the source stands on its first entry.
  private mutating func write(
    into outputs: inout TableOutputs, _ result: inout JobResult
  ) throws(SiltstoneError) {
    var rule = RetentionRule(snapshots: context.snapshots)
    while source.isValid {
      // Looking at a flag is cheap beside writing an entry.
      try context.cancellation.check()
      let (key, trailer) = (source.key, source.trailer)
      result.entriesRead &+= 1
      if trailer.sequence >= end {
        result.versionsDropped &+= 1
      } else if rule.keeps(key, trailer) {
        if trailer.isApart { try check(source.value, trailer) }
        try outputs.add(key, trailer, source.value, startsKey: rule.startsKey)
      } else {
        result.versionsDropped &+= 1
      }
      try source.next()
    }
  }

  /// A memtable may have been written over, and a table must not point at what does not exist.
  private func check(_ value: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    guard let pointer = ValuePointer(value), pointer.position > trailer.sequence, pointer.end <= end else {
      throw SharedState.writtenOver("a memtable has an entry whose value lies where none is")
    }
  }
}

extension VersionEdit {
  /// The edit that installs a flush: its tables become a run of level 0, and the log is needed only from `logStart` on.
  /// The caller adds `nextFileNumber` and `nextRunID`.
  static func flush(_ outputs: [TableMetadata], run: UInt64, logStart: LogPosition) -> VersionEdit {
    var edit = VersionEdit(logStart: logStart)
    for table in outputs { edit.add(table, level: 0, run: run) }
    return edit
  }
}
