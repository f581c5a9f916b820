internal import CSupport
internal import Glibc
internal import Synchronization

/// A batch as its caller made it, ready to be committed.
struct EncodedBatch {
  /// Entries in `EntryEncoding`.
  let payload: ByteView
  let size: BatchSize
}

/// What the pipeline does when all memtables are full.
protocol FlushWaiting: AnyObject, Sendable {
  /// Blocks until a flush finished, or throws what keeps it from finishing.
  func waitForFlush() throws(SiltstoneError)
  /// Whether readers pin so many arenas that there is no other way to go on than with one more. Asked once, it is no
  /// longer.
  func takeExtraArena() -> Bool
}

/// The one path that every write takes.
///
/// Encoding and the payload's checksum are done before. Under one short lock, without a system call but for a batch
/// larger than the ring, or for a new memtable where no used one is free: the record goes into the ring, `reserved`
/// moves past it, its entries go into the memtable, `published` follows. `reserved` moves only over what stands whole,
/// so whoever comes after an owner that died finds either nothing, or `published` behind `reserved` and a batch that
/// the ring can finish: it does that first. Then the caller waits for the watermark that its durability asks for.
final class CommitPipeline: Sendable {
  private let shared: SharedState
  private let segments: LogSegments
  private let drainer: LogDrainer
  private let view: CurrentView
  private let arenas: ArenaTable
  private let flushes: any FlushWaiting
  private let repair: CommitRepair
  let counters = CommitCounters()
  /// Set under the commit lock.
  private let isClosed = Atomic<Bool>(false)
  /// A memtable is sealed when the log has grown so much since it began, however little it holds: where values stay in
  /// the log, a memtable of pointers would keep gigabytes of it to be replayed.
  private let maxSpanBytes: UInt64

  /// Records are cut at 1 MiB, so that even a batch larger than the ring passes through it piece by piece.
  static let maxRecordPayloadBytes = 1 << 20
  /// The log role looks this often as the log grows: seldom enough to cost nothing, and often enough to be ahead.
  private static let tendBytes: UInt64 = 1 << 20
  private static let maxSpanFactor = 8

  init(
    shared: SharedState, segments: LogSegments, drainer: LogDrainer, view: CurrentView, arenas: ArenaTable,
    flushes: any FlushWaiting, repair: CommitRepair
  ) {
    self.shared = shared
    self.segments = segments
    self.drainer = drainer
    self.view = view
    self.arenas = arenas
    self.flushes = flushes
    self.repair = repair
    maxSpanBytes = UInt64(arenas.plan.arenaBytes * CommitPipeline.maxSpanFactor)
  }

  /// A quarter of a small ring, so that a record always fits beside what is being drained.
  private var recordPayloadLimit: Int { min(CommitPipeline.maxRecordPayloadBytes, Int(shared.ringBytes / 4)) }

  /// Commits the batch: atomic, ordered, visible on return, and as durable as asked.
  ///
  /// - Returns: the log position behind the batch; a read at it sees the batch.
  /// - Throws: `.diskFull` with nothing done if the log cannot grow; `.readOnly` after a failed log write. If the wait
  ///   for durability throws, the batch is visible but may not survive a power cut.
  func commit(_ batch: EncodedBatch, _ durability: Durability) throws(SiltstoneError) -> LogPosition {
    let checksums = RecordChecksums(batch.payload, recordBytes: recordPayloadLimit)
    let end = try append(batch, checksums)
    wakeLogRole(end)
    if durability == .synced { try sync(upTo: end) }
    return end
  }

  private func append(_ batch: EncodedBatch, _ checksums: borrowing RecordChecksums) throws(SiltstoneError)
    -> LogPosition
  {
    let logBytes = UInt64(batch.payload.count + checksums.count * RecordFraming.headerBytes)
    while true {
      try lock()
      switch prepare(batch, logBytes) {
      case .ready(let memtable, let valueShare):
        defer { unlock() }
        return try write(batch, checksums, memtable, valueShare)
      case .failed(let error):
        unlock()
        throw error
      case .awaitFlush:
        unlock()
        try flushes.waitForFlush()
      case .awaitSegments(let end):
        unlock()
        try segments.prepare(upTo: end)
      case .awaitDrain(let position):
        unlock()
        try drainer.waitDrained(position)
      }
    }
  }

  // MARK: - Under the commit lock

  private enum Preparation {
    case ready(Memtable, valueShare: UInt64)
    case failed(SiltstoneError)
    case awaitFlush
    case awaitSegments(LogPosition)
    case awaitDrain(LogPosition)
  }

  /// Sees to it that the batch can go through without waiting: a memtable, log segments and ring space for it.
  private func prepare(_ batch: EncodedBatch, _ logBytes: UInt64) -> Preparation {
    if isClosed.load(ordering: .relaxed) { return .failed(CommitPipeline.closed) }
    if shared.failed != 0 { return .failed(LogDrainer.poisoned(shared.failed)) }
    let reserved: LogPosition
    do throws(SiltstoneError) { reserved = try shared.logEnd() } catch { return .failed(error) }
    guard reserved + logBytes <= KeyTrailer.maxSequence else {
      return .failed(SiltstoneError(.invalidArgument, "the log has used up its 2^56 bytes"))
    }
    if shared.prepared < reserved + logBytes { return .awaitSegments(reserved + logBytes) }
    // What is larger than half the ring drains as it goes, in `write`.
    let needed = min(logBytes, shared.ringBytes / 2)
    if ringRoom(reserved) < needed {
      // In whole blocks, and more than this batch needs: so that not every one who comes has to wait.
      let room = max(needed, DrainPolicy.roomBytes(shared.ringBytes)) + UInt64(StorageAlignment.bytes)
      return .awaitDrain(min(reserved + room - min(reserved + room, shared.ringBytes), reserved))
    }
    let share = shared.valueShare(
      behind: logBytes, large: UInt64(batch.size.largeValueBytes), windowBits: segments.segmentBits)
    let memtableBytes = batch.size.memtableBytes(keepsValues: keepsValues(batch, share))
    do throws(SiltstoneError) {
      let memtable = try view.load().active
      if reserved &- memtable.firstPosition <= maxSpanBytes,
        memtable.hasRoom(count: batch.size.count, payloadBytes: memtableBytes)
      {
        return .ready(memtable, valueShare: share)
      }
      let minimum = Memtable.capacityNeeded(count: batch.size.count, payloadBytes: memtableBytes)
      guard let fresh = try rotate(from: memtable, minimumBytes: minimum) else { return .awaitFlush }
      return .ready(fresh, valueShare: share)
    } catch {
      return .failed(error)
    }
  }

  /// Large values stay in the log where most of it is such values. Elsewhere a value would keep a segment that is for
  /// the most part of no use any more from being used again, and goes with its key through memtable and tables.
  @inline(__always)
  private func keepsValues(_ batch: EncodedBatch, _ valueShare: UInt64) -> Bool {
    batch.size.largeValueBytes > 0 && (valueShare >= SharedState.evenShare || batch.size.isMovedValue)
  }

  /// Bytes that may be put into the ring now. The block in which the last drain ended is still needed: the next one
  /// writes it again.
  private func ringRoom(_ reserved: LogPosition) -> UInt64 {
    let used = reserved &- StorageAlignment.roundDown(shared.drained)
    return shared.ringBytes - min(used, shared.ringBytes)
  }

  /// Seals the memtable and puts a fresh one in its place, or returns nil if none is to be had yet.
  private func rotate(from full: Memtable, minimumBytes: Int = 0) throws(SiltstoneError) -> Memtable? {
    guard
      let fresh = try arenas.activate(
        firstPosition: shared.reserved, commonPrefix: full.commonKeyPrefix(), minimumBytes: minimumBytes,
        ignoringLimit: flushes.takeExtraArena())
    else { return nil }
    shared.announceChange()
    try view.follow()
    return fresh
  }

  private func write(
    _ batch: EncodedBatch, _ checksums: borrowing RecordChecksums, _ memtable: Memtable, _ valueShare: UInt64
  ) throws(SiltstoneError) -> LogPosition {
    let begin = try shared.logEnd()
    let logged = LoggedBatch(
      payload: batch.payload, firstByte: begin + UInt64(RecordFraming.headerBytes), recordBytes: recordPayloadLimit,
      keepsValues: keepsValues(batch, valueShare))
    if logged.keepsValues {
      shared.setValuesEnd(begin + UInt64(batch.payload.count + checksums.count * RecordFraming.headerBytes))
    }
    var position = begin
    for index in 0..<checksums.count {
      let piece = checksums.piece(index, of: batch.payload)
      let recordBytes = UInt64(RecordFraming.headerBytes + piece.count)
      if checksums.count > 1, ringRoom(position) < recordBytes { try drainer.waitDrained(position) }
      let header = RecordFraming.Header(
        payloadBytes: piece.count, entryCount: index == 0 ? min(batch.size.count, RecordFraming.maxEntryCount) : 0,
        continues: index + 1 < checksums.count, payloadChecksum: checksums[index], isContinuation: index > 0,
        keepsValues: logged.keepsValues)
      withUnsafeTemporaryAllocation(byteCount: RecordFraming.headerBytes, alignment: 8) { scratch in
        RecordFraming.encode(header, position: position, at: scratch.baseAddress!)
        csup_ring_write(shared.ring, shared.ringBytes, position, scratch.baseAddress!, scratch.count)
      }
      csup_ring_write(
        shared.ring, shared.ringBytes, position + UInt64(RecordFraming.headerBytes), piece.base, piece.count)
      position += recordBytes
      KillPoint.reach(.recordInRing)
      shared.setReserved(position)
      KillPoint.reach(.reserved)
    }
    // Room was checked before, so what fails is a memtable that somebody has written over. Then the batch stays
    // reserved, and whoever takes the lock next finishes it in a fresh one.
    guard memtable.insert(logged) else { throw memtable.damaged }
    KillPoint.reach(.inserted)
    shared.setValueShare(valueShare)
    shared.setPublished(position)
    KillPoint.reach(.published)
    counters.add(batch, logBytes: position - begin)
    csup_probe_commit_done(position, position - begin, UInt64(batch.size.count))
    return position
  }

  /// Whoever takes the lock finds what an owner that died has left, and finishes it. That is told by the watermarks:
  /// what is reserved and not published was being inserted. (A batch that was given up half way looks the same.)
  private func lock() throws(SiltstoneError) {
    if try shared.acquire(.commit) { counters.addTakeover() }
    if shared.published == shared.reserved { return }
    // Nothing is this engine's any more when it was closed, not even to repair.
    if isClosed.load(ordering: .relaxed) {
      unlock()
      throw CommitPipeline.closed
    }
    do throws(SiltstoneError) { try repair.finish() } catch {
      unlock()
      throw error
    }
  }

  private func unlock() { shared.release(.commit) }

  // MARK: - Others

  /// Seals the memtable, if it holds anything, so that it will be flushed.
  func seal() throws(SiltstoneError) {
    while true {
      try lock()
      let sealed: Result<Bool, SiltstoneError>
      do throws(SiltstoneError) {
        let active = try view.load().active
        if isClosed.load(ordering: .relaxed) { throw CommitPipeline.closed }
        sealed = .success(active.isEmpty ? true : try rotate(from: active) != nil)
      } catch {
        sealed = .failure(error)
      }
      unlock()
      if try sealed.get() { return }
      try flushes.waitForFlush()
    }
  }

  /// Lets no batch in any more: what is reserved when this returns is all that ever will be.
  func close() {
    // A lock that cannot be taken lets no other writer in either. What a dead owner left is for the next who writes.
    let isTaken = (try? shared.acquire(.commit)) != nil
    isClosed.store(true, ordering: .relaxed)
    if isTaken { unlock() }
  }

  private static var closed: SiltstoneError { SiltstoneError(.closed, "the database was closed") }

  /// Stores a value that a compaction moves at the end of the log. It is not durable yet, and nothing names it.
  ///
  /// - Returns: where it lies; nil if the log is no place for values now.
  func move(_ value: ByteView, checksum: UInt32) throws(SiltstoneError) -> ValuePointer? {
    var payload = ByteBuffer(capacityBytes: EntryEncoding.maxHeaderBytes + value.count)
    EntryEncoding.append(value: value, checksum: checksum, to: &payload)
    let batch = EncodedBatch(payload: payload.view, size: BatchSize(movedValueBytes: value.count))
    let share = shared.valueShare(
      behind: UInt64(payload.count), large: UInt64(value.count), windowBits: segments.segmentBits)
    if share < SharedState.evenShare { return nil }
    let checksums = RecordChecksums(payload.view, recordBytes: recordPayloadLimit)
    let end = try append(batch, checksums)
    wakeLogRole(end)
    let firstByte = end - UInt64(payload.count + (checksums.count - 1) * RecordFraming.headerBytes)
    return ValuePointer(
      batch: firstByte, recordBytes: recordPayloadLimit, offset: payload.count - value.count, length: value.count,
      checksum: checksum)
  }

  /// Everything acknowledged so far becomes durable.
  func sync() throws(SiltstoneError) { try sync(upTo: shared.reserved) }

  private func sync(upTo end: LogPosition) throws(SiltstoneError) {
    _ = csup_add32(shared.words.syncedWaits, 1)  // so that the log is kept short for the next one
    try drainer.waitDurable(end)
  }

  private func wakeLogRole(_ end: LogPosition) {
    guard counters.noteGrowth(end, every: min(CommitPipeline.tendBytes, shared.ringBytes / 4)) else { return }
    _ = csup_add32(shared.words.logWanted, 1)
    csup_futex_wake_all(shared.words.logWanted)
  }
}

/// The checksums of a payload's pieces, taken before the commit lock. Nearly always there is one.
struct RecordChecksums: ~Copyable {
  let count: Int
  private let recordBytes: Int
  private let first: UInt32
  private let others: [UInt32]

  init(_ payload: ByteView, recordBytes: Int) {
    self.recordBytes = recordBytes
    count = max(1, (payload.count &+ recordBytes &- 1) / recordBytes)
    first = csup_crc32c(0, payload.base, min(payload.count, recordBytes))
    others =
      count == 1
      ? []
      : (1..<count).map { index in
        let begin = index * recordBytes
        return csup_crc32c(0, payload.base + begin, min(recordBytes, payload.count - begin))
      }
  }

  subscript(index: Int) -> UInt32 { index == 0 ? first : others[index - 1] }

  func piece(_ index: Int, of payload: ByteView) -> ByteView {
    let begin = index &* recordBytes
    return ByteView(payload.base + begin, min(recordBytes, payload.count &- begin))
  }
}

/// What was committed so far. Changed under the commit lock, so a load and a store do for an addition.
final class CommitCounters: Sendable {
  private let batchCount = Atomic<UInt64>(0)
  private let entryCount = Atomic<UInt64>(0)
  private let keyValueByteCount = Atomic<UInt64>(0)
  private let logByteCount = Atomic<UInt64>(0)
  private let tendedAt = Atomic<UInt64>(0)
  private let takeoverCount = Atomic<UInt64>(0)

  @inline(__always)
  fileprivate func add(_ batch: EncodedBatch, logBytes: UInt64) {
    logByteCount.store(logBytesReserved &+ logBytes, ordering: .relaxed)
    if batch.size.isMovedValue { return }
    batchCount.store(batches &+ 1, ordering: .relaxed)
    entryCount.store(entries &+ UInt64(batch.size.count), ordering: .relaxed)
    keyValueByteCount.store(keyValueBytes &+ UInt64(batch.size.keyValueBytes), ordering: .relaxed)
  }

  fileprivate func addTakeover() { takeoverCount.store(takeovers &+ 1, ordering: .relaxed) }

  /// Whether the log has grown by that much since this was last true.
  @inline(__always)
  fileprivate func noteGrowth(_ end: LogPosition, every bytes: UInt64) -> Bool {
    if end < tendedAt.load(ordering: .relaxed) &+ bytes { return false }
    tendedAt.store(end, ordering: .relaxed)
    return true
  }

  var batches: UInt64 { batchCount.load(ordering: .relaxed) }
  var entries: UInt64 { entryCount.load(ordering: .relaxed) }
  var keyValueBytes: UInt64 { keyValueByteCount.load(ordering: .relaxed) }
  /// How often the commit lock was taken over from an owner that had died.
  var takeovers: UInt64 { takeoverCount.load(ordering: .relaxed) }
  var logBytesReserved: UInt64 { logByteCount.load(ordering: .relaxed) }
}
