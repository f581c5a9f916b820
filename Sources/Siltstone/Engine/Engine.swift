internal import CSupport
internal import Synchronization

/// One open database: owns every part, starts and ends the background, and is what the public types talk to.
///
/// The parts know nothing of each other's owners: the pipeline commits, the flusher turns full memtables into runs,
/// the tree keeper installs what changes, the scheduler compacts, and the current view ties them together for readers.
final class Engine: Sendable {
  let directory: String
  let options: Options
  let storage: any Storage
  let shared: SharedState
  let processes: ProcessTable
  private let pins: GenerationPins
  let segments: LogSegments
  let drainer: LogDrainer
  let pipeline: CommitPipeline
  let view: CurrentView
  let arenas: ArenaTable
  let cache: BlockCache
  let tree: TreeKeeper
  let flusher: MemtableFlusher
  let scheduler: CompactionScheduler
  let pacing: Pacing
  let snapshots: SnapshotList
  let values: ValueReader
  let readQueues: ReadQueues
  let readMeter = ReadMeter()
  let commitMeter = OperationMeter()

  /// Keeps others out for as long as it is held; nil where they may come in.
  private let exclusive: Mutex<(any FileLock)?>
  private let compactionRole: Role
  private let logWorker: LogWorker
  private let follower: Follower
  private let threads = Mutex<[BackgroundThread]>([])
  private let closed = Atomic<Bool>(false)
  /// In which process it was opened: in a child of that it is of no use.
  private let forks = csup_fork_count()

  init(_ parts: EngineParts) {
    directory = parts.directory
    options = parts.options
    storage = parts.common.storage
    shared = parts.common.shared
    processes = parts.common.processes
    pins = parts.common.pins
    segments = parts.segments
    drainer = parts.drainer
    pipeline = parts.pipeline
    view = parts.view
    arenas = parts.common.arenas
    cache = parts.cache
    tree = parts.tree
    values = parts.tree.values
    flusher = parts.flusher
    scheduler = parts.scheduler
    pacing = parts.pacing
    snapshots = parts.common.snapshots
    readQueues = ReadQueues(parts.common.storage)
    logWorker = parts.logWorker
    exclusive = Mutex(parts.exclusive)
    compactionRole = parts.compactionRole
    let (scheduler, counters, meter, flusher) = (parts.scheduler, parts.pipeline.counters, readMeter, parts.flusher)
    let handler = parts.options.eventHandler
    follower = Follower(parts.common, view: parts.view, tree: parts.tree, pacing: parts.pacing) {
      scheduler.wake()
    } publish: { slot in
      csup_store(slot.pointer(to: \.entries_written), counters.entries)
      csup_store(slot.pointer(to: \.bytes_written), counters.keyValueBytes)
      csup_store(slot.pointer(to: \.lookups), meter.lookups)
      csup_store(slot.pointer(to: \.stalled), flusher.stallNanoseconds)
    } report: { error in
      handler?(Event.failure(error, of: "background work"))
    }
  }

  @inline(__always)
  var isClosed: Bool { closed.load(ordering: .acquiring) }

  /// Starts the background. REQUIRES: called once.
  func start() throws(SiltstoneError) {
    if shared.isPrivate { return }  // nothing ever changes
    try threads.withLock { (threads) throws(SiltstoneError) in
      let (flusher, logWorker, scheduler, follower, storage) = (flusher, logWorker, scheduler, follower, storage)
      threads.append(try BackgroundThread("silt-follow") { follower.run() })
      if !shared.isWritable { return }
      threads.append(try BackgroundThread("silt-flush") { flusher.run() })
      threads.append(try BackgroundThread("silt-log") { logWorker.run(storage) })
      for number in 0..<scheduler.workerCount {
        let reserved = number > 0 && number == scheduler.workerCount - 1
        threads.append(try BackgroundThread("silt-compact-\(number)") { scheduler.run(reserved: reserved) })
      }
    }
  }

  /// Ends the background, makes the log durable, and lets go of the directory; the last one to leave makes the log
  /// whole and says so. Memtables are not flushed: the log has what they hold. In a child of fork nothing is done: what
  /// it could end is its parent's.
  ///
  /// - Parameter turn: the lock of opening, if the caller holds it.
  func close(holding turn: (any FileLock)? = nil) throws(SiltstoneError) {
    if forks != csup_fork_count() { return }
    if closed.exchange(true, ordering: .acquiringAndReleasing) { return }
    if shared.isWritable {
      pipeline.close()
      flusher.stop()
      scheduler.stop()
      logWorker.stop()
    }
    follower.stop()
    threads.withLock { threads in
      for thread in threads { thread.join() }
      threads.removeAll()
    }
    if shared.isWritable { try leave(turn) } else { view.end() }
  }

  /// Gives up what this process has of the shared state.
  private func leave(_ turn: (any FileLock)?) throws(SiltstoneError) {
    compactionRole.leave()
    defer { exclusive.withLock { $0 = nil } }
    let turn = turn ?? (try? Opening.takeTurn(storage))
    // Asked before the log is made whole: another may yet commit and die. None can come meanwhile.
    let isAlone = turn != nil && !processes.hasOthers
    defer {
      segments.end()
      tree.close()
      view.end()
      // A read that is under way and a cursor that is left keep the slot until they go.
      pins.end()
      withExtendedLifetime(turn) {}
    }
    try drainer.end()
    if isAlone {
      // Those who only read may still be there: what they live from goes when they do.
      defer {
        processes.leave()
        storage.reclaimMemory()
        try? ArenaTable.removeFromDirectory(storage, tree.creation.database)
      }
      if shared.failed == 0 { try shared.end() }
    }
  }

  // MARK: - Housekeeping on demand

  func flush() throws(SiltstoneError) {
    try checkWritable()
    try report { () throws(SiltstoneError) in
      try pipeline.seal()
      try flusher.drain()
      try tree.follow()
    }
  }

  func compact(_ range: KeyRange) throws(SiltstoneError) {
    try flush()
    if range.isEmpty { return }
    try tree.follow()
    try report { () throws(SiltstoneError) in try scheduler.compact(lower: range.lower, upper: range.upper) }
  }

  func waitForCompaction() throws(SiltstoneError) {
    try checkWritable()
    try flusher.drain()
    try tree.follow()
    try report { () throws(SiltstoneError) in try scheduler.waitUntilIdle() }
  }

  @inline(__always)
  func checkOpen() throws(SiltstoneError) {
    if isClosed { throw SiltstoneError(.closed, "the database was closed") }
    if forks != csup_fork_count() { throw Engine.forked }
  }

  @inline(__always)
  func checkWritable() throws(SiltstoneError) {
    try checkOpen()
    if !shared.isWritable { throw SiltstoneError(.readOnly, "the database was opened for reading only") }
  }

  private static var forked: SiltstoneError {
    SiltstoneError(.forked, "the database belongs to the parent of this process; open it again here")
  }
}
