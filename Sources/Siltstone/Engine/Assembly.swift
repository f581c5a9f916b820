internal import CSupport
internal import Glibc
internal import Synchronization

/// Puts an engine together from its shared state and its tree, and starts it.
struct Assembly {
  let directory: String
  let options: Options
  let exclusive: (any FileLock)?
  /// The lock of opening; nil for one that only reads.
  let turn: (any FileLock)?

  /// - Parameter recoveredEnd: where the log ends, if this process has recovered the database.
  func finish(
    _ parts: SharedParts, _ view: CurrentView, _ tree: TreeKeeper, recoveredEnd: LogPosition? = nil
  ) throws(SiltstoneError) -> Engine {
    let (storage, shared, creation) = (parts.storage, parts.shared, tree.creation)
    let segments = tree.segments
    if let recoveredEnd {
      segments.begin(
        existing: try storage.list().compactMap { LogSegment.number(fromFileName: $0) }, end: recoveredEnd)
      if shared.isWritable {
        // Whatever the manifest says the log begins with must exist, or its absence could not be told from damage.
        try segments.prepare(upTo: max(recoveredEnd, tree.logStart) + 1)
        shared.endRecovery()
      }
    }
    let drainer = try LogDrainer(storage: storage, shared: shared, segments: segments)
    let plan = parts.arenas.plan
    let options = options
    let report: @Sendable (SiltstoneError) -> Void = { error in
      options.eventHandler?(Event.failure(error, of: "background work"))
    }
    let isOffered = options.sharing != .guest
    func role(_ kind: csup_role) -> Role {
      Role(kind, storage, shared, parts.processes, isOffered: isOffered)
    }
    let compactionRole = role(CSUP_ROLE_COMPACTION)
    let pacing = Pacing(
      storage: storage, shared: shared, view: view, shape: tree.shape,
      memtableBudgetBytes: plan.limit * plan.arenaBytes, role: compactionRole, slot: parts.processes.own
    ) { [unowned tree] version in
      shared.isMostlyValues ? tree.valueSegments(version) : nil
    }
    let scheduler = CompactionScheduler(
      tree: tree, view: view, role: compactionRole,
      workerCount: options.compactionThreads ?? CompactionScheduler.defaultWorkerCount, pacing: pacing, report: report)
    pacing.follow { [unowned scheduler] in scheduler.running }
    let flusher = MemtableFlusher(
      shared: shared, arenas: parts.arenas, view: view, storage: storage, role: role(CSUP_ROLE_FLUSH), report: report,
      emit: { options.eventHandler?($0) }, settle: { () throws(SiltstoneError) in try tree.scavenge() }
    ) { (memtable, end) throws(SiltstoneError) in
      // The segment in which the log will begin must exist before the manifest says so.
      try segments.prepare(upTo: end + 1)
      // What the table is going to point at is durable before there is a table.
      if shared.valuesEnd > memtable.firstPosition { try drainer.makeDurable(upTo: end) }
      let nanoseconds = try tree.flush(memtable, end: end)
      pacing.flushed(
        UInt64(memtable.usedBytes), standingFor: end - min(memtable.firstPosition, end), nanoseconds: nanoseconds)
      scheduler.wake()
      // The log passes over what is in tables now: then no drain comes back to segments that are of no use any more.
      // The flush is done, whatever becomes of them: the next one tries again.
      do throws(SiltstoneError) { if shared.failed == 0 { try drainer.waitDurable(end) } } catch { report(error) }
      tree.reap()
    }
    let pipeline = CommitPipeline(
      shared: shared, segments: segments, drainer: drainer, view: view, arenas: parts.arenas, flushes: flusher,
      repair: CommitRepair(
        storage: storage, database: creation.database, shared: shared, segmentBytes: creation.logSegmentBytes,
        view: view, arenas: parts.arenas))
    tree.logTail.withLock { tail in
      tail = LogTail(
        move: { [weak pipeline] (value, checksum) throws(SiltstoneError) in
          try pipeline?.move(value, checksum: checksum)
        }, waitDurable: { (end) throws(SiltstoneError) in try drainer.waitDurable(end) })
    }
    let arenas = parts.arenas
    let logWorker = LogWorker(
      shared: shared, segments: segments, drainer: drainer, role: role(CSUP_ROLE_LOG), report: report,
      sealedEnd: { view.peek().active.firstPosition }
    ) {
      let active = view.peek().active
      active.populateAhead()
      if active.usedBytes > active.sizeBytes / 2 { arenas.prepareSpare() }
      return pacing.update()
    }
    let engine = Engine(
      EngineParts(
        directory: directory, options: options, exclusive: exclusive, common: parts, segments: segments,
        drainer: drainer, pipeline: pipeline, view: view, cache: tree.cache, tree: tree, flusher: flusher,
        scheduler: scheduler, compactionRole: compactionRole, pacing: pacing, logWorker: logWorker))
    do throws(SiltstoneError) {
      try engine.start()
    } catch {
      try? engine.close(holding: turn)  // ends the threads that did start
      throw error
    }
    return engine
  }
}

extension CompactionScheduler {
  /// One for every two cores, since the writers want some too; and two at least, so that one is free for level 0.
  static var defaultWorkerCount: Int { max(2, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) / 2) }
}

extension Options {
  /// The form of the tree that these options ask for.
  var shape: CompactionShape {
    CompactionShape(
      memtableBytes: UInt64(memtableBytes), sizeRatio: sizeRatio, runsPerLevel: runsPerLevel,
      targetTableBytes: UInt64(tableBytes), filterBitsPerKey: filterBitsPerKey, upperCompression: upperCompression,
      bottomCompression: bottomCompression, blockSizeBytes: blockBytes)
  }
}

/// How the memory budget is shared out.
struct MemoryPlan {
  /// Arenas that may be in use: one fills, one is flushed, and one is ready when either is late. More would only hide a
  /// flush that cannot keep up, and keep more of the log than the ring holds.
  let arenas: ArenaTable.Plan
  /// The log ring, a power of two: what is in it need not be written to the log's files if a flush comes first, so it
  /// holds two memtables' worth if it can. More would not be reached: what is a second old is written.
  let ringBytes: UInt64
  /// What remains for blocks, indexes and filters.
  let cacheBytes: Int

  /// Buffers of one flush and of one compaction: two inputs' read-ahead for each of a dozen runs, and write-behind.
  private static let bufferBytes = 16 << 20
  /// The least is some 10 ms at full rate.
  static let minRingBytes = 16 << 20
  private static let maxRingBytes = 128 << 20

  init(_ options: Options) {
    // Half of the budget, but two at least.
    let memtableCount = min(max((options.memoryBudgetBytes / 2) / options.memtableBytes, 2), 3)
    arenas = ArenaTable.Plan(arenaBytes: options.memtableBytes, limit: memtableCount)
    ringBytes = options.ringBytes ?? MemoryPlan.ringBytes(options)
    let rest = options.memoryBudgetBytes - Int(ringBytes) - memtableCount * options.memtableBytes
    cacheBytes = max(rest - min(MemoryPlan.bufferBytes, rest / 2), 1 << 20)
  }

  private static func ringBytes(_ options: Options) -> UInt64 {
    let most = min(options.memoryBudgetBytes / 4, options.memoryBudgetBytes - 2 * options.memtableBytes - 1 << 20)
    var ring = minRingBytes
    while ring < min(2 * options.memtableBytes, maxRingBytes), 2 * ring <= most { ring *= 2 }
    return UInt64(ring)
  }
}
