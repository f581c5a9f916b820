internal import CSupport
internal import Synchronization

/// Flushing: while this process holds the role, turns sealed memtables into sorted runs, oldest first. Also where a
/// writer waits when it is faster than the disk, whoever flushes.
final class MemtableFlusher: FlushWaiting {
  private let shared: SharedState
  private let arenas: ArenaTable
  private let view: CurrentView
  private let storage: any Storage
  private let role: Role
  /// Settles what the last holder of the role left; set before the first write, as all here.
  private let settle: @Sendable () throws(SiltstoneError) -> Void
  /// Writes one memtable to tables and installs them.
  private let flush: @Sendable (Memtable, _ end: LogPosition) throws(SiltstoneError) -> Void
  private let report: @Sendable (SiltstoneError) -> Void
  private let emit: @Sendable (Event) -> Void

  private struct State {
    /// Set while the last attempt failed; a writer that must wait gets this instead of waiting in vain.
    var failure: SiltstoneError?
    var isStopping = false
    /// Readers pin so many arenas that there is no other way to go on.
    var allowsExtraArena = false
    /// A writer of this process waits, and nobody flushes: then even one that does not offer itself does.
    var isDesperate = false
  }
  private let state = Mutex(State())
  private let stalled = Atomic<UInt64>(0)

  /// A failed flush is tried again after this long: a full disk may have been emptied meanwhile.
  private static let retryNanoseconds: UInt64 = 200_000_000
  /// A role whose holder died is taken over after this long, or as soon as a writer has to wait.
  private static let roleNanoseconds: UInt64 = 500_000_000

  init(
    shared: SharedState, arenas: ArenaTable, view: CurrentView, storage: any Storage, role: Role,
    report: @escaping @Sendable (SiltstoneError) -> Void, emit: @escaping @Sendable (Event) -> Void,
    settle: @escaping @Sendable () throws(SiltstoneError) -> Void,
    flush: @escaping @Sendable (Memtable, LogPosition) throws(SiltstoneError) -> Void
  ) {
    self.shared = shared
    self.arenas = arenas
    self.view = view
    self.storage = storage
    self.role = role
    self.settle = settle
    self.flush = flush
    self.report = report
    self.emit = emit
  }

  var stallNanoseconds: UInt64 { stalled.load(ordering: .relaxed) }

  /// Whether a memtable waits.
  private var hasSealed: Bool { shared.flushedSerial &+ 1 < shared.activeSerial }

  // MARK: - The pipeline's side

  func takeExtraArena() -> Bool {
    state.withLock { state in
      defer { state.allowsExtraArena = false }
      return state.allowsExtraArena
    }
  }

  func waitForFlush() throws(SiltstoneError) {
    let begin = storage.monotonicNanoseconds()
    csup_probe_stall_begin(0)
    defer {
      let waited = storage.monotonicNanoseconds() &- begin
      csup_probe_stall_end(waited)
      stalled.add(waited, ordering: .relaxed)
      emit(Event(.stall, "a writer waited for a memtable to be flushed", durationNanoseconds: waited))
    }
    let seen = shared.changes
    try checkProgress()
    if hasSealed {
      let isFree = try isRoleFree()
      if isFree {
        // Nobody flushes: its holder has died, or nobody offers.
        state.withLock { $0.isDesperate = true }
        shared.announceChange()
      }
      return shared.waitForChange(after: isFree ? seen &+ 1 : seen, nanoseconds: 10_000_000)
    }
    // All is flushed, so what is missing is pinned by readers. They may hold it for ever, and they may be waiting for
    // this very writer (a scan whose body writes): after a moment's patience, memory has to give.
    shared.waitForChange(after: seen, nanoseconds: 1_000_000)
    if !hasSealed { state.withLock { $0.allowsExtraArena = true } }
  }

  private func isRoleFree() throws(SiltstoneError) -> Bool {
    if role.isHeld { return false }
    return try !storage.isLocked(SharedState.fileName, byte: role.byte)
  }

  /// Throws if there is no point in waiting for a flush.
  private func checkProgress() throws(SiltstoneError) {
    let (failure, isStopping) = state.withLock { ($0.failure, $0.isStopping) }
    if isStopping { throw SiltstoneError(.closed, "the database was closed") }
    if let failure { throw failure }
    let number = Int32(bitPattern: csup_load32(shared.words.flushFailed))
    // It may have left or died after that: then another tries.
    if number != 0, try !isRoleFree() { throw .system("flush, in another process,", errno: number, file: nil) }
  }

  /// Returns when no memtable waits that was sealed before the call.
  func drain() throws(SiltstoneError) {
    let last = shared.activeSerial
    while true {
      let seen = shared.changes
      if shared.flushedSerial &+ 1 >= last { return }
      try checkProgress()
      if try isRoleFree() {
        state.withLock { $0.isDesperate = true }
        shared.announceChange()
      }
      shared.waitForChange(after: seen, nanoseconds: 50_000_000)
    }
  }

  // MARK: - The thread's side

  /// The thread's body: returns after `stop`, with whatever is still sealed left to the log.
  func run() {
    while !state.withLock({ $0.isStopping }) {
      let seen = shared.changes
      guard takeRole() else {
        shared.waitForChange(after: seen, nanoseconds: MemtableFlusher.roleNanoseconds)
        continue
      }
      let attempted = flushOldest()
      if attempted { shared.announceChange() }
      let (failure, isStopping) = state.withLock { ($0.failure, $0.isStopping) }
      if isStopping { break }
      if failure != nil {
        shared.waitForChange(after: shared.changes, nanoseconds: MemtableFlusher.retryNanoseconds)
      } else if !attempted {
        if !role.isOffered { role.leave() }
        shared.waitForChange(after: seen, nanoseconds: MemtableFlusher.roleNanoseconds)
      }
    }
    role.leave()
  }

  private func takeRole() -> Bool {
    if role.isHeld { return true }
    let isDesperate = state.withLock { state in
      defer { state.isDesperate = false }
      return state.isDesperate
    }
    guard role.isOffered || isDesperate else { return false }
    return role.take {
      csup_store32(shared.words.flushFailed, 0)
      do throws(SiltstoneError) { try settle() } catch { report(error) }
    }
  }

  /// Flushes the oldest sealed memtable, and returns whether there was one.
  @inline(never)
  private func flushOldest() -> Bool {
    guard hasSealed else { return false }
    var failure: SiltstoneError?
    do throws(SiltstoneError) {
      let current = try view.load()
      guard let index = current.sealed.lastIndex(where: { $0.serial > shared.flushedSerial }) else { return false }
      let next = index == 0 ? current.active : current.sealed[index - 1]
      guard next.firstPosition <= min(shared.reserved, KeyTrailer.maxSequence) else {
        throw SharedState.writtenOver("a memtable begins behind the end of the log")
      }
      let oldest = current.sealed[index]
      let (position, bytes) = (oldest.firstPosition, UInt64(oldest.usedBytes))
      var isDone = false
      csup_probe_flush_begin(position, bytes)
      defer { csup_probe_flush_end(position, bytes, isDone ? 1 : 0) }
      try flush(oldest, next.firstPosition)
      isDone = true
    } catch {
      failure = error
      // Said once, not at every attempt.
      if state.withLock({ $0.failure?.description }) != error.description { report(error) }
    }
    state.withLock { $0.failure = failure }
    csup_store32(shared.words.flushFailed, failure.map { UInt32(bitPattern: $0.errno == 0 ? 5 : $0.errno) } ?? 0)
    return true
  }

  func stop() {
    state.withLock { $0.isStopping = true }
    shared.announceChange()
  }
}
