/// Merges a task's tables into new ones. What goes out is what any reader, now or later, could still see of what comes
/// in: each key's versions by `RetentionRule`, and no tombstone that has nothing to hide.
///
/// At the bottom, where nothing older can lie below, a version that everybody sees gets the sequence number 0: it needs
/// no other, since every newer version of its key is above 0 and every snapshot that sees it is too. No second version
/// of the key can get 0 beside it: this one would lie below that one, or be merged with it and dropped.
struct CompactionJob: ~Copyable {
  private let task: CompactionTask
  private let context: JobContext
  private var merge: MergingCursor<RunCursor>
  private var rule: RetentionRule
  private var beneath: BeneathRuns
  private var outputs: TableOutputs
  private var result = JobResult()

  /// `version` is one that has the plan's inputs, such as the one it was picked from; the job pins their tables.
  init(_ task: CompactionTask, version: Version, context: JobContext) {
    self.task = task
    self.context = context
    let runs = task.input.runs.map { run in
      Run(id: run.id, tables: run.tables.map { version.table($0.number) })
    }
    let cursors = UnsafeMutablePointer<RunCursor>.allocate(capacity: max(runs.count, 1))
    for (index, run) in runs.enumerated() {
      (cursors + index).initialize(to: RunCursor(run, mode: .sequential))
    }
    merge = MergingCursor(
      taking: cursors, count: runs.count, sharedPrefixBytes: CompactionJob.sharedPrefixBytes(task.input))
    rule = RetentionRule(snapshots: context.snapshots)
    beneath = BeneathRuns(task.beneath)
    outputs = TableOutputs(
      storage: context.storage, settings: task.input.settings, targetTableBytes: context.targetTableBytes,
      nextFileNumber: context.nextFileNumber)
  }

  /// All keys lie between the smallest and the largest, and so begin with what those two have in common.
  private static func sharedPrefixBytes(_ input: MergeInput) -> Int {
    guard var interval = input.tables.first?.interval else { return 0 }
    for table in input.tables { interval.formUnion(table.interval) }
    return interval.smallest.withView { smallest in
      interval.largest.withView { smallest.commonPrefixLength($0) }
    }
  }

  /// Does the task. When it throws, nothing that it wrote is left.
  mutating func run() throws(SiltstoneError) -> JobResult {
    do throws(SiltstoneError) {
      try mergeAll()
      result.outputs = try outputs.finish()
    } catch {
      outputs.abandon()
      throw error
    }
    result.bytesRead = task.inputBytes
    result.entriesWritten = outputs.entryCount
    return result
  }

  private mutating func mergeAll() throws(SiltstoneError) {
    if let lower = task.lower {
      try lower.withView { (lower) throws(SiltstoneError) in try merge.seek(lower, .newest) }
    } else {
      try merge.seekToFirst()
    }
    while merge.isValid {
      try context.cancellation.check()
      if let upper = task.upper {
        if try upper.withView({ (upper) throws(SiltstoneError) in try mergeSome(before: upper) }) { return }
      } else {
        _ = try mergeSome(before: nil)
      }
    }
  }

  /// Entries between two looks at whether to give up: some milliseconds of work.
  private static let stride = 16_384

  /// Merges up to `stride` entries; true if the next entry is not before `upper`.
  private mutating func mergeSome(before upper: ByteView?) throws(SiltstoneError) -> Bool {
    var left = CompactionJob.stride
    defer { context.progress.add(entriesRead: CompactionJob.stride - left) }
    while left > 0, merge.isValid {
      let key = merge.key
      if let upper, key.compare(upper) >= 0 { return true }
      try pass(key, merge.trailer)
      try merge.next()
      left &-= 1
    }
    return false
  }

  /// Writes the merge's current entry, if anybody needs it.
  @inline(__always)
  private mutating func pass(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    result.entriesRead &+= 1
    guard rule.keeps(key, trailer) else {
      result.versionsDropped &+= 1
      return
    }
    var trailer = trailer
    if rule.isSeenByAll, !beneath.mayHold(key) {
      if trailer.kindByte == EntryKind.delete.rawValue {
        result.tombstonesDropped &+= 1
        return
      }
      if trailer.isPut { trailer = trailer.unsequenced }
    }
    if trailer.isApart, let moves = context.moves, try move(moves, key, trailer) { return }
    try outputs.add(key, trailer, merge.value, startsKey: rule.startsKey)
  }

  /// Writes the merge's current entry with its value at another place, if it is to leave the one that it has.
  @inline(never)
  private mutating func move(
    _ moves: ValueMoves, _ key: ByteView, _ trailer: KeyTrailer
  ) throws(SiltstoneError) -> Bool {
    guard let pointer = ValuePointer(merge.value), moves.concerns(pointer) else { return false }
    let value = try moves.values.value(merge.value, mayCache: false)
    result.valueBytesMoved += UInt64(pointer.length)
    guard let moved = try moves.move(value.bytes, pointer.checksum) else {
      try outputs.add(key, KeyTrailer(trailer.sequence, .put), value.bytes, startsKey: rule.startsKey)
      return true
    }
    result.valuesEnd = max(result.valuesEnd, moved.end)
    var encoded = ByteBuffer(capacityBytes: ValuePointer.maxEncodedBytes)
    encoded.append(upTo: ValuePointer.maxEncodedBytes) { moved.store(at: $0) }
    try outputs.add(key, trailer, encoded.view, startsKey: rule.startsKey)
    return true
  }
}
