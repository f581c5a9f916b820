internal import CSupport
internal import Synchronization

/// Backpressure: measures the debt, and makes writers wait in proportion to it.
///
/// One price holds for all processes, and one queue. It is set by whoever holds the compaction role, since nobody else
/// knows how far the running merges are; where nobody does, by the first who has not heard of a price for a while. What
/// flushes and compactions achieve is counted in the shared state, so that whoever sets the price knows it, wherever
/// they run.
final class Pacing: Sendable {
  private let storage: any Storage
  private let shared: SharedState
  private let view: CurrentView
  private let picker: CompactionPicker
  private let memtableBudgetBytes: Double
  /// The compaction role.
  private let role: Role
  /// This process, as the shared state names it.
  private let own: UInt64
  /// What values keep of the log; nil while hardly any are written.
  private let values: @Sendable (Version) -> ValueSegments?
  /// Worked out once for each generation.
  private let garbage = Mutex((generation: UInt64.max, excess: 0.0))
  private let state = Mutex(State())
  private let running = Mutex<(@Sendable () -> [(plan: CompactionPlan, done: Double)])?>(nil)
  private let throttle: WriteThrottle
  private let slept = Atomic<UInt64>(0)

  private struct State {
    var pacer = WritePacer()
    /// What the pacer has been told of so far.
    var flushed = Work()
    var merged = Work()
    var moved = Work()
  }

  /// What was done in all, as counted in the shared state.
  private struct Work {
    var bytes: UInt64 = 0
    var logBytes: UInt64 = 0
    var nanoseconds: UInt64 = 0

    /// What has come since, which is from now on known.
    mutating func advance(_ now: Work) -> Work {
      defer { self = now }
      return Work(
        bytes: now.bytes &- bytes, logBytes: now.logBytes &- logBytes, nanoseconds: now.nanoseconds &- nanoseconds)
    }
  }

  /// Without a word for this long from whoever holds the role, there is none who does, or it is stopped.
  private static let patienceNanoseconds: UInt64 = 2_000_000_000

  init(
    storage: any Storage, shared: SharedState, view: CurrentView, shape: CompactionShape, memtableBudgetBytes: Int,
    role: Role, slot: Int, values: @escaping @Sendable (Version) -> ValueSegments?
  ) {
    self.values = values
    self.storage = storage
    self.shared = shared
    self.view = view
    self.role = role
    own = UInt64(slot + 1)  // 0, which is nobody, if it only reads
    picker = CompactionPicker(shape: shape)
    self.memtableBudgetBytes = Double(memtableBudgetBytes)
    throttle = WriteThrottle(shared.pacing)
  }

  /// Where to ask for what compactions have done so far. Set once, when there is a scheduler.
  func follow(_ running: @escaping @Sendable () -> [(plan: CompactionPlan, done: Double)]) {
    self.running.withLock { $0 = running }
  }

  var slowdownNanoseconds: UInt64 { slept.load(ordering: .relaxed) }

  /// Lets a write of `bytes` pass, after a wait if there is debt. Without debt it costs one load.
  @inline(__always)
  func admit(_ bytes: Int) {
    let wait = throttle.admit(bytes) { storage.monotonicNanoseconds() }
    if wait > 0 { sleep(wait) }
  }

  /// In slices, since the price may have gone meanwhile.
  @inline(never)
  private func sleep(_ nanoseconds: UInt64) {
    csup_probe_stall_begin(nanoseconds)
    let begin = storage.monotonicNanoseconds()
    var now = begin
    while now - begin < nanoseconds, throttle.isPriced {
      csup_sleep(min(nanoseconds - (now - begin), Pacing.sliceNanoseconds))
      now = storage.monotonicNanoseconds()
    }
    csup_probe_stall_end(now - begin)
    slept.add(now - begin, ordering: .relaxed)
  }
  private static let sliceNanoseconds: UInt64 = 50_000_000

  /// A flush took that long for `bytes` of a memtable, which stand for `logBytes` of the log.
  func flushed(_ bytes: UInt64, standingFor logBytes: UInt64, nanoseconds: UInt64) {
    add(bytes, to: \.flushed_bytes)
    add(logBytes, to: \.flushed_log_bytes)
    add(nanoseconds, to: \.flushed_nanoseconds)
    update()
  }

  private func garbageExcess(_ version: Version) -> Double {
    garbage.withLock { known in
      if known.generation != version.generation {
        known = (version.generation, values(version)?.garbageExcess ?? 0)
      }
      return known.excess
    }
  }

  func merged(_ bytes: UInt64, nanoseconds: UInt64, workers: Int) {
    add(bytes, to: \.merged_bytes)
    add(nanoseconds / UInt64(max(workers, 1)), to: \.merged_nanoseconds)
    update()
  }

  func moved(_ bytes: UInt64, nanoseconds: UInt64) {
    add(bytes, to: \.moved_bytes)
    add(nanoseconds, to: \.moved_nanoseconds)
  }

  private func load(_ word: KeyPath<csup_pacing, UInt64>) -> UInt64 { csup_load(shared.pacing.pointer(to: word)!) }
  private func add(_ count: UInt64, to word: WritableKeyPath<csup_pacing, UInt64>) {
    _ = csup_add(shared.pacing.pointer(to: word)!, count)
  }

  /// Sets the price by the debt of now, if that is this process's part. Returns whether there is a price, so that the
  /// caller comes back soon.
  @discardableResult
  func update() -> Bool {
    guard shared.isWritable else { return false }
    let now = storage.monotonicNanoseconds()
    if role.isHeld || load(\.set_by) == own || now &- load(\.set_at) > Pacing.patienceNanoseconds {
      csup_store(shared.pacing.pointer(to: \.set_by)!, own)
      csup_store(shared.pacing.pointer(to: \.set_at)!, now)
      throttle.setPrice(nanosecondsPerByte: price(now))
    }
    return throttle.isPriced
  }

  private func price(_ now: UInt64) -> Double {
    let current = view.peek()
    let used = current.sealed.reduce(current.active.usedBytes) { $0 + $1.usedBytes }
    var debt = picker.debt(
      current.version.layout, memtableFraction: Double(used) / memtableBudgetBytes,
      running: running.withLock { $0 }?() ?? [])
    debt.garbageExcess = garbageExcess(current.version)
    return state.withLock { state in
      let flushed = state.flushed.advance(
        Work(
          bytes: load(\.flushed_bytes), logBytes: load(\.flushed_log_bytes), nanoseconds: load(\.flushed_nanoseconds)))
      let merged = state.merged.advance(Work(bytes: load(\.merged_bytes), nanoseconds: load(\.merged_nanoseconds)))
      let moved = state.moved.advance(Work(bytes: load(\.moved_bytes), nanoseconds: load(\.moved_nanoseconds)))
      if flushed.bytes > 0 {
        state.pacer.flushed(flushed.bytes, standingFor: flushed.logBytes, nanoseconds: flushed.nanoseconds)
      }
      if merged.bytes > 0 { state.pacer.merged(merged.bytes, nanoseconds: merged.nanoseconds) }
      if moved.bytes > 0 { state.pacer.moved(moved.bytes, nanoseconds: moved.nanoseconds) }
      state.pacer.update(debt, nowNanoseconds: now)
      return state.pacer.nanosecondsPerByte
    }
  }
}
