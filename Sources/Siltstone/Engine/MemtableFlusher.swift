internal import CSupport
internal import Synchronization

/// The holder of the flush role: turns sealed memtables into sorted runs, oldest first, and hands the pipeline fresh
/// ones. Also where a writer waits when it is faster than the disk.
final class MemtableFlusher: MemtableSupply {
  private let pool: MemtableArenaPool
  private let view: CurrentView
  private let storage: any Storage
  /// Writes one memtable to tables and installs them; set before the first write.
  private let flush: @Sendable (Memtable, _ end: LogPosition) throws(SiltstoneError) -> Void
  private let report: @Sendable (SiltstoneError) -> Void
  private let emit: @Sendable (Event) -> Void

  private let monitor = Monitor()
  private struct State {
    /// Set while the last attempt failed; a writer that must wait gets this instead of waiting in vain.
    var failure: SiltstoneError?
    var isStopping = false
    /// Readers pin so many arenas that there is no other way to go on.
    var allowsExtraArena = false
  }
  private let state = Mutex(State())
  private let stalled = Atomic<UInt64>(0)

  /// A failed flush is tried again after this long: a full disk may have been emptied meanwhile.
  private static let retryNanoseconds: UInt64 = 200_000_000

  init(
    pool: MemtableArenaPool, view: CurrentView, storage: any Storage,
    report: @escaping @Sendable (SiltstoneError) -> Void, emit: @escaping @Sendable (Event) -> Void,
    flush: @escaping @Sendable (Memtable, LogPosition) throws(SiltstoneError) -> Void
  ) {
    self.pool = pool
    self.view = view
    self.storage = storage
    self.flush = flush
    self.report = report
    self.emit = emit
  }

  var stallNanoseconds: UInt64 { stalled.load(ordering: .relaxed) }

  // MARK: - The pipeline's side

  func makeMemtable(
    firstPosition: LogPosition, after: Memtable, minimumBytes: Int
  ) throws(SiltstoneError) -> Memtable? {
    let ignoringLimit = state.withLock { state in
      defer { state.allowsExtraArena = false }
      return state.allowsExtraArena
    }
    return try pool.makeMemtable(
      firstPosition: firstPosition, commonPrefix: after.commonKeyPrefix(), minimumBytes: minimumBytes,
      ignoringLimit: ignoringLimit)
  }

  func memtableWasSealed() { monitor.withLock { monitor.broadcast() } }

  func waitForFlush() throws(SiltstoneError) {
    let begin = storage.monotonicNanoseconds()
    csup_probe_stall_begin(0)
    defer {
      let waited = storage.monotonicNanoseconds() &- begin
      csup_probe_stall_end(waited)
      stalled.add(waited, ordering: .relaxed)
      emit(Event(.stall, "a writer waited for a memtable to be flushed", durationNanoseconds: waited))
    }
    try monitor.withLock { () throws(SiltstoneError) in
      try checkProgress()
      if !view.load().sealed.isEmpty { return monitor.wait(nanoseconds: 10_000_000) }
      // All is flushed, so what is missing is pinned by readers. They may hold it for ever, and they may be waiting for
      // this very writer (a scan whose body writes): after a moment's patience, memory has to give.
      monitor.wait(nanoseconds: 1_000_000)
      if view.load().sealed.isEmpty { state.withLock { $0.allowsExtraArena = true } }
    }
  }

  /// Throws if there is no point in waiting for a flush.
  private func checkProgress() throws(SiltstoneError) {
    let (failure, isStopping) = state.withLock { ($0.failure, $0.isStopping) }
    if isStopping { throw SiltstoneError(.closed, "the database was closed") }
    if let failure { throw failure }
  }

  /// Returns when no memtable waits that was sealed before the call.
  func drain() throws(SiltstoneError) {
    let last = view.load().active.firstPosition
    while true {
      let done = try monitor.withLock { () throws(SiltstoneError) -> Bool in
        guard let oldest = view.load().sealed.last, oldest.firstPosition < last else { return true }
        try checkProgress()
        monitor.wait(nanoseconds: 50_000_000)
        return false
      }
      if done { return }
    }
  }

  // MARK: - The thread's side

  /// The thread's body: returns after `stop`, with whatever is still sealed left to the log.
  func run() {
    while !state.withLock({ $0.isStopping }) {
      let attempted = flushOldest()
      monitor.withLock {
        // Only now is the memtable's arena free: no reference to it is left on this stack.
        if attempted { monitor.broadcast() }
        let (failure, isStopping) = state.withLock { ($0.failure, $0.isStopping) }
        if isStopping { return }
        if failure != nil {
          monitor.wait(nanoseconds: MemtableFlusher.retryNanoseconds)
        } else if view.load().sealed.isEmpty {
          monitor.wait(nanoseconds: 100_000_000)
        }
      }
    }
  }

  /// Flushes the oldest sealed memtable, and returns whether there was one.
  @inline(never)
  private func flushOldest() -> Bool {
    let current = view.load()
    guard let oldest = current.sealed.last else { return false }
    let next = current.sealed.dropLast().last ?? current.active
    var failure: SiltstoneError?
    csup_probe_flush_begin(oldest.firstPosition, UInt64(oldest.usedBytes))
    do throws(SiltstoneError) {
      try flush(oldest, next.firstPosition)
    } catch {
      failure = error
      // Said once, not at every attempt.
      if state.withLock({ $0.failure?.description }) != error.description { report(error) }
    }
    csup_probe_flush_end(oldest.firstPosition, UInt64(oldest.usedBytes), failure == nil ? 1 : 0)
    state.withLock { $0.failure = failure }
    return true
  }

  func stop() {
    monitor.withLock {
      state.withLock { $0.isStopping = true }
      monitor.broadcast()
    }
  }
}
