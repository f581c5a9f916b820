/// How far the background is behind.
struct WriteDebt: Sendable, Equatable {
  /// Bytes in memtables, the active one included, against the bytes of all that may exist: 0 to 1.
  var memtableFraction = 0.0
  /// Level 0's runs beyond those it may hold, in units of those it may hold.
  var levelZeroExcess = 0.0
  /// The same for the level below that is worst off.
  var deepExcess = 0.0
  /// Garbage among values that stay in the log beyond what is allowed, in units of that.
  var garbageExcess = 0.0
}

extension CompactionPicker {
  /// The tree's part in the debt. Counted in runs and not in bytes to be merged: the one merge of a last level that is
  /// due now and then is no sign of falling behind, however large it is; runs that pile up while it goes on are.
  ///
  /// `running` says how much of each running plan is done, from 0 to 1. The runs that it takes count only for the rest:
  /// so the debt shrinks as the work goes on, and not at one blow when it ends.
  func debt(
    _ layout: TreeLayout, memtableFraction: Double, running: [(plan: CompactionPlan, done: Double)] = []
  ) -> WriteDebt {
    let excess = layout.levels.indices.map { level in
      var runs = Double(layout.levels[level].runs.count)
      for (plan, done) in running where plan.sourceLevel == level {
        runs -= done * Double(plan.sourceRunCount(layout))
      }
      return max(0, runs / Double(shape.maxRuns(level, lastLevel: layout.lastLevel)) - 1)
    }
    return WriteDebt(
      memtableFraction: memtableFraction, levelZeroExcess: excess.first ?? 0,
      deepExcess: excess.dropFirst().max() ?? 0)
  }
}

extension CompactionPlan {
  /// How many of its source level's runs the plan takes.
  fileprivate func sourceRunCount(_ layout: TreeLayout) -> Int {
    let numbers = Set(inputs.map(\.number))
    return layout.level(sourceLevel).runs.count { run in run.tables.contains { numbers.contains($0.number) } }
  }
}

/// Turns debt into a price: nanoseconds of delay for each byte written. Pure arithmetic; one owner.
///
/// Each kind of debt is a pressure p, 0 where nothing is amiss and 1 where it must not get; the price is
///
///     p / (1 - p) / capacity
///
/// with the bytes per second that the background can take in as capacity. At p = 1/2 the writers are held to just that,
/// so the debt settles below it; towards 0 they run free, towards 1 they all but stop. There is no threshold at which
/// anything jumps, and no integral that could swing: the debt itself is the only memory, which makes it a system of
/// first order. What comes in steps, since a compaction takes its runs away at one blow, is smoothed over time.
///
/// Capacities are measured while the background works, not over all time: measured over all time they would
/// follow the writers that they are to steer, and any rate would seem the right one.
struct WritePacer: Sendable {
  private var flush = Throughput(bytesPerSecond: 256e6)
  private var merge = Throughput(bytesPerSecond: 128e6)
  private var move = Throughput(bytesPerSecond: 256e6)
  /// Both over the same stretch of the past; at first a guess that any measurement outweighs.
  private var flushedBytes = Double(1 << 20)
  private var memtableBytes = Double(1 << 20)
  private var mergedBytes = Double(4 << 20)
  private var treePressure = 0.0
  private var lastUpdate: UInt64?
  private(set) var nanosecondsPerByte = 0.0

  /// Half of the memory for memtables is for use: one memtable fills while one is flushed. The other half is for what
  /// goes wrong.
  static let memtableComfort = 0.5
  /// Writers are held to what compaction can take when a level has twice the runs that it may hold, and all but stopped
  /// at three times.
  static let excessLimit = 2.0
  /// As long as a memtable takes to fill at a disk's rate, so that the rhythm of flushes does not show, and no longer:
  /// a burst runs free for about this time.
  static let smoothingSeconds = 1.0
  /// 19 times the capacity's price: writers still move, and whatever else is wrong, memory runs out next, which is a
  /// stop of its own.
  static let maxPressure = 0.95

  /// A flush took `nanoseconds` of one thread for this many bytes of entries, which stand for `logBytes` written, if
  /// that is more: where large values stay in the log.
  mutating func flushed(_ bytes: UInt64, standingFor logBytes: UInt64 = 0, nanoseconds: UInt64) {
    let written = max(bytes, logBytes)
    flush.record(written, nanoseconds)
    let keep = 1 / (1 + Double(written) / WritePacer.mergeFactorBytes)
    flushedBytes = flushedBytes * keep + Double(written)
    memtableBytes = memtableBytes * keep + Double(bytes)
    mergedBytes *= keep
  }

  /// A compaction moved this many bytes of values in `nanoseconds`.
  mutating func moved(_ bytes: UInt64, nanoseconds: UInt64) { move.record(bytes, nanoseconds) }

  /// A compaction read this many bytes in `nanoseconds`. With several workers, their time is divided by their number.
  mutating func merged(_ bytes: UInt64, nanoseconds: UInt64) {
    merge.record(bytes, nanoseconds)
    mergedBytes += Double(bytes)
  }

  /// 16 GiB: the merge factor is an average over whole cycles of the tree, deep merges included.
  private static let mergeFactorBytes = Double(16 << 30)

  /// What compaction must read for each byte written; at least what memtables take of it, since what is flushed is
  /// merged once or else costs nothing.
  private var mergeFactor: Double { max(memtableBytes, mergedBytes) / flushedBytes }

  /// Sets the price by the debt of now. Call it whenever a memtable is sealed and when a job ends, and about every
  /// 10 ms between.
  mutating func update(_ debt: WriteDebt, nowNanoseconds: UInt64) {
    let memory = (debt.memtableFraction - WritePacer.memtableComfort) / (1 - WritePacer.memtableComfort)
    let tree = max(debt.levelZeroExcess, debt.deepExcess) / WritePacer.excessLimit
    let elapsed = Double(nowNanoseconds &- (lastUpdate ?? nowNanoseconds)) / 1e9
    lastUpdate = nowNanoseconds
    treePressure += (tree - treePressure) * (elapsed / (elapsed + WritePacer.smoothingSeconds))
    nanosecondsPerByte =
      1e9
      * (price(memory) / flush.bytesPerSecond + price(treePressure) * mergeFactor / merge.bytesPerSecond
        + price(debt.garbageExcess / WritePacer.excessLimit) / move.bytesPerSecond)
  }

  private func price(_ pressure: Double) -> Double {
    let pressure = min(max(pressure, 0), WritePacer.maxPressure)
    return pressure / (1 - pressure)
  }
}

/// Bytes per second while working, averaged over the last jobs by their bytes.
private struct Throughput: Sendable {
  var bytesPerSecond: Double
  private var bytes: Double
  private var seconds: Double

  /// A guess, which the first measurements outweigh.
  init(bytesPerSecond: Double) {
    self.bytesPerSecond = bytesPerSecond
    bytes = Double(1 << 20)
    seconds = bytes / bytesPerSecond
  }

  /// Old jobs count half as much with every 512 MiB: long enough to average over single jobs, short enough to follow a
  /// disk that becomes busy.
  private static let halfLifeBytes = Double(512 << 20)

  mutating func record(_ newBytes: UInt64, _ nanoseconds: UInt64) {
    guard newBytes > 0, nanoseconds > 0 else { return }
    let keep = 1 / (1 + Double(newBytes) / Throughput.halfLifeBytes)
    bytes = bytes * keep + Double(newBytes)
    seconds = seconds * keep + Double(nanoseconds) / 1e9
    bytesPerSecond = max(1, bytes / seconds)
  }
}
