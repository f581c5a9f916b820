internal import CSupport

/// Brings back what the log holds and no table does.
///
/// The outcome is always a prefix of the commit history. It contains every acknowledged commit: after the death of
/// the processes all of them, from the files and the ring; after a power cut those that were durable. Where the log
/// must reach a known position and does not verify up to there, bytes were damaged that had been acknowledged, and
/// that is an error, never a silent end.
struct LogRecovery {
  let storage: any Storage
  let database: DatabaseID
  let shared: SharedState
  let remains: SharedState.Remains?
  let segmentBytes: UInt64
  /// Everything before is in tables.
  let logStart: LogPosition
  /// The last segment that tables point into: what they point at was durable before they were shown.
  let lastValueSegment: UInt64

  struct Outcome {
    /// Behind the last record.
    var end: LogPosition
    var recordCount = 0
    var entryCount = 0
    /// The log file's watermarks, to begin the new life with.
    var drained: LogPosition
    var durable: LogPosition
  }

  /// Only then do the watermarks speak of the ring's and the files' present content.
  private var ringIsLive: Bool { remains?.ringIsLive ?? false }

  /// Calls `apply` with each whole batch, in commit order. Of a batch that is not in the files as a whole, entries have
  /// their values themselves: they may be in a table before the ring is drained.
  func replay(_ apply: (LoggedBatch) throws(SiltstoneError) -> Void) throws(SiltstoneError) -> Outcome {
    try checkBeginning()
    var ring: (SharedState, LogPosition, LogPosition)?
    var filesEnd = LogPosition.max
    if let remains, ringIsLive {
      ring = (shared, ringBegin(remains), remains.reserved)
      // After a failed sync nobody answers for what is not durable, even if it can be read.
      filesEnd = remains.failed ? min(ringBegin(remains), remains.durable) : ringBegin(remains)
    }
    var reader = LogReader(
      storage: storage, database: database, segmentBytes: segmentBytes, from: logStart, ring: ring)
    var outcome = Outcome(end: logStart, drained: logStart, durable: logStart)
    var assembly = BatchAssembly()
    while let record = try reader.next() {
      outcome.recordCount += 1
      outcome.entryCount += record.header.entryCount
      try assembly.add(record, isInFiles: record.end <= filesEnd, apply)
    }
    outcome.end = reader.position
    try checkReach(outcome.end)
    if let remains, ringIsLive {
      outcome.drained = min(max(ringBegin(remains), logStart), outcome.end)
      outcome.durable = min(max(remains.durable, logStart), outcome.drained)
    } else {
      try settleTail(outcome.end)
      outcome.drained = outcome.end
      outcome.durable = outcome.end
    }
    return outcome
  }

  /// From here on the ring is read instead of the files. After a failed write or sync that is as much as the ring still
  /// holds of what is not durable, and the next drain writes it again: what the files have of it is anybody's guess.
  private func ringBegin(_ remains: SharedState.Remains) -> LogPosition {
    guard remains.failed else { return remains.drained }
    // Behind `reserved` may stand a record that was never finished, of a quarter of the ring at most.
    let written = remains.reserved + shared.ringBytes / 4 + UInt64(RecordFraming.headerBytes)
    let held = StorageAlignment.roundUp(written - min(written, shared.ringBytes))
    return min(remains.drained, max(remains.durable, held))
  }

  /// The segment in which the log begins is made before the manifest names it, and kept until the manifest names
  /// another; only a database that was never written to has none.
  private func checkBeginning() throws(SiltstoneError) {
    let name = LogSegment.fileName(logStart / segmentBytes)
    if try storage.exists(name) { return }
    let names = try storage.list()
    let isNew = logStart == 0 && !names.contains { LogSegment.number(fromFileName: $0) != nil }
    if isNew, (remains?.reserved ?? 0) == 0 { return }
    throw SiltstoneError(.missingFile, "the log segment in which the log begins is missing", file: name)
  }

  /// What must be there: all of it if the last life ended in order or the machine never stopped; otherwise what was
  /// durable when SHARED was last written back.
  private func checkReach(_ end: LogPosition) throws(SiltstoneError) {
    if end / segmentBytes < lastValueSegment {
      throw .corrupt(
        "the log does not verify at position \(end), but tables point at values behind that",
        file: LogSegment.fileName(end / segmentBytes), offset: UInt64(LogSegment.headerBytes) + end % segmentBytes)
    }
    guard let remains else { return }
    let promised = ringIsLive || remains.clean ? remains.reserved : remains.durable
    guard end < promised else { return }
    let inRing = ringIsLive && end >= ringBegin(remains)
    throw .corrupt(
      "the log does not verify at position \(end), but was acknowledged up to \(promised)",
      file: inRing ? SharedState.fileName : LogSegment.fileName(end / segmentBytes),
      offset: inRing
        ? UInt64(CSUP_SHARED_HEADER_BYTES) + end % shared.ringBytes
        : UInt64(LogSegment.headerBytes) + end % segmentBytes)
  }

  // MARK: - After a power cut

  /// Makes the end found here the end for good.
  ///
  /// Writes that were in flight may have reached the disk behind a hole. Their records would verify again as soon as
  /// a new record happened to end where one of them begins, so they are erased; then the ring gets the block in which
  /// the log ends, since the next drain writes that block again.
  private func settleTail(_ end: LogPosition) throws(SiltstoneError) {
    let number = end / segmentBytes
    let name = LogSegment.fileName(number)
    let isThere = try storage.exists(name)
    let sizeBytes = isThere ? try storage.open(name, .read).sizeBytes() : 0
    let isWhole = sizeBytes == UInt64(LogSegment.headerBytes) + segmentBytes
    if isThere, !isWhole, end % segmentBytes != 0 {
      throw .corrupt("the log segment is shorter than it was made", file: name)
    }
    // Who only reads leaves that to the next who writes.
    if shared.isPrivate { return }
    for name in try storage.list() {
      if let other = LogSegment.number(fromFileName: name), other > number { try storage.remove(name) }
    }
    try storage.syncDirectory()
    if isWhole {
      try eraseTail(of: try storage.open(name, .readWrite), from: end % segmentBytes)
    } else if isThere {
      try storage.remove(name)  // half made, and so never used: it will be made again
    }
    try syncFiles(upTo: end)
  }

  /// Makes what the files have of the log durable, up to `end`.
  func syncFiles(upTo end: LogPosition) throws(SiltstoneError) {
    for segment in (logStart / segmentBytes)...(end / segmentBytes) {
      let name = LogSegment.fileName(segment)
      if try storage.exists(name) { try storage.open(name, .readWrite).sync() }
    }
  }

  private func eraseTail(of file: any StorageFile, from inSegment: UInt64) throws(SiltstoneError) {
    let buffer = AlignedMemory(sizeBytes: 1 << 20)
    defer { withExtendedLifetime(buffer) {} }
    var offset = StorageAlignment.roundDown(inSegment)
    let kept = Int(inSegment - offset)
    if kept > 0 {
      let block = UnsafeMutableRawBufferPointer(start: buffer.base, count: StorageAlignment.bytes)
      guard try file.read(into: block, at: UInt64(LogSegment.headerBytes) + offset) == block.count else {
        throw .corrupt("the log segment ends early", file: file.name, offset: UInt64(LogSegment.headerBytes) + offset)
      }
      (buffer.base + kept).initializeMemory(as: UInt8.self, repeating: 0, count: block.count - kept)
      let position = try numberOf(file) * segmentBytes + offset
      csup_ring_write(shared.ring, shared.ringBytes, position, block.baseAddress!, block.count)
      try file.write(UnsafeRawBufferPointer(block), at: UInt64(LogSegment.headerBytes) + offset, .none)
      (buffer.base).initializeMemory(as: UInt8.self, repeating: 0, count: block.count)
      offset += UInt64(block.count)
    }
    while offset < segmentBytes {
      let length = min(buffer.sizeBytes, Int(segmentBytes - offset))
      let zeros = UnsafeRawBufferPointer(start: buffer.base, count: length)
      try file.write(zeros, at: UInt64(LogSegment.headerBytes) + offset, .none)
      offset += UInt64(length)
    }
  }

  private func numberOf(_ file: any StorageFile) throws(SiltstoneError) -> UInt64 {
    guard let number = LogSegment.number(fromFileName: file.name) else {
      throw .corrupt("not a log segment's name", file: file.name)
    }
    return number
  }
}

/// Puts batches that were cut into several records together again.
struct BatchAssembly: ~Copyable {
  private var pending = ByteBuffer()
  private var firstByte: LogPosition = 0
  private var recordBytes = 0
  private var isOpen = false

  init() {}

  mutating func add(
    _ record: LogReader.Record, isInFiles: Bool = true, _ apply: (LoggedBatch) throws(SiltstoneError) -> Void
  ) throws(SiltstoneError) {
    let header = record.header
    let keepsValues = header.keepsValues && isInFiles
    if !header.isContinuation {
      // A batch still open here was given up half way by a process that died: it never was.
      isOpen = header.continues
      firstByte = record.position + UInt64(RecordFraming.headerBytes)
      recordBytes = max(record.payload.count, 1)
      if !header.continues {
        return try apply(
          LoggedBatch(
            payload: record.payload, firstByte: firstByte, recordBytes: recordBytes, keepsValues: keepsValues))
      }
      pending.removeAll()
    } else if !isOpen {
      throw .corrupt("the log record at position \(record.position) continues a batch that never began", file: "log")
    }
    guard pending.count + record.payload.count <= Limits.maxBatchBytes else {
      throw .corrupt("the batch that ends at position \(record.position) is larger than any can be", file: "log")
    }
    pending.append(record.payload)
    if !header.continues {
      isOpen = false
      // The last record is the last to be in the files.
      try apply(
        LoggedBatch(payload: pending.view, firstByte: firstByte, recordBytes: recordBytes, keepsValues: keepsValues))
    }
  }
}
