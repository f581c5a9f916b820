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
  /// Entries that wait for values to be moved: some of them, and all that came after those.
  private var waiting: [WaitingEntry] = []
  private var waitingBytes = 0

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
      try writeWaiting()
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
    if trailer.isApart || !waiting.isEmpty, try waits(key, trailer) { return }
    try outputs.add(key, trailer, merge.value, startsKey: rule.startsKey)
  }

  // MARK: - Values that are moved

  private struct WaitingEntry {
    let key: [UInt8]
    let trailer: KeyTrailer
    let value: [UInt8]
    let startsKey: Bool
    /// Where its value is to be moved from.
    let source: ValuePointer?
  }

  /// Whether the merge's current entry has to wait: its value is to be moved, or that of an entry before it. Values are
  /// moved many at a time, so that their reads overlap.
  @inline(never)
  private mutating func waits(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) -> Bool {
    guard let moves = context.moves else { return false }
    var source: ValuePointer?
    if trailer.isApart {
      guard let pointer = ValuePointer(merge.value) else {
        throw SiltstoneError(.corruption, "a value's pointer is none")
      }
      if moves.concerns(pointer) { source = pointer }
    }
    if source == nil, waiting.isEmpty { return false }
    waiting.append(
      WaitingEntry(
        key: key.copied(), trailer: trailer, value: merge.value.copied(), startsKey: rule.startsKey, source: source))
    waitingBytes += key.count + merge.value.count + (source?.length ?? 0)
    if waitingBytes >= ValueBatch.windowBytes { try writeWaiting() }
    return true
  }

  private mutating func writeWaiting() throws(SiltstoneError) {
    guard let moves = context.moves, !waiting.isEmpty else { return }
    var batch = ValueBatch(moves.values, try context.storage.makeIOQueue(depth: CompactionJob.readDepth))
    var next = 0
    try batch.read(waiting.compactMap(\.source)) { (_, value) throws(SiltstoneError) in
      try context.cancellation.check()
      while waiting[next].source == nil {
        try write(waiting[next], waiting[next].value, waiting[next].trailer)
        next += 1
      }
      try move(waiting[next], value, moves)
      next += 1
    }
    for entry in waiting[next...] { try write(entry, entry.value, entry.trailer) }
    waiting.removeAll(keepingCapacity: true)
    waitingBytes = 0
  }

  private static let readDepth = 16

  private mutating func move(
    _ entry: WaitingEntry, _ value: ByteView, _ moves: ValueMoves
  ) throws(SiltstoneError) {
    result.valueBytesMoved += UInt64(value.count)
    guard let moved = try moves.move(value, entry.source?.checksum ?? 0) else {
      return try write(entry, value.copied(), KeyTrailer(entry.trailer.sequence, .put))
    }
    result.valuesEnd = max(result.valuesEnd, moved.end)
    var pointer = ByteBuffer(capacityBytes: ValuePointer.maxEncodedBytes)
    pointer.append(upTo: ValuePointer.maxEncodedBytes) { moved.store(at: $0) }
    try write(entry, pointer.view.copied(), entry.trailer)
  }

  private mutating func write(
    _ entry: WaitingEntry, _ value: [UInt8], _ trailer: KeyTrailer
  ) throws(SiltstoneError) {
    try entry.key.withView { (key) throws(SiltstoneError) in
      try value.withView { (value) throws(SiltstoneError) in
        try outputs.add(key, trailer, value, startsKey: entry.startsKey)
      }
    }
  }
}
