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
  let segments: LogSegments
  let drainer: LogDrainer
  let pipeline: CommitPipeline
  let view: CurrentView
  let pool: MemtableArenaPool
  let cache: BlockCache
  let tree: TreeKeeper
  let flusher: MemtableFlusher
  let scheduler: CompactionScheduler
  let pacing: Pacing
  let snapshots: SnapshotList
  let readQueues: ReadQueues
  let readMeter = ReadMeter()
  let commitMeter = OperationMeter()

  /// Keeps others out for as long as it is held.
  private let exclusive: Mutex<(any FileLock)?>
  private let logWorker: LogWorker
  private let threads = Mutex<[BackgroundThread]>([])
  private let closed = Atomic<Bool>(false)

  init(_ parts: EngineParts) {
    directory = parts.directory
    options = parts.options
    storage = parts.storage
    shared = parts.shared
    segments = parts.segments
    drainer = parts.drainer
    pipeline = parts.pipeline
    view = parts.view
    pool = parts.pool
    cache = parts.cache
    tree = parts.tree
    flusher = parts.flusher
    scheduler = parts.scheduler
    pacing = parts.pacing
    snapshots = parts.snapshots
    readQueues = ReadQueues(parts.storage)
    logWorker = parts.logWorker
    exclusive = Mutex(parts.exclusive)
  }

  @inline(__always)
  var isClosed: Bool { closed.load(ordering: .acquiring) }

  /// Starts the background. REQUIRES: called once.
  func start() throws(SiltstoneError) {
    try threads.withLock { (threads) throws(SiltstoneError) in
      let (flusher, logWorker, scheduler, storage) = (flusher, logWorker, scheduler, storage)
      threads.append(try BackgroundThread("silt-flush") { flusher.run() })
      threads.append(try BackgroundThread("silt-log") { logWorker.run(storage) })
      for number in 0..<scheduler.workerCount {
        let reserved = number > 0 && number == scheduler.workerCount - 1
        threads.append(try BackgroundThread("silt-compact-\(number)") { scheduler.run(reserved: reserved) })
      }
    }
  }

  /// Ends the background, makes the log whole and durable, and lets go of the directory. Memtables are not flushed: the
  /// log has what they hold.
  func close() throws(SiltstoneError) {
    if closed.exchange(true, ordering: .acquiringAndReleasing) { return }
    pipeline.close()
    flusher.stop()
    scheduler.stop()
    logWorker.stop()
    threads.withLock { threads in
      for thread in threads { thread.join() }
      threads.removeAll()
    }
    defer {
      tree.close()
      exclusive.withLock { $0 = nil }
    }
    try drainer.end()
    if shared.failed == 0 { try shared.end() }
  }

  // MARK: - Housekeeping on demand

  func flush() throws(SiltstoneError) {
    try checkOpen()
    try report { () throws(SiltstoneError) in
      try pipeline.seal()
      try flusher.drain()
    }
  }

  func compact(_ range: KeyRange) throws(SiltstoneError) {
    try flush()
    if range.isEmpty { return }
    try report { () throws(SiltstoneError) in try scheduler.compact(lower: range.lower, upper: range.upper) }
  }

  func waitForCompaction() throws(SiltstoneError) {
    try checkOpen()
    try flusher.drain()
    try report { () throws(SiltstoneError) in try scheduler.waitUntilIdle() }
  }

  @inline(__always)
  func checkOpen() throws(SiltstoneError) {
    if isClosed { throw SiltstoneError(.closed, "the database was closed") }
  }
}
