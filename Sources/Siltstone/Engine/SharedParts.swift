/// What an engine has of the state that processes share.
struct SharedParts: Sendable {
  let storage: any Storage
  let shared: SharedState
  let processes: ProcessTable
  let pins: GenerationPins
  let arenas: ArenaTable
  let snapshots: SnapshotList

  /// - Parameter memoryUse: what says that the arenas are in use, if this is the first process to use them.
  init(
    _ storage: any Storage, _ shared: SharedState, _ database: DatabaseID, _ sharing: Options.Sharing,
    memoryUse: (any FileLock)? = nil
  ) throws(SiltstoneError) {
    self.storage = storage
    self.shared = shared
    var memoryUse = memoryUse
    if memoryUse == nil, sharing != .exclusive {
      memoryUse = try ArenaTable.use(storage, shared, database, isFirst: false)
    }
    let marks = sharing == .readOnly ? try storage.makeMarks(SharedState.fileName) : nil
    guard shared.isWritable || shared.isPrivate else {
      processes = ProcessTable(observing: shared, storage, memoryUse: memoryUse)
      pins = GenerationPins(processes, marks: marks)
      arenas = ArenaTable(storage, shared, processes, database, isPrivate: false, isWritable: false)
      snapshots = SnapshotList(SnapshotTable(processes, marks: marks))
      return
    }
    processes = try ProcessTable(storage, shared, sharing: sharing.kind.rawValue, memoryUse: memoryUse)
    pins = GenerationPins(processes, marks: marks)
    arenas = ArenaTable(
      storage, shared, processes, database, isPrivate: sharing == .exclusive || shared.isPrivate)
    snapshots = SnapshotList(SnapshotTable(processes))
  }
}
