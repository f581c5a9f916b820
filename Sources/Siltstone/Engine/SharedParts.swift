/// What an engine has of the state that processes share.
struct SharedParts: Sendable {
  let storage: any Storage
  let shared: SharedState
  let processes: ProcessTable
  let pins: GenerationPins
  let arenas: ArenaTable
  let snapshots: SnapshotList

  init(
    _ storage: any Storage, _ shared: SharedState, _ database: DatabaseID, _ sharing: Options.Sharing
  ) throws(SiltstoneError) {
    self.storage = storage
    self.shared = shared
    processes = try ProcessTable(storage, shared, sharing: sharing.kind.rawValue)
    pins = GenerationPins(shared, slot: processes.ownSlot)
    arenas = ArenaTable(storage, shared, processes, database, isPrivate: sharing == .exclusive)
    snapshots = SnapshotList(SnapshotTable(shared, slot: processes.own))
  }
}
