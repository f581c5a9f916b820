import Testing

@testable import Siltstone

@Suite struct CompactionPickerTests {
  @Test func theTableWithMostInSparseSegmentsIsRewrittenWhereItIs() throws {
    func table(_ number: UInt64, _ keys: ClosedRange<Int>, _ use: [(UInt64, UInt64)]) -> TableMetadata {
      var table = paperTable(number, keys.lowerBound, keys.upperBound)
      table.segmentUse = use.map { SegmentUse(segment: $0.0, bytes: $0.1) }
      return table
    }
    let tables = [table(1, 0...9, [(3, 100), (7, 900)]), table(2, 10...19, [(3, 300), (5, 10)])]
    let layout = try paperLayout([[], [tables, [table(3, 0...99, [(9, 5_000)])]]])
    let picker = PaperTree(.small()).picker
    let use = layout.segmentUse
    #expect(use == [3: 400, 5: 10, 7: 900, 9: 5_000])
    let segments = ValueSegments(use, logStart: 8 << 10, segmentBytes: 1 << 10)
    #expect(segments.valueBytes == 1_310 && segments.garbageBytes == 3 * 1_024 - 1_310)
    #expect(segments.sparse == [3, 5], "9 is still in the log, and 7 is mostly values")
    var inFlight = CompactionsInFlight()
    let plan = try #require(picker.pickForValues(layout, inFlight, sparse: segments.sparse))
    #expect(plan.reason == .values && plan.inputs.map(\.number) == [2] && plan.moves.isEmpty)
    #expect(plan.sourceLevel == 1 && plan.targetLevel == 1)
    inFlight.insert(plan)
    #expect(picker.pickForValues(layout, inFlight, sparse: segments.sparse) == nil, "one at a time in a run")
    #expect(picker.pickForValues(layout, CompactionsInFlight(), sparse: [5_000]) == nil)
  }

  @Test func aSettledTreeIsLeftAlone() throws {
    var tree = PaperTree(.small())
    #expect(tree.picker.pick(tree.layout, CompactionsInFlight()) == nil)
    for _ in 0..<4 { try tree.flush(0, 1000, dataBytes: 100_000) }
    #expect(tree.picker.pick(tree.layout, CompactionsInFlight()) == nil)
    #expect(tree.picker.debtBytes(tree.layout) == 0)
    try tree.flush(0, 1000, dataBytes: 100_000)
    let plan = try #require(tree.picker.pick(tree.layout, CompactionsInFlight()))
    #expect(plan.reason == .tooManyRuns)
    #expect((plan.sourceLevel, plan.targetLevel) == (0, 1))
    #expect(plan.destination == .newRun)
    #expect(plan.merges.count == 1 && plan.moves.isEmpty)
    #expect(tree.picker.debtBytes(tree.layout) == plan.mergeBytes)
  }

  @Test(arguments: [2, 3, 4, 8])
  func whatArrivesInOrderIsNeverRewritten(sizeRatio: Int) throws {
    var tree = PaperTree(.small(sizeRatio: sizeRatio))
    for step in 0..<400 {
      try tree.flush(step * 10, step * 10 + 9, dataBytes: 100_000)
      #expect(try tree.settle())
    }
    #expect(tree.bytesMerged == 0)
    #expect(tree.plansDone > 30)
    #expect(tree.layout.lastLevel >= 2)
    #expect(tree.layout.tables.count == 400)
    // Reads profit: there are few runs, however many tables.
    #expect(tree.layout.runCount < 40)
  }

  @Test func onlyWhatOverlapsIsMerged() throws {
    var tree = PaperTree(.small())
    for part in [(0, 10), (5, 20), (100, 110), (200, 300), (250, 260)] {
      try tree.flush(part.0, part.1, dataBytes: 100_000)
    }
    let plan = try #require(tree.picker.pick(tree.layout, CompactionsInFlight()))
    #expect(plan.moves.map(\.number) == [3])
    #expect(plan.merges.map { Set($0.tables.map(\.number)) } == [[1, 2], [4, 5]])
    // What lies below nothing is at the bottom already, and gets its codec.
    #expect(plan.merges.allSatisfy { $0.settings.compression == .lz4 })
  }

  @Test func tablesOfTheLastLevelComeInOnlyWhereTheyOverlap() throws {
    let layout = try paperLayout([
      (0..<5).map { [paperTable(UInt64($0 + 1), 100, 200, dataBytes: 100_000)] },
      [[paperTable(10, 0, 50), paperTable(11, 90, 110), paperTable(12, 150, 250), paperTable(13, 260, 270)]],
    ])
    let plan = try #require(CompactionPicker(shape: .small()).pick(layout, CompactionsInFlight()))
    #expect(Set(plan.inputs.map(\.number)) == [1, 2, 3, 4, 5, 11, 12])
    #expect(plan.destination == .run(layout.levels[1].runs[0].id))
    #expect(plan.beneath.isEmpty)
  }

  @Test func aRunThatIsTakenIsLeftInPeace() throws {
    var layout = try paperLayout([
      (0..<5).map { [paperTable(UInt64($0 + 1), 100, 200, dataBytes: 100_000)] },
      (0..<4).map { [paperTable(UInt64($0 + 11), 0, 300, dataBytes: 400_000)] },
      [[paperTable(20, 0, 300, dataBytes: 4_000_000)]],
    ])
    let picker = CompactionPicker(shape: .small())
    var inFlight = CompactionsInFlight()
    let first = try #require(picker.pick(layout, inFlight))
    #expect(first.sourceLevel == 0 && first.destination == .newRun)
    inFlight.insert(first)
    let second = try #require(picker.pick(layout, inFlight))
    #expect(second.sourceLevel == 1 && second.targetLevel == 2)
    #expect(picker.pick(layout, inFlight, onlyLevelZero: true) == nil)
    inFlight.insert(second)
    #expect(picker.pick(layout, inFlight) == nil)
    // The first plan's run arrives on level 1 while the second one works, and stays there.
    try layout.apply(first.edit(outputs: [paperTable(30, 100, 200)], newRun: 2000))
    inFlight.remove(first)
    try layout.apply(second.edit(outputs: [paperTable(31, 0, 300)], newRun: 2001))
    inFlight.remove(second)
    #expect(inFlight.isEmpty)
    #expect(layout.levels[1].runs.map(\.id) == [2000])
    #expect(layout.levels[2].runs.count == 1)
  }

  @Test func whileTheLastRunIsTakenNewDataIsPutBesideIt() throws {
    let layout = try paperLayout([
      (0..<5).map { [paperTable(UInt64($0 + 1), 0, 300, dataBytes: 100_000)] },
      [[paperTable(11, 0, 300, dataBytes: 100_000, tombstones: 900)]],
    ])
    let picker = CompactionPicker(shape: .small())
    var inFlight = CompactionsInFlight()
    let tombstones = try #require(picker.pickWhenIdle(layout, inFlight, oldestSnapshot: nil))
    #expect(tombstones.reason == .tombstones && tombstones.merges.map(\.tables.count) == [1])
    inFlight.insert(tombstones)
    let plan = try #require(picker.pick(layout, inFlight))
    #expect(plan.destination == .newRun)
    #expect(plan.beneath.flatMap(\.tables).map(\.number) == [11])
    #expect(plan.merges.allSatisfy { $0.settings.compression == .none })
  }

  @Test func theLastLevelMovesDownWhole() throws {
    let layout = try paperLayout([[], [[paperTable(1, 0, 100, dataBytes: 2_000_000)]]])
    let picker = CompactionPicker(shape: .small())
    let plan = try #require(picker.pick(layout, CompactionsInFlight()))
    #expect(plan.reason == .relabel && plan.isOnlyMoves && plan.targetLevel == 2)
    #expect(picker.debtBytes(layout) == 0)
    // But not while another compaction will put something into it.
    var inFlight = CompactionsInFlight()
    inFlight.insert(
      CompactionPlan(
        reason: .tooManyRuns, sourceLevel: 0, targetLevel: 1, destination: plan.destination, moves: [], merges: [],
        beneath: []))
    #expect(picker.pick(layout, inFlight) == nil)
  }

  @Test func smallFlushesAreMergedWhereTheyAre() throws {
    var tree = PaperTree(.small())
    try tree.flush(0, 1000, dataBytes: 100_000)
    for _ in 0..<4 { try tree.flush(0, 1000, dataBytes: 1_000) }
    let plan = try #require(tree.picker.pick(tree.layout, CompactionsInFlight()))
    #expect(plan.reason == .smallRuns && plan.targetLevel == 0)
    #expect(plan.inputs.map(\.number).sorted() == [2, 3, 4, 5])
    #expect(plan.destination == .run(5))
    #expect(plan.beneath.map(\.id) == [1])
    try tree.install(plan, tree.outputs(plan))
    #expect(tree.layout.levels[0].runs.map(\.id) == [5, 1])

    for _ in 0..<2000 {
      try tree.flush(0, 1000, dataBytes: 1_000)
      #expect(try tree.settle())
    }
    // 2 MB in flushes of 1 kB: a few rewrites an entry in level 0, and a few below.
    #expect(Double(tree.bytesMerged) / Double(tree.bytesFlushed) < 16)
  }

  @Test func aLastLevelOfManyRunsIsMergedInPlace() throws {
    let layout = try paperLayout([
      [], [[paperTable(1, 0, 10)], [paperTable(2, 5, 20)], [paperTable(3, 15, 30), paperTable(4, 50, 60)]],
    ])
    let plan = try #require(CompactionPicker(shape: .small(sizeRatio: 10)).pick(layout, CompactionsInFlight()))
    #expect((plan.sourceLevel, plan.targetLevel) == (1, 1))
    #expect(plan.destination == .run(layout.levels[1].runs[2].id))
    #expect(plan.inputs.map(\.number).sorted() == [1, 2, 3])
  }

  /// Uniform random keys, 1,024 memtables of data and T = 4: what the design promises of lazy leveling against leveled
  /// compaction.
  @Test func lazyLevelingWritesLessThanLeveled() throws {
    func writeAmplification(_ runsPerLevel: Int?) throws -> Double {
      var tree = PaperTree(.small(runsPerLevel: runsPerLevel))
      for _ in 0..<1024 {
        try tree.flush(0, 1_000_000, dataBytes: 100_000)
        #expect(try tree.settle())
      }
      return 1 + Double(tree.bytesMerged) / Double(tree.bytesFlushed)
    }
    let lazy = try writeAmplification(nil)
    let leveled = try writeAmplification(1)
    #expect(lazy < 7, "lazy leveling: \(lazy)")
    #expect(leveled > lazy && leveled < 16, "leveled: \(leveled)")
  }
}

extension CompactionPlan: Equatable {
  static func == (left: CompactionPlan, right: CompactionPlan) -> Bool {
    left.reason == right.reason && left.targetLevel == right.targetLevel && left.destination == right.destination
      && left.inputs == right.inputs
  }
}
