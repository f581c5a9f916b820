internal import Glibc

/// The form that compaction gives the tree: one policy for everything between leveled and tiered.
///
/// Level i is meant for `memtableBytes * T^(i+1)` bytes, T being the size ratio, and may hold K runs; what comes in
/// beyond that makes it go down, as a whole, into the next level. The last level always holds one run. K = 1 is leveled
/// compaction, K = T - 1 lazy leveling: an entry is then written once on each level but the last, and there T/2 times
/// on average, since the level above brings a T-th of it, T - 1 times, before it moves down and begins anew. For data
/// of 1,024 memtables and T = 4 that makes a write amplification of 6 to 8, where leveled compaction has 10 to 16.
///
/// Sizes are those of keys and values before compression, so that the codecs, which differ between the levels, do not
/// distort the shape.
struct CompactionShape: Sendable {
  var memtableBytes: UInt64 = 64 << 20
  /// T: at least 2.
  var sizeRatio = 4
  /// K, for every level but the first and the last; nil means T - 1.
  var runsPerLevel: Int?
  /// Where an output ends and the next begins.
  var targetTableBytes: UInt64 = 64 << 20
  var filterBitsPerKey = 10.0
  var upperCompression = Compression.none
  var bottomCompression = Compression.lz4
  var blockSizeBytes = 16 << 10
  /// Of the log, in which values may lie.
  var logSegmentBytes: UInt64 = Limits.maxLogSegmentBytes

  /// How many runs `level` may hold. Level 0 takes flushes, one run each, and so has one more than a tiered level: its
  /// T runs fill it exactly.
  func maxRuns(_ level: Int, lastLevel: Int) -> Int {
    if level == 0 { return sizeRatio }
    return level >= lastLevel ? 1 : runsPerLevel ?? max(1, sizeRatio - 1)
  }

  /// `memtableBytes * T^(level + 1)`, or the largest number where that is more than 64 bits hold.
  func capacityBytes(_ level: Int) -> UInt64 {
    var capacity = memtableBytes
    for _ in 0...level {
      let (product, overflow) = capacity.multipliedReportingOverflow(by: UInt64(sizeRatio))
      if overflow { return .max }
      capacity = product
    }
    return capacity
  }

  // MARK: - What tables are like

  /// How the tables of a level are built. `isBottom`: nothing older lies below their keys, so they may stay for good.
  func tableSettings(level: Int, lastLevel: Int, isBottom: Bool) -> TableSettings {
    TableSettings(
      blockSizeBytes: blockSizeBytes, compression: isBottom ? bottomCompression : upperCompression,
      filterBitsPerKey: filterBits(level: isBottom ? max(level, lastLevel) : level, lastLevel: lastLevel),
      logSegmentBytes: logSegmentBytes)
  }

  /// More bits than this cut no false positive that anybody would notice, and each costs a lookup time.
  static let maxFilterBits = 20.0

  /// The bits for each key of a level's filters, given out as Monkey does (Dayan et al., SIGMOD 2017).
  ///
  /// A lookup of an absent key pays the sum over all runs of their false-positive rates, p = e^(-b ln²2) for b bits.
  /// With n entries and K runs on a level, minimizing the sum of K p under a fixed sum of n b makes p proportional to
  /// n / K, the size of a run. So level i, d levels above the last one, with runs T^d K_i times smaller than the last
  /// level's one run, gets
  ///
  ///     b_i = b_last + (d ln T + ln K_i) / ln²2
  ///
  /// Each level holds the share (1 - 1/T) / T^d of all entries, and `filterBitsPerKey` is the average over entries:
  /// b_last is that less the sum of the shares' extra bits. The sum is taken over as many levels as make a difference.
  func filterBits(level: Int, lastLevel: Int) -> Double {
    guard filterBitsPerKey > 0 else { return 0 }
    let ratio = Double(sizeRatio)
    var averageExtra = 0.0
    var share = 1 - 1 / ratio
    for distance in 1...24 {
      share /= ratio
      averageExtra += share * extraBits(distance: distance)
    }
    let last = max(1, filterBitsPerKey - averageExtra)
    let distance = lastLevel - level
    return min(
      distance > 0 ? last + extraBits(distance: distance) : last, max(CompactionShape.maxFilterBits, last))
  }

  private func extraBits(distance: Int) -> Double {
    let runs = Double(runsPerLevel ?? max(1, sizeRatio - 1))
    return (Double(distance) * log(Double(sizeRatio)) + log(runs)) / (M_LN2 * M_LN2)
  }
}
