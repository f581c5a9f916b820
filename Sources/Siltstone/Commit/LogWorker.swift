internal import CSupport
internal import Synchronization

/// Tending the log, while this process holds the role: keeps room in the ring and the next segment ready, so that
/// committers find both that way, and bounds what a power cut takes from staged writes to about a second.
final class LogWorker: Sendable {
  private let shared: SharedState
  private let segments: LogSegments
  private let drainer: LogDrainer
  private let role: Role
  private let report: @Sendable (SiltstoneError) -> Void
  /// Everything before is in memtables that are full.
  private let sealedEnd: @Sendable () -> LogPosition
  /// What else is to be done as the log grows; true asks to come back soon.
  private let tend: @Sendable () -> Bool
  private let isStopping = Atomic<Bool>(false)

  /// Looks this often while nothing is written: whoever writes little is not heard before.
  private static let idleNanoseconds: UInt64 = 500_000_000

  /// Backpressure follows the debt at this pace.
  private static let tendIntervalNanoseconds: UInt64 = 10_000_000

  init(
    shared: SharedState, segments: LogSegments, drainer: LogDrainer, role: Role,
    report: @escaping @Sendable (SiltstoneError) -> Void, sealedEnd: @escaping @Sendable () -> LogPosition,
    tend: @escaping @Sendable () -> Bool
  ) {
    self.shared = shared
    self.segments = segments
    self.drainer = drainer
    self.role = role
    self.report = report
    self.sealedEnd = sealedEnd
    self.tend = tend
  }

  private var wanted: UnsafeMutablePointer<UInt32> { shared.words.logWanted }

  /// The thread's body: returns after `stop`.
  func run(_ storage: any Storage) {
    var policy = DrainPolicy(ringBytes: shared.ringBytes)
    var touched = RingTouch(at: shared.reserved)
    while !isStopping.load(ordering: .acquiring) {
      if !role.isHeld {
        let before = csup_load32(shared.words.upkeep)
        guard role.isOffered, role.take({}) else {
          csup_futex_wait(shared.words.upkeep, before, LogWorker.idleNanoseconds)
          continue
        }
      }
      let before = csup_load32(wanted)
      touched.ahead(of: min(shared.reserved, KeyTrailer.maxSequence), in: shared)
      do throws(SiltstoneError) {
        try drain(&policy, storage.monotonicNanoseconds())
        // Last, so that a disk too full for the next segment does not keep this one from being synced.
        try prepareAhead()
      } catch {
        report(error)  // a full disk passes, and a failed log has said so to every writer already
      }
      let soon = tend()
      let pause =
        soon
        ? LogWorker.tendIntervalNanoseconds
        : shared.durable < shared.reserved ? DrainPolicy.markNanoseconds : LogWorker.idleNanoseconds
      if !isStopping.load(ordering: .acquiring) { csup_futex_wait(wanted, before, pause) }
    }
    role.leave()
  }

  private func drain(_ policy: inout DrainPolicy, _ now: UInt64) throws(SiltstoneError) {
    while shared.failed == 0 {
      // `reserved` last: read the other way round, another could have passed the `reserved` of a moment ago.
      var log = DrainPolicy.Watermarks(drained: shared.drained, durable: shared.durable, logStart: shared.logStart)
      log.sealedEnd = sealedEnd()
      log.valuesEnd = shared.valuesEnd
      log.syncedWaits = csup_load32(shared.words.syncedWaits)
      log.reserved = min(shared.reserved, KeyTrailer.maxSequence)
      switch policy.next(log, nowNanoseconds: now) {
      case .rest:
        if policy.isPrompt(now) { segments.fillFromNowOn() }
        // Most often who flushed has seen to that.
        if log.durable < log.logStart { try drainer.waitDurable(log.logStart) }
        return
      case .drain(let position): try drainer.waitDrained(position)
      case .sync(let position): try drainer.makeDurable(upTo: position)
      }
    }
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

/// Faulting in what of the ring comes next, so that no commit pays for it: on the first lap, and whenever the kernel
/// has written pages back, the first store into each page is a fault.
private struct RingTouch {
  /// How far that was done, and where the log was at the last look.
  private var end: LogPosition
  private var seen: LogPosition

  /// What a fast writer fills while the background does not get a processor.
  private static let maxAheadBytes: UInt64 = 8 << 20

  init(at position: LogPosition) {
    end = position
    seen = position
  }

  /// As far ahead as the log grows in the time of a few looks: who writes little touches little.
  mutating func ahead(of reserved: LogPosition, in shared: SharedState) {
    let ahead = min(4 * (reserved - min(seen, reserved)), RingTouch.maxAheadBytes, shared.ringBytes / 2)
    seen = reserved
    let begin = max(end, reserved)
    if begin >= reserved + ahead { return }
    end = reserved + ahead
    shared.touchRing(begin..<end)
  }
}
