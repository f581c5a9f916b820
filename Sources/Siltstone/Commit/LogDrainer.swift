internal import CSupport
internal import Glibc
internal import Synchronization

/// Moves the log from the ring to its files, and makes it durable. What has come into tables meanwhile is passed over:
/// the watermarks move, and nothing is written.
///
/// Nobody is the drainer by office: a thread that needs the log further along than it is takes the drain lock and
/// moves it for everyone; whoever comes meanwhile sleeps until that is done, and most often finds its own bytes
/// among what was moved. So a group commits with one durable write, led by one of its members, and no hand-off
/// stands between a put and its durability.
final class LogDrainer: Sendable {
  private let shared: SharedState
  private let segments: LogSegments
  /// Used by the holder of the drain lock, and taken after that.
  private let writer: Mutex<LogWriter>
  /// Threads of this process that sleep until a drain is over. Those of others are counted in the shared state; but one
  /// that was killed there counts for ever, which costs a needless wake-up, and must cost no more.
  private let waiters = Atomic<Int>(0)
  private let bytesWritten = Atomic<UInt64>(0)
  private let syncCount = Atomic<UInt64>(0)

  init(storage: any Storage, shared: SharedState, segments: LogSegments) throws(SiltstoneError) {
    self.shared = shared
    self.segments = segments
    writer = Mutex(try LogWriter(storage: storage))
  }

  /// Bytes written to log files, padding and rewritten blocks included.
  var totalBytesWritten: UInt64 { bytesWritten.load(ordering: .relaxed) }
  /// Durable writes: how many groups were committed.
  var totalSyncs: UInt64 { syncCount.load(ordering: .relaxed) }

  /// Returns when everything below `position` is on stable media, and as much beyond as there is: others wait as well.
  /// REQUIRES: `position <= reserved`.
  func waitDurable(_ position: LogPosition) throws(SiltstoneError) {
    while shared.durable < position {
      try checkIsReserved(position)
      try move(durable: true) { shared.durable >= position }
    }
  }

  /// The same, for which nothing beyond `position` is written. REQUIRES: a record ends there.
  func makeDurable(upTo position: LogPosition) throws(SiltstoneError) {
    while shared.durable < position {
      try checkIsReserved(position)
      try move(durable: true, upTo: position) { shared.durable >= position }
    }
  }

  /// Returns when everything below `position` is out of the ring: in the log files, durable or not, or in tables.
  /// REQUIRES: `position <= reserved`.
  func waitDrained(_ position: LogPosition) throws(SiltstoneError) {
    while shared.drained < position {
      try checkIsReserved(position)
      try move(durable: false, upTo: position) { shared.drained >= position }
    }
  }

  /// Nobody would ever get to what is not.
  private func checkIsReserved(_ position: LogPosition) throws(SiltstoneError) {
    if position > shared.reserved { throw SharedState.writtenOver("the log ends before what was written to it") }
  }

  /// Makes everything durable, and ends: when this has returned or thrown, no thread of this process moves the log any
  /// more. REQUIRES: nothing is appended any more.
  func end() throws(SiltstoneError) {
    // Not by the drain lock: whoever takes that answers for what its last owner left, and may wait for another process.
    defer { writer.withLock { $0.hasEnded = true } }
    if shared.failed == 0 { try waitDurable(shared.reserved) }
  }

  /// Drains once, to `limit` or the log's end, or sleeps while another thread does.
  func move(durable: Bool, upTo limit: LogPosition = .max, until done: () -> Bool) throws(SiltstoneError) {
    let word = shared.words.drainSequence
    let before = csup_load32(word)
    if shared.failed != 0 { throw LogDrainer.poisoned(shared.failed) }
    if done() { return }
    if let ownerDied = try shared.tryAcquire(.drain) {
      defer {
        // In this order: who still reads the old word will be woken, and who reads the new one finds the lock free.
        shared.release(.drain)
        wakeWaiters()
      }
      try writer.withLock { (writer) throws(SiltstoneError) in
        if ownerDied { try outliveDrainer() }
        if writer.hasEnded { throw SiltstoneError(.closed, "the database was closed") }
        // Again, now that no other can fail: a sync that comes after one that failed may succeed, and proves nothing.
        if shared.failed != 0 { throw LogDrainer.poisoned(shared.failed) }
        if durable, limit == .max { gather() }
        try skipFlushed()
        if !done() { try drain(&writer, durable: durable, upTo: limit) }
      }
    } else {
      _ = csup_add32(shared.words.drainWaiters, 1)
      waiters.add(1, ordering: .relaxed)
      // The limit only guards against a drainer that was stopped or killed before it could wake anyone.
      csup_futex_wait(word, before, 3_000_000)
      waiters.subtract(1, ordering: .relaxed)
      _ = csup_add32(shared.words.drainWaiters, .max)
    }
  }

  /// Lets those whose bytes have just become durable append their next ones. Whoever wakes first leads the next drain,
  /// and would else lead it for half of the group, time and again. Not where they are few: then a processor that is
  /// given away, perhaps to somebody who keeps it for its whole time slice, costs more than a second drain.
  private func gather() {
    if waiters.load(ordering: .relaxed) >= LogDrainer.groupWaiters { sched_yield() }
  }
  /// With four asleep, and who leads and who has been woken on top, a whole group was worth more in all measurements.
  private static let groupWaiters = 4

  private func wakeWaiters() {
    let word = shared.words.drainSequence
    _ = csup_add32(word, 1)
    if csup_load32(shared.words.drainWaiters) != 0 { csup_futex_wake_all(word) }
  }

  /// A drainer that died left nothing behind but watermarks that lag; what it wrote is simply written again. But not
  /// while the device may still be at its last writes: the block in which it ended would then, for all that anybody
  /// knows, be written over with its older self.
  ///
  /// Its process need not be gone for that; it is enough that the kernel has given up the thread's lock. That thread is
  /// the one that submits, and by then it submits no more. A plain write has returned. Of a ring's writes, those that
  /// were left to its workers are done or cancelled: a thread that exits ends its workers and waits for them before its
  /// locks are looked at (in Linux, `do_exit` comes to `io_uring_files_cancel` before `exit_mm`, which walks the robust
  /// list). It does not wait for writes that the device has got already: from before they are submitted until they are
  /// complete these count as the file's direct writes in flight, and are awaited there.
  private func outliveDrainer() throws(SiltstoneError) {
    do throws(SiltstoneError) {
      try segments.awaitWritesInFlight(from: StorageAlignment.roundDown(shared.drained), to: shared.reserved)
    } catch {
      // A full disk does not refuse blocks that are there; so this is no passing matter.
      shared.setFailed(error.errno)
      throw error
    }
  }

  /// What is in tables need not be in the log any more: recovery does not look at it. `log_start` moves when the edit
  /// that says so is durable, so everything below it is. The next drain begins in its block, all of which the ring has.
  ///
  /// This is the one place where bytes come to be left out of the files. Values that stay in the log never are: a flush
  /// makes them durable before it shows a table that points at them (see `Assembly`), so `drained` is past them then.
  private func skipFlushed() throws(SiltstoneError) {
    let start = shared.logStart
    guard start <= (try shared.logEnd()) else { throw SharedState.writtenOver("the log begins behind its end") }
    if start > shared.drained { shared.setDrained(start) }
    KillPoint.reach(.skipped)
    if start > shared.durable { shared.setDurable(start) }
  }

  private func drain(
    _ writer: inout LogWriter, durable: Bool, upTo limit: LogPosition
  ) throws(SiltstoneError) {
    // Each read once: what a process scribbles over them from here on is for the next drain to find.
    let (begin, end) = (shared.drained, try shared.logEnd())
    guard begin <= end, end - begin <= shared.ringBytes else {
      throw SharedState.writtenOver("its watermarks contradict one another")
    }
    let target = min(end, limit)
    // Making a segment can fail for want of space, and may be tried again; nothing has been written yet.
    try segments.prepare(upTo: target)
    csup_probe_drain_begin(begin, target, durable ? 1 : 0)
    defer { csup_probe_drain_end(shared.drained, shared.durable) }
    do throws(SiltstoneError) {
      let written = try writer.write(
        begin, upTo: target, of: shared, segments: segments, durable: durable && shared.durable == begin
      ) { drained in
        // The ring has room again, long before a long drain is over.
        shared.setDrained(max(min(drained, target), begin))
        wakeWaiters()
      }
      bytesWritten.add(written.bytes, ordering: .relaxed)
      KillPoint.reach(.drainWritten)
      shared.setDrained(max(target, begin))
      KillPoint.reach(.drained)
      guard durable, shared.durable < target else { return }
      if !written.isDurable { try writer.sync(segments: segments, from: shared.durable, upTo: target) }
      syncCount.add(1, ordering: .relaxed)
      shared.setDurable(target)
    } catch {
      // The log's blocks were allocated long ago, so this is the device speaking. What reached it is unknown, and
      // must not be guessed at: the database is read-only until recovery has looked.
      shared.setFailed(error.errno)
      throw error
    }
  }

  static func poisoned(_ errno: Int32) -> SiltstoneError {
    SiltstoneError(
      .readOnly, "writing the log failed; the database accepts no writes until it is reopened", errno: errno)
  }
}

/// The mechanics of a drain: which pieces of the ring go where. Used by the holder of the drain lock.
private struct LogWriter: ~Copyable {
  private let queue: any IOQueue
  /// Nothing is written any more.
  var hasEnded = false
  /// Large enough for the device's full rate, small enough that a durable write beside it does not wait long.
  private static let pieceBytes: UInt64 = 256 << 10
  /// Whoever waits for room in the ring is told this often.
  private static let reportBytes: UInt64 = 1 << 20

  init(storage: any Storage) throws(SiltstoneError) { queue = try storage.makeIOQueue(depth: 8) }

  /// Writes [drained, target) of the ring, widened to whole blocks: the block in which the last drain ended is written
  /// again, and the one in which this one ends holds bytes past `target` that mean nothing until a later drain covers
  /// them.
  /// With `durable`, and if one write does it, that write is itself the sync. As it goes on, `report` is told how far
  /// everything is written.
  borrowing func write(
    _ drained: LogPosition, upTo target: LogPosition, of shared: borrowing SharedState, segments: LogSegments,
    durable: Bool, _ report: (LogPosition) -> Void
  ) throws(SiltstoneError) -> (bytes: UInt64, isDurable: Bool) {
    guard drained < target else { return (0, false) }
    let begin = StorageAlignment.roundDown(drained)
    let end = StorageAlignment.roundUp(target)
    let first = pieceEnd(begin, end, segments.segmentBytes, shared.ringBytes)
    if durable, first == end {
      // One write that is its own sync, made by the thread that waits for it: through the queue, each of its two trips
      // to the device would pass through a thread of the kernel's, which has to be given a processor first.
      try segments.file(holding: begin).write(
        bytes(begin..<end, of: shared), at: segments.offset(of: begin), .dataSync)
      return (end - begin, true)
    }
    var position = begin
    var reported = begin
    var inFlight: [LogPosition] = []
    var failure: SiltstoneError?
    while (position < end && failure == nil) || queue.outstanding > 0 {
      if position < end, failure == nil, queue.outstanding < queue.depth {
        let next = pieceEnd(position, end, segments.segmentBytes, shared.ringBytes)
        try queue.submitWrite(
          try segments.file(holding: position), bytes(position..<next, of: shared), at: segments.offset(of: position),
          .none, tag: position)
        inFlight.append(position)
        position = next
        continue
      }
      let completion = try queue.wait()
      failure = failure ?? completion.error
      inFlight.removeAll { $0 == completion.tag }
      let written = inFlight.first ?? position
      if failure == nil, written - reported >= LogWriter.reportBytes, written < end {
        report(written)
        reported = written
      }
    }
    if let failure { throw failure }
    return (end - begin, false)
  }

  private borrowing func bytes(
    _ piece: Range<LogPosition>, of shared: borrowing SharedState
  ) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      start: shared.ring + Int(piece.lowerBound % shared.ringBytes), count: Int(piece.upperBound - piece.lowerBound))
  }

  /// The end of the piece that begins at `position`: it crosses neither a segment's end nor the ring's.
  private borrowing func pieceEnd(
    _ position: LogPosition, _ end: LogPosition, _ segmentBytes: UInt64, _ ringBytes: UInt64
  ) -> LogPosition {
    let segmentEnd = (position / segmentBytes + 1) * segmentBytes
    let ringEnd = (position / ringBytes + 1) * ringBytes
    return min(end, segmentEnd, ringEnd, position + LogWriter.pieceBytes)
  }

  /// Syncs the files that hold [start, target). A write that was its own sync may cover only itself (a device with
  /// forced unit access flushes nothing else), so earlier plain drains need this.
  borrowing func sync(
    segments: LogSegments, from start: LogPosition, upTo target: LogPosition
  ) throws(SiltstoneError) {
    var position = start
    while position < target {
      try segments.file(holding: position).sync()
      position = (position / segments.segmentBytes + 1) * segments.segmentBytes
    }
  }
}
