/// Looks for the next compaction in a layout. Pure: the same layout gives the same plan.
///
/// The rules, in order:
/// 1. Level 0 first: every read asks each of its runs. Then whatever level is fullest, against its runs or its bytes.
/// 2. A level that must give way gives all its runs. They become a new run, the newest, of the next level; or they are
///    merged into the one run of the last level.
/// 3. Only what overlaps is merged. A table that overlaps no other input is moved, by an edit of the manifest alone: so
///    data that arrives in key order is never rewritten.
/// 4. If the last level is too large, its run becomes that of a level deeper, and a new level begins to fill above it.
struct CompactionPicker: Sendable {
  let shape: CompactionShape

  /// The most urgent plan that shares nothing with those in flight; nil if every level is within its limits, or those
  /// that are not are being worked on.
  ///
  /// `onlyLevelZero` is for a worker that is kept free for level 0, so that flushes never pile up behind the long merge
  /// of a deep level.
  func pick(
    _ layout: TreeLayout, _ inFlight: CompactionsInFlight, onlyLevelZero: Bool = false
  ) -> CompactionPlan? {
    for level in urgentLevels(layout) where level == 0 || !onlyLevelZero {
      if let plan = plan(level, layout, inFlight) { return plan }
    }
    return nil
  }

  /// Bytes that the merges would read which the levels over their limits call for, running ones included: how far
  /// compaction is behind. Moves are free and do not count.
  func debtBytes(_ layout: TreeLayout) -> UInt64 {
    urgentLevels(layout).reduce(0) { $0 + (plan($1, layout, CompactionsInFlight())?.mergeBytes ?? 0) }
  }

  /// Whether any level is over its limits.
  func isSettled(_ layout: TreeLayout) -> Bool { urgentLevels(layout).isEmpty }

  // MARK: - Which level

  /// Levels over their limits: level 0 first, then by how full they are.
  private func urgentLevels(_ layout: TreeLayout) -> [Int] {
    let over = layout.levels.indices.filter { fullness($0, layout) > 1 }
    return over.sorted { left, right in
      if left == 0 || right == 0 { return left == 0 }
      return fullness(left, layout) > fullness(right, layout)
    }
  }

  /// Runs against the runs that the level may hold, or bytes against its capacity, whichever is more; over 1 is too
  /// full. Level 0 counts only runs: each is a memtable, however large that became.
  func fullness(_ level: Int, _ layout: TreeLayout) -> Double {
    let runs = layout.level(level).runs.count
    let byRuns = Double(runs) / Double(shape.maxRuns(level, lastLevel: layout.lastLevel))
    if level == 0 { return byRuns }
    return max(byRuns, Double(layout.level(level).dataBytes) / Double(shape.capacityBytes(level)))
  }

  // MARK: - What to do with it

  /// REQUIRES: the level is over its limits.
  private func plan(
    _ level: Int, _ layout: TreeLayout, _ inFlight: CompactionsInFlight
  ) -> CompactionPlan? {
    let runs = layout.level(level).runs
    if runs.contains(where: inFlight.touches) { return nil }
    let isOverCapacity = level > 0 && layout.level(level).dataBytes > shape.capacityBytes(level)
    if level == layout.lastLevel {
      if runs.count == 1 { return relabel(level, layout) }
      // It became the last level with several runs in it: the ones below are gone, or the options have changed.
      if !isOverCapacity { return mergeInPlace(level, .tooManyRuns, layout) }
    }
    if level == 0, let small = smallRuns(layout) { return small }
    return moveDown(level, isOverCapacity ? .overCapacity : .tooManyRuns, layout, inFlight)
  }

  /// All runs of `level` into the next one.
  func moveDown(
    _ level: Int, _ reason: CompactionPlan.Reason, _ layout: TreeLayout, _ inFlight: CompactionsInFlight
  ) -> CompactionPlan? {
    guard level + 1 < TreeLayout.maxLevels else { return nil }
    let sources = layout.level(level).runs
    var inputs = layout.placed(sources, level: level)
    var destination = CompactionPlan.Destination.newRun
    if let run = runToJoin(level + 1, incomingBytes: layout.level(level).dataBytes, layout, inFlight) {
      destination = .run(run.id)
      inputs += overlapping(inputs, in: run, level: level + 1)
    }
    return makePlan(reason, from: level, to: level + 1, destination, inputs, layout)
  }

  /// The run of `level` that new data is merged into, rather than put beside it: always the newest, or else something
  /// older would come to lie above something newer. On the last level that is its one run, on a level of a leveled tree
  /// too; elsewhere the newest run as long as it has less than its share of the level's capacity.
  ///
  /// While another compaction has its hands on that run, the new data is put beside it instead of waiting.
  private func runToJoin(
    _ level: Int, incomingBytes: UInt64, _ layout: TreeLayout, _ inFlight: CompactionsInFlight
  ) -> TreeLayout.Run? {
    guard let newest = layout.level(level).runs.first, !inFlight.touches(newest) else { return nil }
    let maxRuns = shape.maxRuns(level, lastLevel: layout.lastLevel)
    if level >= layout.lastLevel || maxRuns == 1 { return newest }
    let share = shape.capacityBytes(level) / UInt64(maxRuns)
    return newest.dataBytes + incomingBytes <= share ? newest : nil
  }

  /// All runs of the last level into its oldest.
  func mergeInPlace(
    _ level: Int, _ reason: CompactionPlan.Reason, _ layout: TreeLayout
  ) -> CompactionPlan? {
    let runs = layout.level(level).runs
    guard let oldest = runs.last else { return nil }
    var inputs = layout.placed(runs.dropLast(), level: level)
    inputs += overlapping(inputs, in: oldest, level: level)
    return makePlan(reason, from: level, to: level, .run(oldest.id), inputs, layout)
  }

  /// The last level's run, one level deeper.
  private func relabel(_ level: Int, _ layout: TreeLayout) -> CompactionPlan? {
    guard level + 1 < TreeLayout.maxLevels, let run = layout.level(level).runs.first else { return nil }
    return CompactionPlan(
      reason: .relabel, sourceLevel: level, targetLevel: level + 1, destination: .run(run.id),
      moves: run.tables,
      merges: [], beneath: [])
  }

  /// The newest runs of level 0, if most of them are small: flushes that did not wait for a memtable to fill. To send
  /// them down at once would rewrite a part of level 1 that is many times their size.
  ///
  /// Only runs up to a quarter of a memtable count, and an older one only if it is at most T times what is taken
  /// already: so an entry is rewritten here some log_T times.
  private func smallRuns(_ layout: TreeLayout) -> CompactionPlan? {
    let runs = layout.level(0).runs
    let small = runs.prefix { $0.dataBytes < shape.memtableBytes / 4 }
    guard small.count > runs.count / 2, let newest = small.first else { return nil }
    var taken = 0
    var takenBytes: UInt64 = 0
    for run in small {
      if taken >= 2, run.dataBytes > UInt64(shape.sizeRatio) * takenBytes { break }
      taken += 1
      takenBytes += run.dataBytes
    }
    let inputs = layout.placed(runs.prefix(taken), level: 0)
    return makePlan(.smallRuns, from: 0, to: 0, .run(newest.id), inputs, layout)
  }

  // MARK: - Plans from inputs

  func overlapping(_ inputs: [PlacedTable], in run: TreeLayout.Run, level: Int) -> [PlacedTable] {
    var found: Set<UInt64> = []
    for input in inputs { found.formUnion(run.tables(overlapping: input.table.interval).map(\.number)) }
    return run.tables.filter { found.contains($0.number) }
      .map { PlacedTable(level: level, run: run.id, table: $0) }
  }

  /// Splits the inputs into moves and merges. `rewrites` names lone tables that are rewritten all the same.
  func makePlan(
    _ reason: CompactionPlan.Reason, from source: Int, to target: Int,
    _ destination: CompactionPlan.Destination,
    _ inputs: [PlacedTable], _ layout: TreeLayout, rewrites: (PlacedTable) -> Bool = { _ in false }
  ) -> CompactionPlan {
    let taken = Set(inputs.map(\.table.number))
    let beneath = runsBeneath(target, destination, layout, without: taken)
    var moves: [TableMetadata] = []
    var merges: [MergeInput] = []
    for component in OverlapComponents.of(inputs) {
      if component.count == 1, !rewrites(component[0]) {
        let isThere = component[0].level == target && destination == .run(component[0].run)
        if !isThere { moves.append(component[0].table) }
      } else {
        merges.append(merge(component, target, beneath, layout))
      }
    }
    return CompactionPlan(
      reason: reason, sourceLevel: source, targetLevel: target, destination: destination, moves: moves,
      merges: merges, beneath: beneath)
  }

  /// What lies below nothing has found its place: it will go down further, if at all, by moves alone. So it gets the
  /// bottom's codec at once.
  private func merge(
    _ component: [PlacedTable], _ target: Int, _ beneath: [TreeLayout.Run], _ layout: TreeLayout
  ) -> MergeInput {
    var interval = component[0].table.interval
    for placed in component { interval.formUnion(placed.table.interval) }
    let isBottom = beneath.allSatisfy { $0.tables(overlapping: interval).isEmpty }
    return MergeInput(
      runs: OverlapComponents.byRun(component),
      settings: shape.tableSettings(level: target, lastLevel: layout.lastLevel, isBottom: isBottom))
  }

  /// What is older than the plan's outputs and stays: deeper levels, and older runs of the target level.
  private func runsBeneath(
    _ target: Int, _ destination: CompactionPlan.Destination, _ layout: TreeLayout, without taken: Set<UInt64>
  ) -> [TreeLayout.Run] {
    let older = layout.level(target).runs.filter { run in
      if case .run(let id) = destination { return run.id < id }
      return true
    }
    let deeper = layout.levels.dropFirst(target + 1).flatMap(\.runs)
    return (older + deeper).compactMap { run in
      let tables = run.tables.filter { !taken.contains($0.number) }
      return tables.isEmpty ? nil : TreeLayout.Run(id: run.id, tables: tables)
    }
  }
}
