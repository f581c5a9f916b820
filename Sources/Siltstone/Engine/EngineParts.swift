/// Everything that an engine is made of, as opening has put it together.
struct EngineParts {
  let directory: String
  let options: Options
  let exclusive: (any FileLock)?
  let common: SharedParts
  let segments: LogSegments
  let drainer: LogDrainer
  let pipeline: CommitPipeline
  let view: CurrentView
  let cache: BlockCache
  let tree: TreeKeeper
  let flusher: MemtableFlusher
  let scheduler: CompactionScheduler
  let compactionRole: Role
  let pacing: Pacing
  let logWorker: LogWorker
}
