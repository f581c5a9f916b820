internal import CSupport
internal import Glibc
internal import Synchronization

/// Backpressure: measures the debt, and makes writers wait in proportion to it.
final class Pacing: Sendable {
  private let storage: any Storage
  private let view: CurrentView
  private let picker: CompactionPicker
  private let memtableBudgetBytes: Double
  /// What values keep of the log; nil while hardly any are written.
  private let values: @Sendable (Version) -> ValueSegments?
  /// Worked out once for each generation.
  private let garbage = Mutex((generation: UInt64.max, excess: 0.0))
  private let pacer = Mutex(WritePacer())
  private let running = Mutex<(@Sendable () -> [(plan: CompactionPlan, done: Double)])?>(nil)
  private let throttle = WriteThrottle()
  private let slept = Atomic<UInt64>(0)

  init(
    storage: any Storage, view: CurrentView, shape: CompactionShape, memtableBudgetBytes: Int,
    values: @escaping @Sendable (Version) -> ValueSegments?
  ) {
    self.values = values
    self.storage = storage
    self.view = view
    picker = CompactionPicker(shape: shape)
    self.memtableBudgetBytes = Double(memtableBudgetBytes)
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

  @inline(never)
  private func sleep(_ nanoseconds: UInt64) {
    var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    csup_probe_stall_begin(nanoseconds)
    nanosleep(&time, nil)
    csup_probe_stall_end(nanoseconds)
    slept.add(nanoseconds, ordering: .relaxed)
  }

  func flushed(_ bytes: UInt64, standingFor logBytes: UInt64, nanoseconds: UInt64) {
    pacer.withLock { $0.flushed(bytes, standingFor: logBytes, nanoseconds: nanoseconds) }
    update()
  }

  func moved(_ bytes: UInt64, nanoseconds: UInt64) { pacer.withLock { $0.moved(bytes, nanoseconds: nanoseconds) } }

  private func garbageExcess(_ version: Version) -> Double {
    garbage.withLock { known in
      if known.generation != version.generation {
        known = (version.generation, values(version)?.garbageExcess ?? 0)
      }
      return known.excess
    }
  }

  func merged(_ bytes: UInt64, nanoseconds: UInt64, workers: Int) {
    pacer.withLock { $0.merged(bytes, nanoseconds: nanoseconds / UInt64(max(workers, 1))) }
    update()
  }

  /// Sets the price by the debt of now. Returns whether there is a price, so that the caller comes back soon.
  @discardableResult
  func update() -> Bool {
    let current = view.peek()
    let used = current.sealed.reduce(current.active.usedBytes) { $0 + $1.usedBytes }
    var debt = picker.debt(
      current.version.layout, memtableFraction: Double(used) / memtableBudgetBytes,
      running: running.withLock { $0 }?() ?? [])
    debt.garbageExcess = garbageExcess(current.version)
    let price = pacer.withLock { pacer in
      pacer.update(debt, nowNanoseconds: storage.monotonicNanoseconds())
      return pacer.nanosecondsPerByte
    }
    throttle.setPrice(nanosecondsPerByte: price)
    return price > 0
  }
}
