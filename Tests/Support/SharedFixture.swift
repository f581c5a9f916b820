import CSupport

@testable import Siltstone

/// Shared state without a database around it: what one process or several have of it.
struct SharedFixture {
  /// Each has its own: named memory is the machine's.
  let database = DatabaseID(high: .random(in: 1...UInt64.max), low: 7)
  let directory = TemporaryDirectory()
  let storage: DiskStorage
  let first: SharedParts

  init(arenaBytes: Int = 1 << 20, limit: Int = 2, sharing: Options.Sharing = .processes) throws {
    storage = try DiskStorage(path: directory.path, create: false, backend: .plain)
    let (shared, _) = try SharedState.attach(storage: storage, database: database, ringBytes: 1 << 16)
    shared.reset()
    try shared.begin(database: database, segmentBytes: 1 << 16, end: 0, drained: 0, durable: 0)
    first = try SharedParts(storage, shared, database, sharing)
    first.arenas.setPlan(ArenaTable.Plan(arenaBytes: arenaBytes, limit: limit))
  }

  /// What another process that joins has of it.
  func join() throws -> SharedParts {
    try SharedParts(storage, try SharedState.join(storage, isWritable: true), database, .processes)
  }

  func close() throws { try ArenaTable.removeAll(storage, first.shared, database) }
}

extension SharedParts {
  /// Makes a generation in which all memtables up to number `serial` are in tables.
  func flushed(_ serial: UInt64) {
    let next = shared.generation + 2
    csup_store(shared.words.flushed, serial)
    arenas.retire(next)
    csup_store(shared.words.generation, next)
  }

  /// A view of the memtables that there are, and of no table.
  func makeView() throws -> CurrentView {
    let pin = try pins.pinCurrent { shared.generation }
    let version = try Version.open(
      TreeLayout(), storage: storage, cache: BlockCache(capacityBytes: 1 << 20), pin: pin)
    let memtables = try arenas.memtables(after: shared.flushedSerial, through: shared.active) ?? []
    return CurrentView(
      ReadView(active: memtables[0], sealed: Array(memtables.dropFirst()), version: version, pins: [pin]),
      shared: shared, arenas: arenas, pins: pins)
  }
}
