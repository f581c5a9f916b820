import Testing

@testable import Siltstone

/// A tree that real flushes and compactions work on, beside a list of everything that was ever written. At every
/// snapshot, and at the present, both must read the same.
struct ModelTree {
  let workshop: Workshop
  let picker: CompactionPicker
  private(set) var version: Version
  private(set) var history: [OwnedEntry] = []
  var snapshots: [LogPosition] = []
  private(set) var position: LogPosition = 16
  private var nextRun: UInt64 = 1
  private(set) var dropped = JobResult()

  init(_ shape: CompactionShape) throws {
    workshop = try Workshop()
    picker = CompactionPicker(shape: shape)
    version = try workshop.openVersion(TreeLayout())
  }

  /// Writes at random and flushes; the memtable's content as the flush sees it.
  mutating func flush(_ count: Int, keys: ClosedRange<Int>, deletes: Double, _ generator: inout SeededGenerator) throws
  {
    var memtable: [OwnedEntry] = []
    for _ in 0..<count {
      let isDelete = Double.random(in: 0..<1, using: &generator) < deletes
      let entry = OwnedEntry(
        key: paperKey(Int.random(in: keys, using: &generator)), sequence: position, kind: isDelete ? .delete : .put,
        value: isDelete ? [] : generator.bytes(length: 0...60))
      position += UInt64.random(in: 1...30, using: &generator)
      memtable.append(entry)
      if Int.random(in: 0..<40, using: &generator) == 0 { snapshots.append(position) }
    }
    history += memtable
    var job = FlushJob(
      ArrayCursor(memtable.sorted()), end: position, layout: version.layout, shape: picker.shape,
      context: workshop.context(snapshots: snapshots, targetTableBytes: picker.shape.targetTableBytes))
    let result = try job.run()
    #expect(result.entriesRead == UInt64(count))
    #expect(result.entriesWritten + result.versionsDropped == result.entriesRead)
    try install(.flush(result.outputs, run: nextRun, logStart: position), result.outputs)
  }

  mutating func compact(_ plan: CompactionPlan, workers: Int) throws {
    var result = JobResult()
    for task in plan.tasks(workers: workers, minTaskBytes: 4096) {
      var job = CompactionJob(
        task, version: version,
        context: workshop.context(snapshots: snapshots, targetTableBytes: picker.shape.targetTableBytes))
      result.add(try job.run())
    }
    #expect(result.entriesWritten + result.versionsDropped + result.tombstonesDropped == result.entriesRead)
    #expect(result.entriesRead == plan.merges.flatMap(\.tables).reduce(0) { $0 + $1.entryCount })
    dropped.add(result)
    try install(plan.edit(outputs: result.outputs, newRun: nextRun), result.outputs)
  }

  private mutating func install(_ edit: VersionEdit, _ outputs: [TableMetadata]) throws {
    nextRun += 1
    version = try workshop.apply(edit, to: version, opened: outputs.map { try workshop.open($0) })
    try version.checkInvariants()
    try workshop.reap()
  }

  mutating func releaseSnapshot(_ generator: inout SeededGenerator) {
    if let index = snapshots.indices.randomElement(using: &generator) { snapshots.remove(at: index) }
  }

  // MARK: - Reading

  /// What the history says a read at `position` sees.
  func expected(at position: LogPosition) -> [[UInt8]: [UInt8]] {
    var pairs: [[UInt8]: [UInt8]] = [:]
    for entry in history where entry.sequence < position {
      pairs[entry.key] = entry.kind == .put ? entry.value : nil
    }
    return pairs
  }

  /// What the tree says, by a scan over all runs.
  func found(at position: LogPosition) throws -> [[UInt8]: [UInt8]] {
    let runs = version.levels.flatMap(\.runs)
    let cursors = UnsafeMutablePointer<RunCursor>.allocate(capacity: max(1, runs.count))
    for (index, run) in runs.enumerated() { (cursors + index).initialize(to: RunCursor(run, mode: .cached)) }
    var cursor = MergingCursor(taking: cursors, count: runs.count)
    var pairs: [[UInt8]: [UInt8]] = [:]
    var seen: Set<[UInt8]> = []
    for entry in try cursor.drain() where entry.sequence < position && seen.insert(entry.key).inserted {
      if entry.kind == .put { pairs[entry.key] = entry.value }
    }
    return pairs
  }

  /// What the tree says of one key, run by run, the newest first: the first that knows the key decides.
  func lookUp(_ key: [UInt8], at position: LogPosition) throws -> [UInt8]? {
    try key.withView { (view) throws(SiltstoneError) in
      for run in version.levels.flatMap(\.runs) {
        guard let table = run.table(covering: view) else { continue }
        var result = LookupResult()
        try table.get(view, hash: KeyHash.of(view), snapshot: position, into: &result)
        if result.outcome != .notFound { return result.outcome == .found ? result.value.copied() : nil }
      }
      return nil
    }
  }

  func expectReadsRight(_ generator: inout SeededGenerator) throws {
    for position in snapshots + [self.position] {
      let wanted = expected(at: position)
      #expect(try found(at: position) == wanted, "at \(position)")
      for _ in 0..<10 {
        let key = paperKey(Int.random(in: 0...320, using: &generator))
        #expect(try lookUp(key, at: position) == wanted[key])
      }
    }
  }
}

@Suite struct CompactionModelTests {
  static func shape(_ generator: inout SeededGenerator) -> CompactionShape {
    var shape = CompactionShape()
    shape.memtableBytes = 4_000
    shape.targetTableBytes = UInt64.random(in: 1_000...20_000, using: &generator)
    shape.sizeRatio = Int.random(in: 2...4, using: &generator)
    shape.runsPerLevel = Bool.random(using: &generator) ? nil : 1
    shape.blockSizeBytes = 1_024
    return shape
  }

  @Test(arguments: 0..<10)
  func everySnapshotReadsTheSameBeforeAndAfter(seed: Int) throws {
    var generator = SeededGenerator(seed: 40 + UInt64(seed))
    var tree = try ModelTree(Self.shape(&generator))
    for round in 0..<30 {
      let low = Int.random(in: 0...200, using: &generator)
      try tree.flush(
        Int.random(in: 1...80, using: &generator), keys: low...(low + [3, 30, 100].randomElement(using: &generator)!),
        deletes: [0, 0.2, 0.6].randomElement(using: &generator)!, &generator)
      while let plan = tree.picker.pick(tree.version.layout, CompactionsInFlight()) {
        try tree.compact(plan, workers: Int.random(in: 1...3, using: &generator))
      }
      if round % 5 == 4 {
        tree.releaseSnapshot(&generator)
        try tree.expectReadsRight(&generator)
      }
    }
    try tree.expectReadsRight(&generator)
    let wasted = tree.dropped
    #expect(wasted.versionsDropped > 0 && wasted.entriesRead > 0)
  }

  /// With all snapshots gone, compacting by hand leaves nothing but one version of each living key, numbered 0.
  @Test func compactingByHandLeavesOnlyWhatLives() throws {
    var generator = SeededGenerator(seed: 51)
    var tree = try ModelTree(Self.shape(&generator))
    for _ in 0..<12 { try tree.flush(60, keys: 0...100, deletes: 0.3, &generator) }
    func compactAll(_ tree: inout ModelTree) throws -> Bool {
      let pick = tree.picker.pickManual(tree.version.layout, lower: nil, upper: nil, CompactionsInFlight())
      guard case .plan(let plan) = pick else { return false }
      try tree.compact(plan, workers: 2)
      return true
    }
    #expect(!tree.snapshots.isEmpty)
    #expect(try compactAll(&tree))
    try tree.expectReadsRight(&generator)
    tree.snapshots = []
    #expect(try compactAll(&tree))
    try tree.expectReadsRight(&generator)
    let living = tree.expected(at: .max)
    #expect(living.count > 20)
    #expect(tree.version.entryCount == UInt64(living.count))
    #expect(tree.version.layout.runCount == 1)
    #expect(tree.version.layout.tables.allSatisfy { $0.largestSequence == 0 && $0.tombstoneCount == 0 })
    #expect(tree.version.layout.tables.allSatisfy { $0.compression == .lz4 })
    #expect(try !compactAll(&tree), "nothing superfluous is left")
    // And newer writes still win over what was numbered 0.
    try tree.flush(60, keys: 0...100, deletes: 0.3, &generator)
    try tree.expectReadsRight(&generator)
  }

  @Test func whenEverythingIsDeletedNothingIsLeft() throws {
    var generator = SeededGenerator(seed: 52)
    var tree = try ModelTree(Self.shape(&generator))
    try tree.flush(200, keys: 0...50, deletes: 0, &generator)
    for _ in 0..<6 { try tree.flush(200, keys: 0...50, deletes: 1, &generator) }
    tree.snapshots = []
    guard
      case .plan(let plan) = tree.picker.pickManual(
        tree.version.layout, lower: nil, upper: nil, CompactionsInFlight())
    else {
      Issue.record("no plan")
      return
    }
    try tree.compact(plan, workers: 1)
    #expect(tree.version.entryCount == tree.version.layout.tables.reduce(0) { $0 + $1.entryCount })
    #expect(tree.expected(at: .max).count == Int(tree.version.entryCount))
    #expect(tree.dropped.tombstonesDropped > 40)
  }

  @Test func tombstonesGoWhenNothingElseIsToBeDone() throws {
    var generator = SeededGenerator(seed: 53)
    var shape = CompactionShape.small()
    shape.blockSizeBytes = 1_024
    var tree = try ModelTree(shape)
    try tree.flush(300, keys: 0...300, deletes: 0, &generator)
    try tree.flush(300, keys: 0...300, deletes: 0.9, &generator)
    tree.snapshots = []
    var plans = 0
    while let plan = tree.picker.pickWhenIdle(tree.version.layout, CompactionsInFlight(), oldestSnapshot: nil) {
      try tree.compact(plan, workers: 1)
      plans += 1
      guard plans < 20 else { break }
    }
    #expect(plans > 0 && plans < 20)
    try tree.expectReadsRight(&generator)
    #expect(tree.version.layout.tables.allSatisfy { $0.tombstoneCount * 4 < $0.entryCount })
  }
}
