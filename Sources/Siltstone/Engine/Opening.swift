internal import CSupport
internal import Glibc

/// Opens a database: from files to a running engine, one step after the other. What is there is read and checked before
/// anything is changed, and what recovery then changes can be done again: a refusal harms nothing.
///
/// One process at a time opens or closes. If others have the database open, and live, it is joined; if not, it is
/// recovered, whatever it was that the last ones died of. A process that only reads does the same and changes nothing:
/// it observes the others, or recovers for itself alone, on a `FrozenStorage`.
struct Opening {
  let directory: String
  let options: Options
  let storage: any Storage

  /// How long another process may take to open or close before this one gives up.
  private static let patienceNanoseconds: UInt64 = 60_000_000_000

  func run() throws(SiltstoneError) -> Engine {
    try checkDirectory()
    if options.sharing == .readOnly { return try openToRead() }
    let turn = try Opening.takeTurn(storage)
    defer { withExtendedLifetime(turn) {} }
    let isOpen = try isOpen()
    let exclusive = try storage.tryLock(SharedState.fileName, byte: SharedState.LockByte.exclusive)
    guard let exclusive, !(isOpen && options.sharing == .exclusive) else {
      throw SiltstoneError(
        .alreadyOpen,
        exclusive == nil
          ? "another process, or this one, has the database open for itself alone"
          : "other processes have the database open, and this one wants it for itself alone", file: directory)
    }
    let assembly = Assembly(
      directory: directory, options: options, exclusive: options.sharing == .exclusive ? exclusive : nil,
      turn: turn)
    return isOpen ? try join(assembly) : try recover(assembly)
  }

  /// Whether there is somebody to join. REQUIRES: the lock of opening.
  private func isOpen() throws(SiltstoneError) -> Bool {
    let begin = storage.monotonicNanoseconds()
    while try ProcessTable.isAnyAlive(storage) {
      guard try SharedState.isAbandoned(storage) else { return true }
      // Whoever was at it has let go of the lock of opening, and so is dying: the slot's lock goes next. Or it has
      // left, and a child that it was just starting holds the lock until it runs its program.
      if storage.monotonicNanoseconds() - begin > Opening.patienceNanoseconds {
        throw SiltstoneError(
          .alreadyOpen, "a process that was recovering or closing the database does not get done with ending",
          file: directory)
      }
      csup_sleep(1_000_000)
    }
    return false
  }

  /// The lock that one process at a time holds while it opens or closes.
  static func takeTurn(_ storage: any Storage) throws(SiltstoneError) -> any FileLock {
    let begin = storage.monotonicNanoseconds()
    var waiting: (any FileLock)?
    defer { withExtendedLifetime(waiting) {} }
    let name = SharedState.fileName
    while true {
      let lock = try storage.tryLock(name, byte: SharedState.LockByte.opening)
      if let lock { return lock }
      if waiting == nil { waiting = try storage.trySharedLock(name, byte: SharedState.LockByte.waiting) }
      if storage.monotonicNanoseconds() - begin > Opening.patienceNanoseconds {
        throw Opening.isBusy
      }
      csup_sleep(500_000)
    }
  }

  private static var isBusy: SiltstoneError {
    SiltstoneError(
      .alreadyOpen, "another process is opening or closing the database, and does not get done with it",
      file: SharedState.fileName)
  }

  // MARK: - Joining others

  private func join(_ assembly: Assembly) throws(SiltstoneError) -> Engine {
    let shared = try SharedState.join(storage, isWritable: true)
    let parts = try SharedParts(storage, shared, shared.database, options.sharing)
    // Had the last of them died before this one said that it uses their memory, it might be gone.
    if !parts.processes.hasOthers {
      parts.processes.leave()
      return try recover(assembly)
    }
    do throws(SiltstoneError) {
      let (view, tree) = try joinTree(parts)
      KillPoint.reach(.joined)
      try tree.settle()
      try tree.follow()
      return try assembly.finish(parts, view, tree)
    } catch {
      parts.processes.leave()
      throw error
    }
  }

  /// The tree and the memtables as they are now. Under the manifest lock, so that neither moves on meanwhile.
  private func joinTree(_ parts: SharedParts) throws(SiltstoneError) -> (CurrentView, TreeKeeper) {
    let shared = parts.shared
    try shared.acquire(.manifest)
    defer { shared.release(.manifest) }
    let manifest = try Manifest.join(storage, shared.manifestEnd, isWritable: true)
    guard manifest.state.creation.database == shared.database else {
      throw .corrupt("the manifest is another database's", file: ManifestFile.name(manifest.number))
    }
    let base = try TreeBase(storage, options, manifest.state.layout, try parts.pins.pinCurrent { shared.generation })
    var memtables: [Memtable]?
    // What can come between is a committer that makes a new one, and that is soon over.
    for attempt in 0..<CurrentView.maxAttempts where memtables == nil {
      if attempt > 0 { csup_sleep(500_000) }
      memtables = try parts.arenas.memtables(after: shared.flushedSerial, through: shared.active)
    }
    guard let memtables, let active = memtables.first else { throw CurrentView.isIncomplete }
    return base.finish(parts, manifest, active, Array(memtables.dropFirst()))
  }

  // MARK: - Only reading

  /// Looks at a database that others have open, or at what the last ones left. They may come and go meanwhile: then it
  /// looks again.
  private func openToRead() throws(SiltstoneError) -> Engine {
    var failure = Opening.isBusy
    var looks = 0
    let begin = storage.monotonicNanoseconds()
    while looks < Opening.maxLooks {
      // While another opens, it may be recovering: that takes its time, and what there is may be half made.
      let isOpening = try isOpening()
      if !isOpening || storage.monotonicNanoseconds() - begin > Opening.patienceNanoseconds { looks += 1 }
      if try ProcessTable.isAnyAlive(storage) {
        do throws(SiltstoneError) {
          if let engine = try observe() { return engine }
        } catch {
          failure = error
          if !isOpening, error.code != .missingFile, error.code != .unreachableMemory { throw error }
        }
      } else if let engine = try recoverPrivately() {
        return engine
      }
      csup_sleep(2_000_000)
    }
    throw failure
  }
  private static let maxLooks = 500

  /// Whether another process opens or closes the database, or waits for its turn to.
  private func isOpening() throws(SiltstoneError) -> Bool {
    guard try storage.exists(SharedState.fileName) else { return false }
    for byte in [SharedState.LockByte.opening, SharedState.LockByte.waiting] {
      if try storage.isLocked(SharedState.fileName, byte: byte) { return true }
    }
    return false
  }

  /// Reads what others have open, and changes nothing, not even in shared memory. Nil if they were changing it.
  private func observe() throws(SiltstoneError) -> Engine? {
    let shared = try SharedState.join(storage, isWritable: false)
    let parts = try SharedParts(storage, shared, shared.database, options.sharing)
    if parts.processes.isAnySharing(Options.Sharing.exclusive.kind.rawValue) {
      throw SiltstoneError(.alreadyOpen, "a process has the database open for itself alone", file: directory)
    }
    guard let (view, tree) = try observeTree(parts) else { return nil }
    return try Assembly(directory: directory, options: options, exclusive: nil, turn: nil).finish(parts, view, tree)
  }

  /// Recovers for this process alone what the last ones left. Nil if somebody comes meanwhile.
  ///
  /// Whoever comes to write waits, since the lock of opening is shared by those who do this. Where there is no SHARED,
  /// there is nothing to lock, and none is made; but a writer makes it before anything else, so that it shows.
  private func recoverPrivately() throws(SiltstoneError) -> Engine? {
    let hasShared = try storage.exists(SharedState.fileName)
    var turn: (any FileLock)?
    if hasShared {
      if try storage.isLocked(SharedState.fileName, byte: SharedState.LockByte.waiting) { return nil }
      turn = try storage.trySharedLock(SharedState.fileName, byte: SharedState.LockByte.opening)
      if turn == nil { return nil }
      if try ProcessTable.isAnyAlive(storage) { return nil }
    }
    defer { withExtendedLifetime(turn) {} }
    let frozen = Opening(directory: directory, options: options, storage: FrozenStorage(storage))
    let outcome: Result<Engine, SiltstoneError>
    do throws(SiltstoneError) {
      outcome = .success(
        try frozen.recover(Assembly(directory: directory, options: options, exclusive: nil, turn: nil)))
    } catch {
      outcome = .failure(error)
    }
    if !hasShared, try storage.exists(SharedState.fileName) { return nil }
    return try outcome.get()
  }

  /// The tree and the memtables of one generation; nil if it did not last that long.
  private func observeTree(_ parts: SharedParts) throws(SiltstoneError) -> (CurrentView, TreeKeeper)? {
    let shared = parts.shared
    let pin = try parts.pins.pinCurrent { shared.generation }
    let (flushed, end) = (shared.flushedSerial, shared.manifestEnd)
    func isCurrent() -> Bool { pin.generation & 1 == 0 && shared.generation == pin.generation && !shared.isRecovering }
    guard isCurrent() else { return nil }
    let manifest = try Manifest.join(storage, end, isWritable: false)
    let base = try TreeBase(storage, options, manifest.state.layout, pin)
    let memtables = try parts.arenas.memtables(after: flushed, through: shared.active)
    guard isCurrent(), let memtables, let active = memtables.first else { return nil }
    return base.finish(parts, manifest, active, Array(memtables.dropFirst()))
  }

  // MARK: - Recovery

  private func recover(_ assembly: Assembly) throws(SiltstoneError) -> Engine {
    let begin = storage.monotonicNanoseconds()
    var recovered = Manifest.Recovered(fileName: "")
    let manifest = try openManifest(&recovered)
    let creation = manifest.state.creation
    let logStart = manifest.state.logStart
    let (shared, remains) = try SharedState.attach(
      storage: storage, database: creation.database, ringBytes: MemoryPlan(options).ringBytes)
    shared.reset(remains)
    // First: then nobody is still at removing what bears the same names.
    let memoryUse = try ArenaTable.use(storage, shared, creation.database, isFirst: options.sharing != .exclusive)
    if shared.isWritable { try ArenaTable.removeAll(storage, shared, creation.database) }
    try beginNumbers(shared, manifest)
    let parts = try SharedParts(storage, shared, creation.database, options.sharing, memoryUse: memoryUse)
    parts.arenas.setPlan(MemoryPlan(options).arenas)
    do throws(SiltstoneError) {
      let base = try TreeBase(storage, options, manifest.state.layout, try parts.pins.pinCurrent { shared.generation })
      guard let memtable = try parts.arenas.activate(firstPosition: logStart, commonPrefix: []) else {
        preconditionFailure("the first memtable is always to be had")
      }
      let (view, tree) = base.finish(parts, manifest, memtable, [])
      try checkValues(tree)
      let recovery = LogRecovery(
        storage: storage, database: creation.database, shared: shared, remains: remains,
        segmentBytes: creation.logSegmentBytes, logStart: logStart,
        lastValueSegment: view.peek().version.segmentUse.keys.max() ?? 0)
      // A reader who outlived the last life reads at its position until it sees the new one.
      let last = try SnapshotRegistration(in: parts.snapshots) { shared.published }
      let outcome = try Replay(parts: parts, view: view, tree: tree).run(recovery)
      // What recovery has flushed needs no log any more, and its segments may be used again.
      try shared.begin(
        database: creation.database, segmentBytes: creation.logSegmentBytes, end: outcome.end,
        drained: max(outcome.drained, tree.logStart), durable: max(outcome.durable, tree.logStart))
      last.end()
      if shared.isWritable { try tree.removeUnnamedFiles() }
      announce(outcome, recovered, since: begin)
      return try assembly.finish(parts, view, tree, recoveredEnd: outcome.end)
    } catch {
      if shared.isWritable { try? ArenaTable.removeAll(storage, shared, creation.database, atEnd: true) }
      parts.processes.leave()
      throw error
    }
  }

  /// Every segment that tables point into must be there.
  private func checkValues(_ tree: TreeKeeper) throws(SiltstoneError) {
    let there = Set(try tree.segments.existing())
    for number in tree.view.peek().version.segmentUse.keys.sorted() where !there.contains(number) {
      throw SiltstoneError(
        .missingFile, "a log segment that holds values is missing", file: LogSegment.fileName(number))
    }
  }

  /// The numbers from which all processes are going to count, and where the tree stands.
  private func beginNumbers(_ shared: SharedState, _ manifest: borrowing Manifest) throws(SiltstoneError) {
    // A crash may have left tables that the manifest never heard of. They are removed only when recovery has succeeded,
    // and recovery itself may have to flush: it must not run into them.
    let leftOver = try storage.list().compactMap { TableFile.number($0) }.max() ?? 0
    let state = manifest.state
    csup_store(shared.words.nextTable, max(state.nextFileNumber, leftOver + 1))
    csup_store(shared.words.nextRun, state.nextRunID)
    csup_store(shared.words.logStart, state.logStart)
    let end = SharedState.ManifestEnd(number: manifest.number, offset: manifest.position)
    guard end.isPossible else { throw SiltstoneError(.invalidArgument, "the manifest's numbers are used up") }
    csup_store(shared.words.manifestEnd, end.word)
    // Behind that end may stand what a crash has left: whoever commits first begins a new manifest.
    csup_store32(shared.words.manifestUncertain, SharedState.ManifestDoubt.tail)
  }

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
      if try storage.exists(CurrentFile.name) { return }  // by now
      throw SiltstoneError(.missingFile, "CURRENT is missing, although there is a \(evidence)", file: CurrentFile.name)
    }
    if !options.createIfMissing || options.sharing == .readOnly {
      throw SiltstoneError(.notADatabase, "the directory holds no database", file: directory)
    }
  }

  private static func mayBeOurs(_ name: String) -> Bool {
    name == SharedState.fileName || name == CurrentFile.temporaryName || ManifestFile.number(fromName: name) != nil
      || LogSegment.number(fromFileName: name) != nil || TableFile.number(name) != nil || name == CurrentFile.name
  }

  private func openManifest(_ recovered: inout Manifest.Recovered) throws(SiltstoneError) -> Manifest {
    if try storage.exists(CurrentFile.name) {
      let manifest = try Manifest.recover(storage, &recovered)
      // What a process that died had written and not synced counts from here on: the log before it will be given up.
      if options.sharing != .readOnly {
        try storage.open(recovered.fileName, .readWriteBuffered).sync()
        try storage.syncDirectory()
      }
      return manifest
    }
    let segmentBytes = options.logSegmentBytes ?? Opening.segmentBytes(memtableBytes: options.memtableBytes)
    return try Manifest.create(
      storage, VersionEdit.Creation(database: .random(storage), logSegmentBytes: segmentBytes))
  }

  /// Half a memtable: the log that a flush makes superfluous is then given up soon, and there are few files.
  private static func segmentBytes(memtableBytes: Int) -> UInt64 {
    StorageAlignment.roundUp(UInt64(min(max(memtableBytes / 2, 1 << 20), 64 << 20)))
  }

  private func announce(_ outcome: LogRecovery.Outcome, _ recovered: Manifest.Recovered, since begin: UInt64) {
    guard let handler = options.eventHandler else { return }
    let torn = recovered.tornBytes > 0 ? ", \(recovered.tornBytes) bytes of an unacknowledged edit cut off" : ""
    handler(
      Event(
        .recovery, "\(outcome.recordCount) log records replayed, \(recovered.editCount) manifest edits\(torn)",
        durationNanoseconds: storage.monotonicNanoseconds() - begin))
  }
}

/// The tree with its tables open, before there is a view of it.
private struct TreeBase {
  private let options: Options
  private let cache: BlockCache
  private let reaper: TableReaper
  private let version: Version
  private let pin: GenerationPin

  init(
    _ storage: any Storage, _ options: Options, _ layout: TreeLayout, _ pin: GenerationPin
  ) throws(SiltstoneError) {
    self.options = options
    self.pin = pin
    cache = BlockCache(capacityBytes: MemoryPlan(options).cacheBytes)
    reaper = TableReaper(storage: storage, cache: cache)
    version = try Version.open(layout, storage: storage, cache: cache, pin: pin)
  }

  func finish(
    _ parts: SharedParts, _ manifest: consuming Manifest, _ active: Memtable, _ sealed: [Memtable]
  ) -> (CurrentView, TreeKeeper) {
    let view = CurrentView(
      ReadView(active: active, sealed: sealed, version: version, pins: [pin]), shared: parts.shared,
      arenas: parts.arenas, pins: parts.pins)
    let tree = TreeKeeper(
      parts, manifest: manifest, cache: cache, reaper: reaper, view: view, options: options)
    parts.processes.withOwnSlot { csup_store($0.pointer(to: \.view_generation), version.generation) }
    view.followTree { [weak tree] () throws(SiltstoneError) in try tree?.follow() }
    return (view, tree)
  }
}

extension Engine {
  /// Opens the database in `directory` on a real disk.
  static func open(_ directory: String, _ options: Options) throws(SiltstoneError) -> Engine {
    try options.check()
    let storage = try DiskStorage(
      path: directory, create: options.createIfMissing && options.sharing != .readOnly,
      backend: options.ioBackend == .automatic ? .automatic : .plain)
    return try open(directory, options, on: storage)
  }

  /// Opens the database in `storage`, whatever that is.
  static func open(
    _ directory: String, _ options: Options, on storage: any Storage
  ) throws(SiltstoneError) -> Engine {
    try options.check()
    let engine = try Opening(directory: directory, options: options, storage: storage).run()
    if options.sharing != .readOnly { storage.reclaimMemory() }
    return engine
  }
}
