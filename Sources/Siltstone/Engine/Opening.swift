internal import Glibc

/// Opens a database: from files to a running engine, one step after the other. What is there is read and checked before
/// anything is changed, and what recovery then changes can be done again: a refusal harms nothing.
struct Opening {
  let directory: String
  let options: Options
  let storage: any Storage

  private static let exclusiveByte: UInt64 = 0

  func run() throws(SiltstoneError) -> Engine {
    try checkDirectory()
    guard let exclusive = try storage.tryLock(SharedState.fileName, byte: Opening.exclusiveByte) else {
      throw SiltstoneError(.alreadyOpen, "another process, or this one, has the database open", file: directory)
    }
    var recovered = Manifest.Recovered(fileName: "")
    let manifest = try openManifest(&recovered)
    let creation = manifest.state.creation
    let memory = MemoryPlan(options)
    let cache = BlockCache(capacityBytes: memory.cacheBytes)
    let reaper = TableReaper(storage: storage, cache: cache)
    let version = try Version.open(manifest.state.layout, storage: storage, cache: cache, reaper: reaper)
    let logStart = manifest.state.logStart
    let pool = MemtableArenaPool(arenaBytes: options.memtableBytes, limit: memory.memtableCount)
    guard
      let memtable = try pool.makeMemtable(firstPosition: logStart, commonPrefix: [], ignoringLimit: true)
    else { preconditionFailure("the first memtable is always to be had") }
    let view = CurrentView(ReadView(active: memtable, sealed: [], version: version))
    let snapshots = SnapshotList()
    let tree = try TreeKeeper(
      storage: storage, manifest: manifest, cache: cache, reaper: reaper, view: view, snapshots: snapshots,
      options: options)

    let begin = storage.monotonicNanoseconds()
    let (shared, remains) = try SharedState.attach(
      storage: storage, database: creation.database, ringBytes: options.ringBytes)
    let recovery = LogRecovery(
      storage: storage, database: creation.database, shared: shared, remains: remains,
      segmentBytes: creation.logSegmentBytes, logStart: logStart)
    let outcome = try replay(recovery, view, pool, tree)
    // What recovery has flushed needs no log any more, and its segments may be used again.
    try shared.begin(
      database: creation.database, segmentBytes: creation.logSegmentBytes, end: outcome.end,
      drained: max(outcome.drained, tree.logStart), durable: max(outcome.durable, tree.logStart))
    try tree.removeUnnamedFiles()
    announce(outcome, recovered, since: begin)
    return try assemble(exclusive, shared, creation, outcome.end, view, pool, cache, tree, snapshots)
  }

  // MARK: - Steps

  /// Refuses what is no database before anything is made there.
  private func checkDirectory() throws(SiltstoneError) {
    if try storage.exists(CurrentFile.name) { return }
    let names = try storage.list()
    guard names.allSatisfy({ Opening.mayBeOurs($0) }) else {
      throw SiltstoneError(
        .notADatabase, "the directory is not empty, and holds no database", file: directory)
    }
    // A making that was cut short leaves a first manifest; all else is made when CURRENT is there, and durable.
    let evidence = names.first { name in
      TableFile.number(name) != nil || LogSegment.number(fromFileName: name) != nil
        || (ManifestFile.number(fromName: name) ?? 0) > 1
    }
    if let evidence {
      throw SiltstoneError(.missingFile, "CURRENT is missing, although there is a \(evidence)", file: CurrentFile.name)
    }
    if !options.createIfMissing {
      throw SiltstoneError(.notADatabase, "the directory holds no database", file: directory)
    }
  }

  private static func mayBeOurs(_ name: String) -> Bool {
    name == SharedState.fileName || name == CurrentFile.temporaryName || ManifestFile.number(fromName: name) != nil
      || LogSegment.number(fromFileName: name) != nil || TableFile.number(name) != nil
  }

  private func openManifest(_ recovered: inout Manifest.Recovered) throws(SiltstoneError) -> Manifest {
    if try storage.exists(CurrentFile.name) { return try Manifest.recover(storage, &recovered) }
    let segmentBytes = options.logSegmentBytes ?? Opening.segmentBytes(memtableBytes: options.memtableBytes)
    return try Manifest.create(
      storage, VersionEdit.Creation(database: .random(storage), logSegmentBytes: segmentBytes))
  }

  /// Half a memtable: the log that a flush makes superfluous is then given up soon, and there are few files.
  private static func segmentBytes(memtableBytes: Int) -> UInt64 {
    StorageAlignment.roundUp(UInt64(min(max(memtableBytes / 2, 1 << 20), 64 << 20)))
  }

  /// Puts the log's entries into memtables. One that fills is flushed on the spot, so that recovery needs no more
  /// memory than running does.
  private func replay(
    _ recovery: LogRecovery, _ view: CurrentView, _ pool: MemtableArenaPool, _ tree: TreeKeeper
  ) throws(SiltstoneError) -> LogRecovery.Outcome {
    try recovery.replay { (payload, firstByte) throws(SiltstoneError) in
      // No batch that was let in takes more than this; one that did could outgrow an arena's 32-bit offsets.
      guard let size = EntryEncoding.measure(payload),
        Memtable.capacityNeeded(count: size.count, payloadBytes: size.keyValueBytes) <= Limits.maxBatchBytes
      else {
        throw .corrupt("the log record at position \(firstByte) verifies, but makes no sense", file: "log")
      }
      var memtable = view.load().active
      if !memtable.hasRoom(count: size.count, payloadBytes: size.keyValueBytes) {
        memtable = try rotate(memtable, at: firstByte - UInt64(RecordFraming.headerBytes), for: size, view, pool, tree)
      }
      _ = memtable.insert(payload: payload, firstByte: firstByte)
    }
  }

  private func rotate(
    _ full: Memtable, at position: LogPosition, for batch: (count: Int, keyValueBytes: Int), _ view: CurrentView,
    _ pool: MemtableArenaPool, _ tree: TreeKeeper
  ) throws(SiltstoneError) -> Memtable {
    let minimum = Memtable.capacityNeeded(count: batch.count, payloadBytes: batch.keyValueBytes)
    guard
      let fresh = try pool.makeMemtable(
        firstPosition: position, commonPrefix: full.commonKeyPrefix(), minimumBytes: minimum, ignoringLimit: true)
    else { preconditionFailure("recovery may always have a memtable") }
    view.update { ReadView(active: fresh, sealed: (full.isEmpty ? [] : [full]) + $0.sealed, version: $0.version) }
    try flushSealed(view, pool, tree)
    return fresh
  }

  /// Flushes what is sealed, oldest first. On a full disk it may wait in memory, as it would have had to while
  /// running: so a database that filled its disk can still be read.
  private func flushSealed(
    _ view: CurrentView, _ pool: MemtableArenaPool, _ tree: TreeKeeper
  ) throws(SiltstoneError) {
    while true {
      let current = view.load()
      guard let oldest = current.sealed.last else { return }
      let next = current.sealed.dropLast().last ?? current.active
      do throws(SiltstoneError) {
        _ = try tree.flush(oldest, end: next.firstPosition)
      } catch {
        guard error.code == .diskFull, current.sealed.count < pool.limit else { throw error }
        return
      }
    }
  }

  private func announce(_ outcome: LogRecovery.Outcome, _ recovered: Manifest.Recovered, since begin: UInt64) {
    guard let handler = options.eventHandler else { return }
    let torn = recovered.tornBytes > 0 ? ", \(recovered.tornBytes) bytes of an unacknowledged edit cut off" : ""
    handler(
      Event(
        .recovery, "\(outcome.recordCount) log records replayed, \(recovered.editCount) manifest edits\(torn)",
        durationNanoseconds: storage.monotonicNanoseconds() - begin))
  }

  private func assemble(
    _ exclusive: any FileLock, _ shared: SharedState, _ creation: VersionEdit.Creation, _ end: LogPosition,
    _ view: CurrentView, _ pool: MemtableArenaPool, _ cache: BlockCache, _ tree: TreeKeeper, _ snapshots: SnapshotList
  ) throws(SiltstoneError) -> Engine {
    let existing = try storage.list().compactMap { LogSegment.number(fromFileName: $0) }
    let segments = LogSegments(
      storage: storage, database: creation.database, shared: shared, segmentBytes: creation.logSegmentBytes,
      existing: existing, oldest: tree.logStart / creation.logSegmentBytes, end: end)
    // Whatever the manifest says the log begins with must exist, or its absence could not be told from damage.
    try segments.prepare(upTo: max(end, tree.logStart) + 1)
    let drainer = try LogDrainer(storage: storage, shared: shared, segments: segments)
    let pacing = Pacing(
      storage: storage, view: view, shape: tree.shape, memtableBudgetBytes: pool.limit * pool.arenaBytes)
    let options = options
    let report: @Sendable (SiltstoneError) -> Void = { error in
      options.eventHandler?(Event.failure(error, of: "background work"))
    }
    let scheduler = CompactionScheduler(
      tree: tree, view: view, workerCount: options.compactionThreads ?? CompactionScheduler.defaultWorkerCount,
      pacing: pacing, report: report)
    pacing.follow { [unowned scheduler] in scheduler.running }
    let flusher = MemtableFlusher(
      pool: pool, view: view, storage: storage, report: report,
      emit: { options.eventHandler?($0) }
    ) { (memtable, end) throws(SiltstoneError) in
      // The segment in which the log will begin must exist before the manifest says so, and whatever is released must
      // not be wanted by a drain any more.
      try segments.prepare(upTo: end + 1)
      try drainer.waitDurable(end)
      let nanoseconds = try tree.flush(memtable, end: end)
      pacing.flushed(UInt64(memtable.usedBytes), nanoseconds: nanoseconds)
      scheduler.wake()
      // The flush is done, whatever becomes of files that nobody needs: the next release tries again.
      do throws(SiltstoneError) { try segments.release(before: end) } catch { report(error) }
    }
    let pipeline = CommitPipeline(shared: shared, segments: segments, drainer: drainer, view: view, supply: flusher)
    let logWorker = LogWorker(shared: shared, segments: segments, drainer: drainer, report: report) {
      view.load().active.populateAhead()
      return pacing.update()
    }
    let engine = Engine(
      EngineParts(
        directory: directory, options: options, storage: storage, exclusive: exclusive, shared: shared,
        segments: segments, drainer: drainer, pipeline: pipeline, view: view, pool: pool, cache: cache, tree: tree,
        flusher: flusher, scheduler: scheduler, pacing: pacing, snapshots: snapshots, logWorker: logWorker))
    do throws(SiltstoneError) {
      try engine.start()
    } catch {
      try? engine.close()  // ends the threads that did start
      throw error
    }
    return engine
  }
}

extension Engine {
  /// Opens the database in `directory` on a real disk.
  static func open(_ directory: String, _ options: Options) throws(SiltstoneError) -> Engine {
    try options.check()
    let storage = try DiskStorage(
      path: directory, create: options.createIfMissing,
      backend: options.ioBackend == .automatic ? .automatic : .plain)
    return try open(directory, options, on: storage)
  }

  /// Opens the database in `storage`, whatever that is.
  static func open(
    _ directory: String, _ options: Options, on storage: any Storage
  ) throws(SiltstoneError) -> Engine {
    try options.check()
    return try Opening(directory: directory, options: options, storage: storage).run()
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
  /// Arenas that may be in use: one fills, the others wait for their flush. More than four would only hide a flush that
  /// cannot keep up.
  let memtableCount: Int
  /// What remains for blocks, indexes and filters.
  let cacheBytes: Int

  /// Buffers of one flush and of one compaction: two inputs' read-ahead for each of a dozen runs, and write-behind.
  private static let bufferBytes = 16 << 20

  init(_ options: Options) {
    let ring = Int(options.ringBytes)
    // Half of the budget, but two at least.
    memtableCount = min(max((options.memoryBudgetBytes / 2) / options.memtableBytes, 2), 4)
    let rest = options.memoryBudgetBytes - ring - memtableCount * options.memtableBytes
    cacheBytes = max(rest - min(MemoryPlan.bufferBytes, rest / 2), 1 << 20)
  }
}
