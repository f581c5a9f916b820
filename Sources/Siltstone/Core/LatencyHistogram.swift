internal import Synchronization

/// Counts durations in buckets whose width grows with their value: 16 to each power of two, so that a percentile is
/// off by 6 % at most. Recording is one relaxed addition; any thread may record and read at any time.
final class LatencyHistogram: Sendable {
  private static let subBuckets = 16
  /// Up to 2^40 ns, 18 minutes; what takes longer counts as that.
  private static let bucketCount = (40 - 3) * subBuckets
  nonisolated(unsafe) private let buckets: UnsafeMutablePointer<Atomic<UInt64>>
  private let maximum = Atomic<UInt64>(0)

  init() {
    buckets = .allocate(capacity: LatencyHistogram.bucketCount)
    for index in 0..<LatencyHistogram.bucketCount { (buckets + index).initialize(to: Atomic(0)) }
  }

  deinit {
    buckets.deinitialize(count: LatencyHistogram.bucketCount)
    buckets.deallocate()
  }

  @inline(__always)
  private static func bucket(_ nanoseconds: UInt64) -> Int {
    if nanoseconds < 16 { return Int(nanoseconds) }
    let exponent = 63 &- nanoseconds.leadingZeroBitCount
    let index = (exponent &- 3) &* subBuckets &+ Int((nanoseconds &>> UInt64(exponent &- 4)) & 15)
    return min(index, bucketCount &- 1)
  }

  /// The largest value that falls into a bucket.
  private static func upperBound(_ bucket: Int) -> UInt64 {
    if bucket < subBuckets { return UInt64(bucket) }
    let exponent = bucket / subBuckets + 3
    let width = UInt64(1) << UInt64(exponent - 4)
    return (16 + UInt64(bucket % subBuckets)) * width + width - 1
  }

  @inline(__always)
  func record(_ nanoseconds: UInt64) {
    buckets[LatencyHistogram.bucket(nanoseconds)].add(1, ordering: .relaxed)
    if nanoseconds > maximum.load(ordering: .relaxed) { maximum.max(nanoseconds, ordering: .relaxed) }
  }

  func summary() -> LatencySummary {
    let counts = (0..<LatencyHistogram.bucketCount).map { buckets[$0].load(ordering: .relaxed) }
    let total = counts.reduce(0, &+)
    let longest = maximum.load(ordering: .relaxed)
    func percentile(_ share: Double) -> UInt64 {
      var remaining = UInt64((Double(total) * share).rounded(.up))
      for (index, count) in counts.enumerated() where count > 0 {
        if count >= remaining { return min(LatencyHistogram.upperBound(index), longest) }
        remaining -= count
      }
      return longest
    }
    return LatencySummary(
      count: total, p50Nanoseconds: percentile(0.5), p99Nanoseconds: percentile(0.99),
      p999Nanoseconds: percentile(0.999), maxNanoseconds: longest)
  }
}

/// A histogram of durations in five numbers. Percentiles are exact to 6 %.
public struct LatencySummary: Sendable, Hashable {
  /// How many durations were recorded.
  public let count: UInt64
  /// Half took no longer.
  public let p50Nanoseconds: UInt64
  /// 99 of 100 took no longer.
  public let p99Nanoseconds: UInt64
  /// 999 of 1,000 took no longer.
  public let p999Nanoseconds: UInt64
  /// The longest.
  public let maxNanoseconds: UInt64
}
