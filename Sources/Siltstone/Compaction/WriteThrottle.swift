internal import Synchronization

/// Holds all writers together to a price for each byte. Thread-safe.
///
/// A queue in time: every write takes the next stretch of it, as long as its bytes cost, and waits for its stretch to
/// begin. A wait below 0.2 ms is not worth a sleep, whose wake-up alone takes a quarter of that: it is let off, and the
/// next writes find the queue that much longer. So the rate is exact, and sleeps are few.
///
/// Small writes first gather what they cost, and one of them queues for all: while nothing is owed, a write pays one
/// load, and while something is, an addition.
final class WriteThrottle: Sendable {
  static let minSleepNanoseconds: UInt64 = 200_000
  /// What is gathered before somebody queues for it. A quarter of the shortest sleep does not show beside it.
  private static let gatheredNanoseconds = minSleepNanoseconds / 4

  private let price = Atomic<UInt64>(0)  // the bits of a Double
  private let gathered = Atomic<UInt64>(0)
  /// When the queue is empty, by the clock of the caller's `now`.
  private let freeAt = Mutex<UInt64>(0)

  func setPrice(nanosecondsPerByte: Double) {
    price.store(nanosecondsPerByte.bitPattern, ordering: .relaxed)
  }

  /// Books a write of `bytes`, and returns how long the writer must sleep before it goes on; 0 for not at all.
  @inline(__always)
  func admit(_ bytes: Int, now: () -> UInt64) -> UInt64 {
    let bits = price.load(ordering: .relaxed)
    if bits == 0 { return 0 }
    let cost = UInt64(min(Double(bitPattern: bits) * Double(bytes), 1e12))
    let owed = gathered.add(cost, ordering: .relaxed).newValue
    return owed < WriteThrottle.gatheredNanoseconds ? 0 : queue(now())
  }

  @inline(never)
  private func queue(_ now: UInt64) -> UInt64 {
    freeAt.withLock { freeAt in
      let begin = max(freeAt, now)
      freeAt = begin + gathered.exchange(0, ordering: .relaxed)
      let wait = begin - now
      return wait >= WriteThrottle.minSleepNanoseconds ? wait : 0
    }
  }
}
