import Histogram
import Synchronization

/// What one thread measures of its own work: a histogram of latencies, and how much it did. The count is also read by
/// the sampler's thread, once a second.
struct LatencyRecorder: ~Copyable {
  private(set) var histogram = LatencyRecorder.emptyHistogram
  private(set) var payloadBytes: UInt64 = 0
  private(set) var found: UInt64 = 0
  private(set) var stalledNanoseconds: UInt64 = 0
  private(set) var operations: UInt64 = 0
  /// The end of the last operation, where the next one begins: one reading of the clock for each, as in `db_bench`.
  private(set) var lastNanoseconds: UInt64
  private let progress: OperationCounter
  private let deadline: UInt64

  /// HdrHistogram up to 1,000 s, to three digits.
  static var emptyHistogram: Histogram<UInt64> {
    Histogram(highestTrackableValue: 1_000_000_000_000, numberOfSignificantValueDigits: .three)
  }

  /// A caller that waits this long has been stalled.
  static let stallNanoseconds: UInt64 = 10_000_000

  init(progress: OperationCounter, deadline: UInt64 = .max) {
    self.progress = progress
    self.deadline = deadline
    lastNanoseconds = Clock.nanoseconds()
  }

  /// Whether the time is up.
  @inline(__always)
  var isTimeUp: Bool { lastNanoseconds >= deadline }

  /// Begins anew: what went before belongs to no operation.
  mutating func restart() { lastNanoseconds = Clock.nanoseconds() }

  /// An operation has ended that began when the one before it ended, or at `begin`.
  @inline(__always)
  mutating func finish(_ count: Int = 1, payloadBytes: Int, found: Int = 0, since begin: UInt64? = nil) {
    let now = Clock.nanoseconds()
    let elapsed = now &- (begin ?? lastNanoseconds)
    lastNanoseconds = now
    histogram.record(elapsed)
    if elapsed > LatencyRecorder.stallNanoseconds { stalledNanoseconds &+= elapsed }
    operations &+= UInt64(count)
    self.payloadBytes &+= UInt64(payloadBytes)
    self.found &+= UInt64(found)
    progress.set(operations)
  }
}

/// A number that one thread moves and another reads, on a cache line of its own.
final class OperationCounter: Sendable {
  private let value = Atomic<UInt64>(0)

  @inline(__always)
  func set(_ count: UInt64) { value.store(count, ordering: .relaxed) }
  var count: UInt64 { value.load(ordering: .relaxed) }
}
