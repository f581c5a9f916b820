internal import CSupport
internal import Synchronization

/// Holds all writers of all processes together to a price for each byte. Thread-safe.
///
/// A queue in time: every write takes the next stretch of it, as long as its bytes cost, and waits for its stretch to
/// begin. A wait below 0.2 ms is not worth a sleep, whose wake-up alone takes a quarter of that: it is let off, and the
/// next writes find the queue that much longer. So the rate is exact, and sleeps are few.
///
/// Small writes of one process first gather what they cost, and one of them queues for all: while nothing is owed, a
/// write pays one load, and while something is, an addition.
final class WriteThrottle: Sendable {
  static let minSleepNanoseconds: UInt64 = 200_000
  /// What is gathered before somebody queues for it. A quarter of the shortest sleep does not show beside it.
  private static let gatheredNanoseconds = minSleepNanoseconds / 4
  /// What one write adds to the queue at most, so that a huge batch does not keep everybody for minutes.
  private static let maxOwedNanoseconds: UInt64 = 1_000_000_000
  /// No queue is that long, with any number of writers: what says so was written over, or is of another clock (a time
  /// namespace).
  static let maxQueueNanoseconds: UInt64 = 600_000_000_000

  private nonisolated(unsafe) let price: UnsafeMutablePointer<UInt64>
  private nonisolated(unsafe) let freeAt: UnsafeMutablePointer<UInt64>
  private let gathered = Atomic<UInt64>(0)

  /// REQUIRES: `words` outlives this.
  init(_ words: UnsafeMutablePointer<csup_pacing>) {
    price = words.pointer(to: \.price)!
    freeAt = words.pointer(to: \.free_at)!
  }

  var isPriced: Bool { csup_load(price) != 0 }

  func setPrice(nanosecondsPerByte: Double) { csup_store(price, nanosecondsPerByte.bitPattern) }

  /// Books a write of `bytes`, and returns how long the writer must sleep before it goes on; 0 for not at all.
  @inline(__always)
  func admit(_ bytes: Int, now: () -> UInt64) -> UInt64 {
    let bits = csup_load(price)
    if bits == 0 { return 0 }
    let cost = min(Double(bitPattern: bits) * Double(bytes), Double(WriteThrottle.maxOwedNanoseconds))
    guard cost > 0 else { return 0 }  // nor if it is no number
    let owed = gathered.add(UInt64(cost), ordering: .relaxed).newValue
    return owed < WriteThrottle.gatheredNanoseconds ? 0 : queue(now())
  }

  @inline(never)
  private func queue(_ now: UInt64) -> UInt64 {
    let owed = min(gathered.exchange(0, ordering: .relaxed), WriteThrottle.maxOwedNanoseconds)
    while true {
      let end = csup_load(freeAt)
      let wait = end > now && end - now <= WriteThrottle.maxQueueNanoseconds ? end - now : 0
      if csup_replace(freeAt, end, now + wait + owed) { return wait >= WriteThrottle.minSleepNanoseconds ? wait : 0 }
    }
  }
}
