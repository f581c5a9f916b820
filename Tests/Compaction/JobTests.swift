import Testing

@testable import Siltstone

@Suite struct JobTests {
  private let holder = FaultHolder()
  private let workshop: Workshop

  init() throws {
    let holder = holder
    workshop = try Workshop { holder.wrap($0) }
  }

  private static func entries(_ keys: some Sequence<Int>, sequence: LogPosition, valueBytes: Int = 20) -> [OwnedEntry] {
    var generator = SeededGenerator(seed: sequence)  // values that do not compress
    return keys.map { key in
      OwnedEntry(
        key: paperKey(key), sequence: sequence + UInt64(key), value: generator.bytes(length: valueBytes...valueBytes))
    }
  }

  private func tableFiles() throws -> [String] {
    try workshop.storage.list().filter { $0.hasSuffix(".sst") }
  }

  private func flush(
    _ entries: [OwnedEntry], end: LogPosition = .max, layout: TreeLayout = TreeLayout(), _ context: JobContext
  ) throws -> JobResult {
    var job = FlushJob(
      ArrayCursor(entries.sorted()), end: end, layout: layout, shape: CompactionShape(), context: context)
    return try job.run()
  }

  @Test func aFlushWritesWhatTheMemtableHolds() throws {
    let entries = Self.entries(0..<500, sequence: 100)
    let result = try flush(entries, workshop.context())
    #expect(result.outputs.count == 1)
    #expect(result.entriesRead == 500 && result.entriesWritten == 500)
    #expect(result.bytesWritten == result.outputs[0].sizeBytes)
    var cursor = try workshop.open(result.outputs[0]).makeCursor(.sequential)
    #expect(try cursor.drain() == entries)
  }

  /// Newer versions of half the keys are of a batch that is not finished, and must not displace the older ones.
  @Test func aFlushTakesOnlyWhatLiesBelowItsEnd() throws {
    let entries = Self.entries(0..<500, sequence: 100)
    let unfinished = Self.entries(250..<750, sequence: 1_000)
    let result = try flush(entries + unfinished, end: 1_250, workshop.context())
    var cursor = try workshop.open(result.outputs[0]).makeCursor(.sequential)
    #expect(try cursor.drain() == entries)
    #expect(try flush(unfinished, end: 1_250, workshop.context()).outputs.isEmpty)
  }

  @Test func whatOverlapsNothingGetsTheBottomsCodecAtOnce() throws {
    let result = try flush(Self.entries(0..<100, sequence: 1), workshop.context())
    #expect(result.outputs[0].compression == .lz4)
    var layout = TreeLayout()
    var edit = VersionEdit()
    edit.add(result.outputs[0], level: 3, run: 1)
    try layout.apply(edit)
    let above = try flush(Self.entries(100..<200, sequence: 500), layout: layout, workshop.context())
    #expect(above.outputs[0].compression == .lz4)
    let across = try flush(Self.entries(99..<200, sequence: 900), layout: layout, workshop.context())
    #expect(across.outputs[0].compression == .none)
  }

  @Test func aLargeFlushBecomesSeveralTablesButNoKeyIsCut() throws {
    // 60 versions of each key, all of which some snapshot sees.
    var entries: [OwnedEntry] = []
    for version in 0..<60 as Range<UInt64> {
      entries += Self.entries(0..<10, sequence: version * 100 + 1, valueBytes: 1000)
    }
    let snapshots = (0..<60).map { UInt64($0) * 100 + 50 }
    let result = try flush(entries, workshop.context(snapshots: snapshots, targetTableBytes: 50_000))
    #expect(result.entriesWritten == 600)
    #expect(result.outputs.count > 4)
    for (table, next) in zip(result.outputs, result.outputs.dropFirst()) {
      #expect(compareKeys(table.largestKey, next.smallestKey) < 0)
    }
  }

  @Test func anEmptyMemtableMakesNoTable() throws {
    let result = try flush([], workshop.context())
    #expect(result.outputs.isEmpty)
    #expect(try tableFiles().isEmpty)
  }

  /// Two overlapping runs, and the plan that merges them.
  private func prepare() throws -> (version: Version, task: CompactionTask) {
    var edit = VersionEdit()
    for (run, keys) in [(UInt64(1), 0..<3000), (2, 1000..<4000)] {
      let result = try flush(
        Self.entries(keys, sequence: run * 10_000, valueBytes: 100), workshop.context(targetTableBytes: 40_000))
      for table in result.outputs { edit.add(table, level: 0, run: run) }
    }
    var layout = TreeLayout()
    try layout.apply(edit)
    let version = try workshop.openVersion(layout)
    guard
      case .plan(let plan) = CompactionPicker(shape: CompactionShape()).pickManual(
        layout, lower: nil, upper: nil, CompactionsInFlight())
    else { throw SiltstoneError(.invalidArgument, "no plan") }
    return (version, try #require(plan.tasks(workers: 1, minTaskBytes: 1 << 20).max { $0.inputBytes < $1.inputBytes }))
  }

  @Test func everyFailureLeavesNothingBehind() throws {
    let (version, task) = try prepare()
    let before = try tableFiles().sorted()
    var failures = 0
    for (call, after) in [
      (FaultStorage.Call.create, 0), (.create, 2), (.write, 0), (.write, 3), (.sync, 0), (.sync, 1), (.read, 5),
    ] {
      holder.storage.inject(
        .init(call: call, nameSuffix: ".sst", after: after, isSticky: false, error: FaultStorage.ioError("x")))
      var job = CompactionJob(task, version: version, context: workshop.context(targetTableBytes: 30_000))
      do throws(SiltstoneError) { _ = try job.run() } catch {
        failures += 1
        #expect(error.code == .inputOutput)
        #expect(try tableFiles().sorted() == before, "after \(call) \(after)")
      }
      holder.storage.clear()
      for name in try tableFiles() where !before.contains(name) { try workshop.storage.remove(name) }
    }
    #expect(failures >= 6)
    var job = CompactionJob(task, version: version, context: workshop.context(targetTableBytes: 30_000))
    #expect(try job.run().entriesWritten > 0)
  }

  @Test func aCancelledJobLeavesNothingBehind() throws {
    let (version, task) = try prepare()
    let before = try tableFiles().sorted()
    let cancellation = Cancellation()
    cancellation.request()
    var job = CompactionJob(task, version: version, context: workshop.context(cancellation: cancellation))
    var error = #expect(throws: SiltstoneError.self) { _ = try job.run() }
    #expect(error?.code == .closed)
    error = #expect(throws: SiltstoneError.self) {
      _ = try flush(Self.entries(0..<10, sequence: 1), workshop.context(cancellation: cancellation))
    }
    #expect(error?.code == .closed)
    #expect(try tableFiles().sorted() == before)
  }

  @Test func aFullDiskDuringAFlushPasses() throws {
    holder.storage.diskIsFull = true
    let entries = Self.entries(0..<2000, sequence: 1, valueBytes: 500)
    let error = #expect(throws: SiltstoneError.self) { _ = try flush(entries, workshop.context()) }
    #expect(error?.code == .diskFull)
    holder.storage.diskIsFull = false
    #expect(try flush(entries, workshop.context()).entriesWritten == 2000)
  }
}
