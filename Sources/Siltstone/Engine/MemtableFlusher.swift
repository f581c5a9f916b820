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
  }
  private let state = Mutex(State())
  private let stalled = Atomic<UInt64>(0)

  /// A failed flush is tried again after this long: a full disk may have been emptied meanwhile.
  private static let retryNanoseconds: UInt64 = 200_000_000
  /// Arenas are faulted in by pieces of this size, so that stopping never waits for long.
  private static let populateBytes = 4 << 20

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
    try pool.makeMemtable(
      firstPosition: firstPosition, commonPrefix: after.commonKeyPrefix(), minimumBytes: minimumBytes)
  }

  func memtableWasSealed() { monitor.withLock { monitor.broadcast() } }

  func waitForFlush() throws(SiltstoneError) {
    let begin = storage.monotonicNanoseconds()
    defer {
      let waited = storage.monotonicNanoseconds() &- begin
      stalled.add(waited, ordering: .relaxed)
      emit(Event(.stall, "a writer waited for a memtable to be flushed", durationNanoseconds: waited))
    }
    try monitor.withLock { () throws(SiltstoneError) in
      if let failure = state.withLock({ $0.failure }) { throw failure }
      // Readers may pin old memtables for longer than the flush takes, hence the limit.
      if view.load().sealed.isEmpty {
        monitor.wait(nanoseconds: 1_000_000)
      } else {
        monitor.wait(nanoseconds: 50_000_000)
      }
    }
  }

  /// Returns when no memtable waits that was sealed before the call.
  func drain() throws(SiltstoneError) {
    let last = view.load().active.firstPosition
    while true {
      let done = try monitor.withLock { () throws(SiltstoneError) -> Bool in
        guard let oldest = view.load().sealed.last, oldest.firstPosition < last else { return true }
        if let failure = state.withLock({ $0.failure }) { throw failure }
        monitor.wait(nanoseconds: 50_000_000)
        return false
      }
      if done { return }
    }
  }

  // MARK: - The thread's side

  /// The thread's body: returns after `stop`, with whatever is still sealed left to the log.
  func run() {
    while true {
      let current = view.load()
      if state.withLock({ $0.isStopping }) { return }
      if let oldest = current.sealed.last {
        let next = current.sealed.dropLast().last ?? current.active
        attempt(oldest, end: next.firstPosition)
      } else {
        monitor.withLock {
          if view.load().sealed.isEmpty && !state.withLock({ $0.isStopping }) { monitor.wait(nanoseconds: 100_000_000) }
        }
      }
    }
  }

  private func attempt(_ memtable: Memtable, end: LogPosition) {
    var failure: SiltstoneError?
    do throws(SiltstoneError) {
      try flush(memtable, end)
    } catch {
      failure = error
      // Said once, not at every attempt.
      if state.withLock({ $0.failure?.description }) != error.description { report(error) }
    }
    monitor.withLock {
      state.withLock { $0.failure = failure }
      monitor.broadcast()
      if failure != nil { monitor.wait(nanoseconds: MemtableFlusher.retryNanoseconds) }
    }
  }

  func stop() {
    monitor.withLock {
      state.withLock { $0.isStopping = true }
      monitor.broadcast()
    }
  }
}
