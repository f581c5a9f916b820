/// Compactions that no limit calls for: those for tombstones when nothing else is to be done, and those by hand.
extension CompactionPicker {
  /// A quarter: below that, rewriting frees less than a third of what it reads, and most tombstones meet what they hide
  /// by the ordinary course of things.
  static let tombstoneShare = 0.25

  /// Something to do about tombstones; nil if there is nothing that would help. Worth asking when nothing has been
  /// urgent for a while: it makes work that the next flushes might have saved.
  ///
  /// A level too many of whose entries are tombstones goes down, or is merged in place if it is the last. Once it is
  /// one run, its tables are rewritten singly, as soon as no snapshot needs their tombstones any more.
  func pickWhenIdle(
    _ layout: TreeLayout, _ inFlight: CompactionsInFlight, oldestSnapshot: LogPosition?
  ) -> CompactionPlan? {
    for (number, level) in layout.levels.enumerated() where isTombstoneHeavy(level) {
      if level.runs.contains(where: inFlight.touches) { continue }
      if number < layout.levels.count - 1 || (number == 0 && level.runs.count > 1) {
        if let plan = moveDown(number, .tombstones, layout, inFlight) { return plan }
      } else if level.runs.count > 1 {
        return mergeInPlace(number, .tombstones, layout)
      }
    }
    guard let run = layout.levels.last?.runs.last, !inFlight.touches(run) else { return nil }
    let last = layout.levels.count - 1
    for table in run.tables where isTombstoneHeavy(table.tombstoneCount, table.entryCount) {
      if let oldestSnapshot, table.largestSequence >= oldestSnapshot { continue }
      let input = PlacedTable(level: last, run: run.id, table: table)
      return makePlan(.tombstones, from: last, to: last, .run(run.id), [input], layout) { _ in true }
    }
    return nil
  }

  /// The table that has the most bytes of values in `sparse` segments, to be rewritten where it is while they are
  /// moved; nil if there is none that is free.
  func pickForValues(
    _ layout: TreeLayout, _ inFlight: CompactionsInFlight, sparse: Set<UInt64>
  ) -> CompactionPlan? {
    var best: (placed: PlacedTable, bytes: UInt64)?
    for (number, level) in layout.levels.enumerated() {
      for run in level.runs where !inFlight.touches(run) {
        for table in run.tables {
          let bytes = table.segmentUse.reduce(0) { $0 + (sparse.contains($1.segment) ? $1.bytes : 0) }
          if bytes > best?.bytes ?? 0 { best = (PlacedTable(level: number, run: run.id, table: table), bytes) }
        }
      }
    }
    guard let best = best?.placed else { return nil }
    return makePlan(.values, from: best.level, to: best.level, .run(best.run), [best], layout) { _ in true }
  }

  private func isTombstoneHeavy(_ level: TreeLayout.Level) -> Bool {
    isTombstoneHeavy(level.tombstoneCount, level.entryCount)
  }

  private func isTombstoneHeavy(_ tombstones: UInt64, _ entries: UInt64) -> Bool {
    tombstones > 0 && Double(tombstones) >= CompactionPicker.tombstoneShare * Double(entries)
  }

  enum ManualPick: Sendable {
    case plan(CompactionPlan)
    /// Running compactions have tables of the range: try again when one of them is done.
    case busy
    /// The range is in the last level, and holds nothing superfluous.
    case nothingToDo
  }

  /// Everything with keys in the range, from all levels, into the last one: no hidden version and no tombstone is left
  /// of it, but for what snapshots see.
  ///
  /// A table that reaches out of the range takes along whatever it overlaps on other levels, and so on: otherwise
  /// something of its keys could stay above that is older. `lower` is included, `upper` is not; nil is open.
  func pickManual(
    _ layout: TreeLayout, lower: [UInt8]?, upper: [UInt8]?, _ inFlight: CompactionsInFlight
  ) -> ManualPick {
    let target = layout.lastLevel
    let all = layout.levels.indices.flatMap { layout.placed(layout.level($0).runs, level: $0) }
    var inputs: [PlacedTable] = []
    for component in OverlapComponents.of(all) where isInRange(component, lower, upper) {
      // Alone and long there: merging it would give the same table again.
      if component.count == 1, component[0].level == target, isSettled(component[0].table) { continue }
      inputs += component
    }
    if inputs.isEmpty { return .nothingToDo }
    if inputs.contains(where: { inFlight.contains($0.table) }) { return .busy }
    // All that overlaps is among the inputs, so the outputs may join any run of the last level that stays where it is.
    var destination = CompactionPlan.Destination.newRun
    if let run = layout.level(target).runs.first, !inFlight.touches(run) { destination = .run(run.id) }
    return .plan(
      makePlan(.manual, from: 0, to: target, destination, inputs, layout) { placed in
        !self.isSettled(placed.table)
      })
  }

  private func isInRange(_ component: [PlacedTable], _ lower: [UInt8]?, _ upper: [UInt8]?) -> Bool {
    component.contains { placed in
      if let lower, compareKeys(placed.table.largestKey, lower) < 0 { return false }
      if let upper, compareKeys(placed.table.smallestKey, upper) >= 0 { return false }
      return true
    }
  }

  /// At the bottom, compaction takes the sequence numbers off what every snapshot sees. A table of nothing else holds
  /// one version of each key and no tombstone.
  private func isSettled(_ table: TableMetadata) -> Bool {
    table.largestSequence == 0 && table.tombstoneCount == 0
  }
}
