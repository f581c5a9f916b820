internal import CSupport
internal import Synchronization

/// Tending the log, while this process holds the role: keeps the ring empty enough and the next segment ready, so that
/// committers find both that way, and bounds what a power cut takes from staged writes to about a second.
final class LogWorker: Sendable {
  private let shared: SharedState
  private let segments: LogSegments
  private let drainer: LogDrainer
  private let role: Role
  private let report: @Sendable (SiltstoneError) -> Void
  /// What else is to be done as the log grows; true asks to come back soon.
  private let tend: @Sendable () -> Bool
  private let isStopping = Atomic<Bool>(false)

  /// Staged writes become durable this often, whoever waits for it or not.
  private static let syncIntervalNanoseconds: UInt64 = 1_000_000_000

  /// Backpressure follows the debt at this pace.
  private static let tendIntervalNanoseconds: UInt64 = 10_000_000

  init(
    shared: SharedState, segments: LogSegments, drainer: LogDrainer, role: Role,
    report: @escaping @Sendable (SiltstoneError) -> Void, tend: @escaping @Sendable () -> Bool
  ) {
    self.shared = shared
    self.segments = segments
    self.drainer = drainer
    self.role = role
    self.report = report
    self.tend = tend
  }

  private var wanted: UnsafeMutablePointer<UInt32> { shared.words.logWanted }

  /// The thread's body: returns after `stop`.
  func run(_ storage: any Storage) {
    var lastSync = storage.monotonicNanoseconds()
    while !isStopping.load(ordering: .acquiring) {
      if !role.isHeld {
        let before = csup_load32(shared.words.upkeep)
        guard role.isOffered, role.take({}) else {
          csup_futex_wait(shared.words.upkeep, before, LogWorker.syncIntervalNanoseconds)
          continue
        }
      }
      let before = csup_load32(wanted)
      do throws(SiltstoneError) {
        try drain(&lastSync, storage.monotonicNanoseconds())
        // Last, so that a disk too full for the next segment does not keep this one from being synced.
        try prepareAhead()
      } catch {
        report(error)  // a full disk passes, and a failed log has said so to every writer already
      }
      let soon = tend()
      if !isStopping.load(ordering: .acquiring) {
        csup_futex_wait(
          wanted, before, soon ? LogWorker.tendIntervalNanoseconds : LogWorker.syncIntervalNanoseconds)
      }
    }
    role.leave()
  }

  private func drain(_ lastSync: inout UInt64, _ now: UInt64) throws(SiltstoneError) {
    if shared.failed != 0 { return }
    if now - lastSync >= LogWorker.syncIntervalNanoseconds {
      lastSync = now
      try drainer.waitDurable(shared.reserved)
      return
    }
    // `drained` first: read the other way round, it could have passed the `reserved` of a moment ago.
    let drained = shared.drained
    if shared.reserved &- drained >= 256 << 10 { try drainer.waitDrained(shared.reserved) }
  }

  /// Half a segment ahead is time enough to fill the next one with zeros.
  private func prepareAhead() throws(SiltstoneError) {
    try segments.prepare(upTo: min(shared.reserved, KeyTrailer.maxSequence) + segments.segmentBytes / 2)
  }

  func stop() {
    isStopping.store(true, ordering: .releasing)
    _ = csup_add32(shared.words.upkeep, 1)
    csup_futex_wake_all(shared.words.upkeep)
    _ = csup_add32(wanted, 1)
    csup_futex_wake_all(wanted)
  }
}
