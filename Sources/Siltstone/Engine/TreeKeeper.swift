internal import CSupport
internal import Synchronization

/// This process's part in the tree: commits its changes to the manifest, one at a time among all processes, shows them,
/// and follows those of others. Flushes and compactions do their work elsewhere and bring the result as an edit.
final class TreeKeeper: Sendable {
  let storage: any Storage
  let shared: SharedState
  let processes: ProcessTable
  let arenas: ArenaTable
  let pins: GenerationPins
  let cache: BlockCache
  let values: ValueReader
  let view: CurrentView
  let snapshots: SnapshotList
  let shape: CompactionShape
  let options: Options
  let creation: VersionEdit.Creation
  let reaper: TableReaper
  let outputs: OutputFloor
  let moved: MovedFloor
  let segments: LogSegments
  /// Used under the manifest's mutex.
  let ledger: Mutex<SegmentLedger>
  /// Set once, when there is a pipeline.
  let logTail = Mutex<LogTail?>(nil)
  private let manifest: Mutex<Manifest>
  /// The generation that this process's last edit made.
  private let lastEdit = Atomic<UInt64>(0)
  /// Set under the manifest's mutex: this process has no part in the shared state any more.
  private let hasLeft = Atomic<Bool>(false)
  private let workDone = Mutex(Work())
  /// A flush whose edit could not be committed: it is on disk or not, so that very edit must be tried again.
  let unfinishedFlush = Mutex<PendingFlush?>(nil)

  /// What flushes and compactions have done since the database was opened, in this process.
  struct Work: Sendable {
    var flushes: UInt64 = 0
    var flushBytesWritten: UInt64 = 0
    var compactions: UInt64 = 0
    var trivialMoves: UInt64 = 0
    var compactionBytesWritten: UInt64 = 0
    var compactionBytesRead: UInt64 = 0
    var valueBytesMoved: UInt64 = 0
  }

  init(
    _ parts: SharedParts, manifest: consuming Manifest, cache: BlockCache, reaper: TableReaper, view: CurrentView,
    options: Options
  ) {
    storage = parts.storage
    shared = parts.shared
    processes = parts.processes
    arenas = parts.arenas
    pins = parts.pins
    snapshots = parts.snapshots
    self.cache = cache
    self.view = view
    self.options = options
    self.reaper = reaper
    outputs = OutputFloor(shared: parts.shared, processes: parts.processes)
    moved = MovedFloor(shared: parts.shared)
    creation = manifest.state.creation
    var shape = options.shape
    shape.logSegmentBytes = creation.logSegmentBytes
    self.shape = shape
    segments = LogSegments(
      storage: parts.storage, database: creation.database, shared: parts.shared,
      segmentBytes: creation.logSegmentBytes, fills: options.durability == .synced)
    values = ValueReader(
      storage: parts.storage, shared: parts.shared, database: creation.database,
      segmentBytes: creation.logSegmentBytes, cache: cache)
    ledger = Mutex(SegmentLedger(logStart: manifest.state.logStart))
    self.manifest = Mutex(manifest)
  }

  /// Everything before is in tables.
  var logStart: LogPosition { shared.logStart }
  var work: Work { workDone.withLock { $0 } }
  func note(_ change: (inout Work) -> Void) { workDone.withLock { change(&$0) } }

  /// Numbers that were never used before. One that is taken and not used is lost, which does no harm.
  func takeFileNumber() -> UInt64 { csup_add(shared.words.nextTable, 1) }
  func takeRunID() -> UInt64 { csup_add(shared.words.nextRun, 1) }

  // MARK: - Committing

  /// Makes `edit` durable, then current for all processes. `opened` has every table that the edit adds and the tree did
  /// not have.
  ///
  /// - Parameter flushed: the number of the memtable that the edit puts into tables, if it does.
  /// - Throws: what the manifest throws. Nothing has changed for readers then, and the same edit can be tried again,
  ///   unless it does not fit.
  func commit(_ edit: VersionEdit, opened: [Table], flushed: UInt64? = nil) throws(SiltstoneError) {
    try manifest.withLock { (manifest) throws(SiltstoneError) in
      try withManifestLock(&manifest) { (manifest) throws(SiltstoneError) in
        try commitHolding(edit, &manifest, flushed)
        lastEdit.store(shared.generation, ordering: .releasing)
      }
      do throws(SiltstoneError) { try follow(&manifest, opened) } catch {
        // The edit is done, whether this process can already see it or not: the next look tries again, and until then
        // nothing is worked out from the version that it has; see `isCurrent`.
        options.eventHandler?(Event.failure(error, of: "following the tree"))
      }
    }
    shared.announceChange()
    reap()
  }

  /// Runs `body` as the only one among all processes who may change the tree, with the manifest as it is now and all
  /// that a process which died in here left half done settled.
  private func withManifestLock(
    _ manifest: inout Manifest, _ body: (inout Manifest) throws(SiltstoneError) -> Void
  ) throws(SiltstoneError) {
    try checkPart()
    try shared.acquire(.manifest)
    defer { shared.release(.manifest) }
    try manifest.catchUp(to: shared.manifestEnd)
    if shared.generation & 1 == 1 { show(nil, manifest.state.logStart) }
    try body(&manifest)
  }

  private func commitHolding(
    _ edit: VersionEdit, _ manifest: inout Manifest, _ flushed: UInt64?
  ) throws(SiltstoneError) {
    var edit = edit
    edit.nextFileNumber = csup_load(shared.words.nextTable)
    edit.nextRunID = csup_load(shared.words.nextRun)
    // What was written before and never shown, because its writer failed or died, must not come to life behind this.
    let doubt = csup_load32(shared.words.manifestUncertain)
    if doubt != SharedState.ManifestDoubt.none { manifest.distrustFile() }
    csup_store32(shared.words.manifestUncertain, SharedState.ManifestDoubt.edit)
    KillPoint.reach(.editUncertain)
    do throws(SiltstoneError) { try manifest.commit(edit) } catch {
      if error.code == .unfitEdit { csup_store32(shared.words.manifestUncertain, doubt) }
      throw error
    }
    let end = SharedState.ManifestEnd(number: manifest.number, offset: manifest.position)
    guard end.isPossible else { throw SiltstoneError(.invalidArgument, "the manifest's numbers are used up") }
    show(end, manifest.state.logStart, flushed: flushed)
    csup_store32(shared.words.manifestUncertain, SharedState.ManifestDoubt.none)
    KillPoint.reach(.editDone)
    manifest.removeOthers()
  }

  /// Makes a new generation of what there is to read from; or finishes one, if the generation is odd. The manifest
  /// comes first and the memtables that are now in it go after that, so that a reader who looks in the other order
  /// misses nothing. REQUIRES: the manifest lock.
  private func show(_ end: SharedState.ManifestEnd?, _ logStart: LogPosition, flushed: UInt64? = nil) {
    let next = (shared.generation | 1) + 1
    csup_store(shared.words.generation, next - 1)
    csup_fence()
    KillPoint.reach(.generationOdd)
    if let end { csup_store(shared.words.manifestEnd, end.word) }
    csup_store(shared.words.logStart, logStart)
    KillPoint.reach(.editShown)
    csup_store(shared.words.flushed, max(flushed ?? 0, arenas.newestBefore(logStart), shared.flushedSerial))
    KillPoint.reach(.flushedShown)
    arenas.retire(next)
    csup_store(shared.words.generation, next)
    csup_fence()
  }

  /// Until it is settled, the manifest on disk may name what has been removed.
  private var hasUncertainEdit: Bool {
    csup_load32(shared.words.manifestUncertain) == SharedState.ManifestDoubt.edit
  }

  /// Settles what a process that died may have left of an edit, so that files can be deleted again.
  func settle() throws(SiltstoneError) {
    try manifest.withLock { (manifest) throws(SiltstoneError) in
      try withManifestLock(&manifest) { (manifest) throws(SiltstoneError) in
        if hasUncertainEdit { try commitHolding(VersionEdit(), &manifest, nil) }
      }
    }
  }

  // MARK: - Following

  /// Whether a version has all that this process has done to the tree.
  func isCurrent(_ version: Version) -> Bool { version.generation >= lastEdit.load(ordering: .acquiring) }

  /// Brings this process's view up to date with the tree.
  func follow() throws(SiltstoneError) {
    if view.peek().version.generation == shared.generation { return }
    try manifest.withLock { (manifest) throws(SiltstoneError) in try follow(&manifest, []) }
  }

  private func follow(_ manifest: inout Manifest, _ opened: [Table]) throws(SiltstoneError) {
    var opened = opened
    var patience = 100
    while true {
      try checkPart()
      if !shared.isWritable, shared.isRecovering { return }
      let old = view.peek().version
      let pin = try pins.pinCurrent { shared.generation }
      if pin.generation == old.generation { return }
      if pin.generation & 1 == 1 {
        // It is being changed at this moment, or its changer died at it. Who may not write can only wait for others.
        if shared.isWritable {
          try withManifestLock(&manifest) { (_) in }
        } else {
          patience -= 1
          if patience == 0 { return }
          csup_sleep(100_000)
        }
        continue
      }
      let flushed = shared.flushedSerial
      let end = shared.manifestEnd
      if shared.generation != pin.generation { continue }
      do throws(SiltstoneError) { try manifest.catchUp(to: end) } catch {
        if shared.manifestEnd != end { continue }
        throw error
      }
      let layout = manifest.state.layout
      for metadata in layout.tables where !old.has(metadata.number) {
        if opened.contains(where: { $0.metadata.number == metadata.number }) { continue }
        opened.append(try Table(storage: storage, metadata: metadata, cache: cache))
      }
      let version = old.becoming(layout, opened: opened, pin: pin)
      if try view.install(version, flushed: flushed, pin: pin) {
        // Who only reads deletes nothing, so it keeps no list of what to delete.
        if shared.isWritable {
          reaper.note(version.tableNumbers.filter { !old.has($0) }, bornIn: old.generation + 1)
          reaper.condemn(old.tableNumbers.filter { !version.has($0) }, endedBy: pin.generation)
        }
        noteSegments(version, after: old, logStart: manifest.state.logStart)
        processes.withOwnSlot { csup_store($0.pointer(to: \.view_generation), pin.generation) }
        return
      }
      if shared.generation == pin.generation {
        patience -= 1
        if patience == 0 { throw CurrentView.isIncomplete }
        csup_sleep(100_000)
      }
    }
  }

  // MARK: - Deleting

  /// Deletes table files that nothing needs any more. What fails now is tried again after the next change.
  func reap() {
    let superfluous = manifest.withLock { manifest -> [UInt64] in
      if hasUncertainEdit || !shared.isWritable || hasLeft.load(ordering: .relaxed) { return [] }
      do throws(SiltstoneError) {
        try reaper.reap { processes.nobodyReads(from: $0) }
        return try superfluousSegments()
      } catch {
        options.eventHandler?(Event.failure(error, of: "removing an old file"))
        return []
      }
    }
    do throws(SiltstoneError) { try release(superfluous) } catch {
      // Whoever is closing leaves them to others, or to the next opening.
      if error.code != .closed { options.eventHandler?(Event.failure(error, of: "removing an old log segment")) }
    }
  }

  /// Removes what a crash left of flushes and compactions. REQUIRES: recovery has succeeded, and nothing runs yet.
  func removeUnnamedFiles() throws(SiltstoneError) {
    try manifest.withLock { (manifest) throws(SiltstoneError) in
      if manifest.hasUncertainEdit { return }
      _ = try DatabaseFiles.removeUnnamed(storage, manifest)
    }
  }

  /// Takes up what processes that died have left: files that no edit will ever name, and tables that only they knew to
  /// be superfluous. They go when nobody reads from a generation that may have named them.
  func scavenge() throws(SiltstoneError) {
    // In this order: a table that is there and has a number below the floor is named by now, or never will be.
    let there = try storage.list().compactMap { TableFile.number($0) }
    let next = csup_load(shared.words.nextTable)
    let floor = processes.lowestTableInProgress ?? next
    try settle()
    try follow()
    let version = view.peek().version
    let unnamed = there.filter { $0 < floor && !version.has($0) && !reaper.isCondemned($0) }
    reaper.condemn(unnamed, endedBy: version.generation)
    arenas.tidy()
    reap()
  }

  // MARK: - Others

  /// Reads the manifest back from the disk. Under its lock, since a commit may put another file in its place.
  func verifyManifest() throws(SiltstoneError) {
    try manifest.withLock { (manifest) throws(SiltstoneError) in
      var recovered = Manifest.Recovered(fileName: "")
      if !shared.isWritable {
        _ = try Manifest.recover(storage, &recovered)
      } else {
        try withManifestLock(&manifest) { (_) throws(SiltstoneError) in
          _ = try Manifest.recover(storage, &recovered)
        }
      }
    }
  }

  /// Deletes what is left to delete, and brings the manifest's last words to disk. An error costs nothing: they only
  /// repeat what is there.
  func close() {
    if !shared.isWritable { return }
    reap()
    manifest.withLock { manifest in
      do throws(SiltstoneError) { try manifest.sync() } catch {}
      hasLeft.store(true, ordering: .relaxed)
    }
  }

  private func checkPart() throws(SiltstoneError) {
    if hasLeft.load(ordering: .relaxed) { throw SiltstoneError(.closed, "the database was closed") }
  }

  /// Opens the tables that a job wrote. If one cannot be opened, all are removed: nothing names them yet.
  func open(_ outputs: [TableMetadata]) throws(SiltstoneError) -> [Table] {
    do throws(SiltstoneError) {
      var tables: [Table] = []
      for metadata in outputs { tables.append(try Table(storage: storage, metadata: metadata, cache: cache)) }
      return tables
    } catch {
      discard(outputs)
      throw error
    }
  }

  /// Removes tables that no edit has named. What cannot be removed now is found by the next opening.
  func discard(_ outputs: [TableMetadata]) {
    for metadata in outputs {
      do throws(SiltstoneError) { try storage.remove(TableFile.name(metadata.number)) } catch {
        options.eventHandler?(Event.failure(error, of: "removing an unused table"))
      }
    }
  }
}
