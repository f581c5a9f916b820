/// Everything that an engine is made of, as opening has put it together.
struct EngineParts {
  let directory: String
  let options: Options
  let storage: any Storage
  let exclusive: any FileLock
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
  let logWorker: LogWorker
}
