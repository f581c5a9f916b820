/// A part of a plan that one worker does alone: a merge, or a stretch of one by keys. A plan's tasks share no key, so
/// they may run at the same time; their outputs together install the plan, as one edit, when the last is done.
struct CompactionTask: Sendable {
  let input: MergeInput
  let beneath: [TreeLayout.Run]
  /// The first key, and the first behind the last; nil is open.
  let lower: [UInt8]?
  let upper: [UInt8]?
  /// About how much is to be read.
  let inputBytes: UInt64
}

extension CompactionPlan {
  /// Cuts the plan's merges into tasks for up to `workers` workers. A merge is cut only into stretches of
  /// `minTaskBytes` or more: each cut costs every run one more seek, and a table that is smaller than it might be.
  func tasks(workers: Int, minTaskBytes: UInt64) -> [CompactionTask] {
    merges.flatMap { merge in
      let size = merge.sizeBytes
      let count = max(1, min(workers, Int(clamping: size / max(1, minTaskBytes))))
      let cuts = merge.cuts(into: count)
      let bounds: [[UInt8]?] = [nil] + cuts + [nil]
      return zip(bounds, bounds.dropFirst()).map { lower, upper in
        CompactionTask(
          input: merge, beneath: beneath, lower: lower, upper: upper,
          inputBytes: size / UInt64(cuts.count + 1))
      }
    }
  }
}

extension MergeInput {
  /// Up to `count - 1` keys, ascending, that cut the merge into about equal stretches: first keys of tables, each taken
  /// for the place of all the table's bytes. Inputs of one table each give nothing to cut at.
  func cuts(into count: Int) -> [[UInt8]] {
    let sorted = tables.sorted { compareKeys($0.smallestKey, $1.smallestKey) < 0 }
    let stretch = sizeBytes / UInt64(max(1, count))
    var cuts: [[UInt8]] = []
    var previous = sorted.first?.smallestKey ?? []
    var passed: UInt64 = 0
    for table in sorted {
      if cuts.count + 1 < count, passed >= stretch * UInt64(cuts.count + 1),
        compareKeys(table.smallestKey, previous) > 0
      {
        cuts.append(table.smallestKey)
        previous = table.smallestKey
      }
      passed += table.sizeBytes
    }
    return cuts
  }
}
