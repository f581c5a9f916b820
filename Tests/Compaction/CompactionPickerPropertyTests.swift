import Testing

@testable import Siltstone

/// What must hold of every plan, on trees grown at random.
@Suite struct CompactionPickerPropertyTests {
  /// Ages as a check of order: each table on paper is remembered with the age of the newest and the oldest flush whose
  /// data it may hold, by key.
  struct Shadow {
    /// For each key, the flush that each table got it from: newest last.
    var ages: [UInt64: [Int: ClosedRange<Int>]] = [:]
  }

  static func shape(_ generator: inout SeededGenerator) -> CompactionShape {
    let sizeRatio = Int.random(in: 2...6, using: &generator)
    return .small(
      sizeRatio: sizeRatio,
      runsPerLevel: Bool.random(using: &generator) ? nil : Int.random(in: 1...sizeRatio, using: &generator))
  }

  /// Keys 0..<40, so that a table's keys can be counted out.
  static func randomFlush(_ tree: inout PaperTree, _ generator: inout SeededGenerator) throws -> ClosedRange<Int> {
    let low = Int.random(in: 0..<40, using: &generator)
    let high = Int.random(in: low..<min(40, low + [1, 5, 40].randomElement(using: &generator)!), using: &generator)
    let bytes = [2_000, 50_000, 100_000, 300_000].randomElement(using: &generator)!
    try tree.flush(low, high, dataBytes: UInt64(bytes))
    return low...high
  }

  /// Nothing older lies above something newer.
  static func expectOrder(_ layout: TreeLayout, _ shadow: Shadow) {
    for key in 0..<40 {
      var newestBelow = Int.max
      for level in layout.levels {
        for run in level.runs {
          for table in run.tables {
            guard let ages = shadow.ages[table.number]?[key] else { continue }
            #expect(ages.upperBound < newestBelow, "key \(key), table \(table.number)")
            newestBelow = min(newestBelow, ages.lowerBound)
          }
        }
      }
    }
  }

  /// Runs a plan on paper, taking the ages of each key along.
  static func complete(
    _ plan: CompactionPlan, _ tree: inout PaperTree, _ shadow: inout Shadow
  ) throws {
    var merged: [Int: ClosedRange<Int>] = [:]
    for table in plan.merges.flatMap(\.tables) {
      for (key, ages) in shadow.ages[table.number] ?? [:] {
        let old = merged[key] ?? ages
        merged[key] = min(old.lowerBound, ages.lowerBound)...max(old.upperBound, ages.upperBound)
      }
    }
    let outputs = tree.outputs(plan)
    for table in outputs {
      let keys = PaperTree.number(table.smallestKey)...PaperTree.number(table.largestKey)
      shadow.ages[table.number] = merged.filter { keys.contains($0.key) }
    }
    try tree.install(plan, outputs)
    try tree.layout.checkInvariants()
    expectOrder(tree.layout, shadow)
  }

  static func checkShape(_ plan: CompactionPlan, _ layout: TreeLayout) {
    for merge in plan.merges {
      #expect(merge.tables.count > 1 || plan.reason == .tombstones || plan.reason == .manual)
      for run in merge.runs {
        for (table, next) in zip(run.tables, run.tables.dropFirst()) {
          #expect(compareKeys(table.largestKey, next.smallestKey) < 0)
        }
      }
    }
    let intervals =
      plan.moves.map(\.interval)
      + plan.merges.map { merge in
        merge.tables.reduce(into: merge.tables[0].interval) { $0.formUnion($1.interval) }
      }
    for (index, interval) in intervals.enumerated() {
      #expect(!intervals[(index + 1)...].contains { $0.overlaps(interval) })
    }
    let present = Set(layout.tables.map(\.number))
    #expect(plan.inputs.allSatisfy { present.contains($0.number) })
  }

  /// Flushes, picks and completions in any order, several plans in flight at a time, some of them by hand or for
  /// tombstones: invariants and order hold throughout, and in the end the tree settles.
  @Test func concurrentPlansKeepTheOrder() throws {
    var overlappedInTime = 0
    for seed in 0..<24 as Range<UInt64> { overlappedInTime += try grow(seed: seed) }
    #expect(overlappedInTime > 200)
  }

  /// Returns how often a plan was picked while another was running.
  private func grow(seed: UInt64) throws -> Int {
    var generator = SeededGenerator(seed: 500 + seed)
    var tree = PaperTree(Self.shape(&generator))
    var shadow = Shadow()
    var running: [CompactionPlan] = []
    var inFlight = CompactionsInFlight()
    var flushes = 0
    var overlappedInTime = 0
    for _ in 0..<400 {
      switch Int.random(in: 0..<10, using: &generator) {
      case 0..<4:
        let keys = try Self.randomFlush(&tree, &generator)
        let number = tree.layout.levels[0].runs[0].tables[0].number
        shadow.ages[number] = Dictionary(uniqueKeysWithValues: keys.map { ($0, flushes...flushes) })
        flushes += 1
      case 4..<7:
        guard let plan = Self.pick(tree, inFlight, &generator) else { continue }
        Self.checkShape(plan, tree.layout)
        inFlight.insert(plan)  // traps if it shares a table with another
        running.append(plan)
        overlappedInTime += running.count > 1 ? 1 : 0
      default:
        guard let index = running.indices.randomElement(using: &generator) else { continue }
        let plan = running.remove(at: index)
        try Self.complete(plan, &tree, &shadow)
        inFlight.remove(plan)
      }
    }
    for plan in running {
      try Self.complete(plan, &tree, &shadow)
      inFlight.remove(plan)
    }
    #expect(inFlight.isEmpty)
    #expect(tree.plansDone > 20)
    var left = 200
    while let plan = tree.picker.pick(tree.layout, inFlight), left > 0 {
      try Self.complete(plan, &tree, &shadow)
      left -= 1
    }
    #expect(left > 0, "the tree does not settle")
    #expect(tree.picker.isSettled(tree.layout))
    #expect(tree.picker.debtBytes(tree.layout) == 0)
    return overlappedInTime
  }

  static func pick(
    _ tree: PaperTree, _ inFlight: CompactionsInFlight, _ generator: inout SeededGenerator
  ) -> CompactionPlan? {
    switch Int.random(in: 0..<8, using: &generator) {
    case 0:
      let low = Int.random(in: 0..<40, using: &generator)
      let pick = tree.picker.pickManual(
        tree.layout, lower: paperKey(low), upper: paperKey(low + 3), inFlight)
      if case .plan(let plan) = pick { return plan }
      return nil
    case 1: return tree.picker.pickWhenIdle(tree.layout, inFlight, oldestSnapshot: nil)
    default: return tree.picker.pick(tree.layout, inFlight)
    }
  }

  @Test(arguments: 0..<10)
  func compactingByHandLeavesOneRunOfTheRange(seed: Int) throws {
    var generator = SeededGenerator(seed: 900 + UInt64(seed))
    var tree = PaperTree(Self.shape(&generator))
    for _ in 0..<60 {
      _ = try Self.randomFlush(&tree, &generator)
      #expect(try tree.settle())
    }
    let low = Int.random(in: 0..<30, using: &generator)
    let range = (lower: paperKey(low), upper: paperKey(low + 10))
    guard
      case .plan(let plan) = tree.picker.pickManual(
        tree.layout, lower: range.lower, upper: range.upper, CompactionsInFlight())
    else {
      Issue.record("no plan")
      return
    }
    try tree.install(plan, tree.outputs(plan))
    let interval = KeyInterval(smallest: range.lower, largest: paperKey(low + 9))
    let holders = tree.layout.levels.indices.filter { level in
      tree.layout.levels[level].runs.contains { !$0.tables(overlapping: interval).isEmpty }
    }
    #expect(holders.allSatisfy { $0 == tree.layout.lastLevel })
    // A running compaction of the range is waited for.
    var inFlight = CompactionsInFlight()
    inFlight.insert(
      CompactionPlan(
        reason: .manual, sourceLevel: 0, targetLevel: 1, destination: .newRun, moves: tree.layout.tables, merges: [],
        beneath: []))
    guard case .busy = tree.picker.pickManual(tree.layout, lower: nil, upper: nil, inFlight) else {
      Issue.record("not busy")
      return
    }
  }

  @Test func compactingNothingByHandIsNothing() {
    let picker = CompactionPicker(shape: .small())
    guard case .nothingToDo = picker.pickManual(TreeLayout(), lower: nil, upper: nil, CompactionsInFlight()) else {
      Issue.record("a plan for an empty tree")
      return
    }
  }

  @Test func tombstonesThatASnapshotNeedsAreLeftAlone() throws {
    let layout = try paperLayout([
      [], [[paperTable(1, 0, 10, tombstones: 9000, largestSequence: 50), paperTable(2, 20, 30)]],
    ])
    let picker = CompactionPicker(shape: .small(sizeRatio: 10))
    #expect(picker.pickWhenIdle(layout, CompactionsInFlight(), oldestSnapshot: 50) == nil)
    let plan = try #require(picker.pickWhenIdle(layout, CompactionsInFlight(), oldestSnapshot: 51))
    #expect(plan.inputs.map(\.number) == [1])
    #expect(plan.merges.count == 1)
  }

  @Test func tasksShareNoKeyAndMissNone() throws {
    var generator = SeededGenerator(seed: 77)
    for _ in 0..<100 {
      var tree = PaperTree(.small())
      for _ in 0..<30 {
        _ = try Self.randomFlush(&tree, &generator)
        #expect(try tree.settle())
      }
      for _ in 0..<5 { try tree.flush(0, 39, dataBytes: 100_000) }
      let plan = try #require(tree.picker.pick(tree.layout, CompactionsInFlight()))
      let workers = Int.random(in: 1...5, using: &generator)
      let tasks = plan.tasks(workers: workers, minTaskBytes: 50_000)
      #expect(tasks.count >= plan.merges.count && tasks.count <= workers * plan.merges.count)
      for (task, next) in zip(tasks, tasks.dropFirst()) where task.upper != nil {
        #expect(task.upper == next.lower)
      }
      #expect(tasks.first?.lower == nil && tasks.last?.upper == nil)
      for task in tasks {
        if let lower = task.lower, let upper = task.upper { #expect(compareKeys(lower, upper) < 0) }
      }
    }
  }
}
