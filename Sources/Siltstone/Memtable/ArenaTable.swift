internal import CSupport
internal import Synchronization

/// The memory of all memtables of all processes: the arena table in SHARED, and what of it this process has mapped.
///
/// A fixed number of equal arenas is faulted in once and recycled for life: the first touch of fresh memory can cost
/// more than the insert that does the touching. An arena is claimed under the commit lock, becomes the active memtable
/// by one store of `active`, is flushed in its turn, and is free again when no process reads from a generation that
/// names it. In a database of one process the memory is private, and all else is the same. Thread-safe.
final class ArenaTable: Sendable {
  /// How large an arena is, and how many there may be: one that fills, and others that wait for the flush. Whoever
  /// opens the database first decides.
  struct Plan: Equatable {
    var arenaBytes: Int
    var limit: Int
  }

  let storage: any Storage
  let shared: SharedState
  let processes: ProcessTable
  private let namePrefix: String
  private let isPrivate: Bool
  private let isWritable: Bool
  /// What this process has mapped, by place in the table.
  private struct Mapped {
    var file: UInt32
    var memory: any SharedMemory
  }
  private let mapped = Mutex<[Int: Mapped]>([:])

  static let count = Int(CSUP_SHARED_ARENAS)
  /// The memtable's offsets have 32 bits.
  private static let maxArenaBytes: UInt64 = (1 << 32) - 4096

  init(
    _ storage: any Storage, _ shared: SharedState, _ processes: ProcessTable, _ database: DatabaseID,
    isPrivate: Bool, isWritable: Bool = true
  ) {
    self.storage = storage
    namePrefix = ArenaTable.namePrefix(shared, database)
    self.shared = shared
    self.processes = processes
    self.isPrivate = isPrivate
    self.isWritable = isWritable
    // What a process that died was making while it had this slot.
    let stale = State(UInt64(processes.own + 1), CSUP_ARENA_MAKING)
    for index in 0..<ArenaTable.count where isWritable && state(index) == stale { remove(index) }
  }

  var plan: Plan {
    let word = csup_load(shared.words.arenaPlan)
    return Plan(arenaBytes: Int(max(4096, min(word >> 8, ArenaTable.maxArenaBytes))), limit: max(2, Int(word & 0xFF)))
  }

  /// REQUIRES: nobody else has the database open.
  func setPlan(_ plan: Plan) {
    precondition(plan.limit >= 2, "one memtable must be able to fill while another is flushed")
    csup_store(shared.words.arenaPlan, UInt64(plan.arenaBytes) << 8 | UInt64(plan.limit))
  }

  // MARK: - Entries

  func entry(_ index: Int) -> UnsafeMutablePointer<csup_arena> { csup_arena_at(shared.header, index)! }

  /// What an entry's word says.
  struct State: Equatable {
    var serial: UInt64
    var kind: UInt32
    init(_ serial: UInt64, _ kind: csup_arena_state) {
      self.serial = serial
      self.kind = kind.rawValue
    }
    init(word: UInt64) {
      serial = word >> 8
      kind = UInt32(word & 0xFF)
    }
    var word: UInt64 { serial << 8 | UInt64(kind) }
    func `is`(_ kind: csup_arena_state) -> Bool { self.kind == kind.rawValue }
  }

  func state(_ index: Int) -> State { State(word: csup_load(entry(index).pointer(to: \.word))) }
  private func set(_ index: Int, _ state: State) { csup_store(entry(index).pointer(to: \.word), state.word) }
  private func move(_ index: Int, from old: State, to new: State) -> Bool {
    csup_replace(entry(index).pointer(to: \.word), old.word, new.word)
  }

  static func namePrefix(_ database: DatabaseID) -> String { "siltstone-\(database)-" }
  /// A copy of the database has the same id, and may be open on the same machine; but its SHARED is another file.
  private static func namePrefix(_ shared: SharedState, _ database: DatabaseID) -> String {
    let file = shared.mapping.identity
    return namePrefix(database) + "\(String(file.device, radix: 16))-\(String(file.inode, radix: 16))-"
  }
  private func name(_ file: UInt32) -> String { namePrefix + "\(file)" }

  /// Bytes of all arenas.
  var totalBytes: Int {
    (0..<ArenaTable.count).reduce(0) { sum, index in
      let isThere = !state(index).is(CSUP_ARENA_EMPTY) && !state(index).is(CSUP_ARENA_MAKING)
      return sum + (isThere ? Int(min(entry(index).pointee.size_bytes, ArenaTable.maxArenaBytes)) : 0)
    }
  }

  /// Bytes of arenas that are only kept because somebody reads from generations for which `holds` is true.
  func retiredBytes(_ holds: (Range<UInt64>) -> Bool) -> UInt64 {
    (0..<ArenaTable.count).reduce(0) { sum, index in
      let fields = entry(index)
      let (born, retired) = (csup_load(fields.pointer(to: \.born)), csup_load(fields.pointer(to: \.retired)))
      guard state(index).is(CSUP_ARENA_LIVE), retired > born, holds(born..<retired) else { return sum }
      return sum &+ fields.pointee.size_bytes
    }
  }

  // MARK: - The committer's side: under the commit lock

  /// Puts a fresh memtable in the active one's place, and returns it; nil while all arenas are taken. It shows itself
  /// to readers by one store, the last: whoever dies before has done nothing.
  ///
  /// - Parameter minimumBytes: for a batch larger than a usual arena, which gets one of its own.
  func activate(
    firstPosition: LogPosition, commonPrefix: [UInt8], minimumBytes: Int = 0, ignoringLimit: Bool = false
  ) throws(SiltstoneError) -> Memtable? {
    undoClaims()
    let plan = plan
    let minimum = max(plan.arenaBytes, StorageAlignment.roundUp(minimumBytes))
    // Claimed before it is mapped: whoever tidies may give back a free one at any moment.
    let claimed = State(0, CSUP_ARENA_CLAIMED)
    var found = try freeArena(minimum, plan, ignoringLimit: ignoringLimit)
    while let (index, free) = found, !move(index, from: free, to: claimed) {
      found = try freeArena(minimum, plan, ignoringLimit: ignoringLimit)
    }
    guard let (index, free) = found else { return nil }
    KillPoint.reach(.arenaClaimed)
    let memory: any SharedMemory
    let reserved: Int
    do throws(SiltstoneError) {
      memory = try self.memory(of: index)
      guard memory.sizeBytes >= minimum else {
        throw SharedState.writtenOver("a memtable's arena is smaller than the arena table says")
      }
      // A recycled arena keeps what was reserved for it.
      let first = min(SharedMemoryLayout.firstBytes, memory.sizeBytes)
      let kept = free.serial == 0 ? 0 : csup_memtable_capacity(OpaquePointer(memory.base))
      reserved = min(max(first, kept), memory.sizeBytes)
      if minimumBytes > reserved { try memory.reserve(reserved..<minimumBytes) }
    } catch {
      set(index, free)
      throw error
    }
    let serial = shared.activeSerial + 1
    let memtable = Memtable(
      memory, serial: serial, firstPosition: firstPosition, commonPrefix: commonPrefix,
      reservedBytes: isPrivate ? nil : max(reserved, minimumBytes))
    let fields = entry(index)
    csup_store(fields.pointer(to: \.first_position), firstPosition)
    csup_store(fields.pointer(to: \.born), shared.generation)
    csup_store(fields.pointer(to: \.retired), 0)
    set(index, State(serial, CSUP_ARENA_LIVE))
    KillPoint.reach(.arenaMade)
    shared.setActive(SharedState.Active(serial: serial, index: index))
    KillPoint.reach(.arenaActive)
    return memtable
  }

  /// Takes back what an owner of the commit lock did not live to finish.
  private func undoClaims() {
    for index in 0..<ArenaTable.count {
      let state = state(index)
      let isUnborn = state.is(CSUP_ARENA_LIVE) && state.serial > shared.activeSerial
      if state.is(CSUP_ARENA_CLAIMED) || isUnborn { set(index, State(0, CSUP_ARENA_FREE)) }
    }
  }

  /// A free arena, recycled or new, and the state in which it was found.
  private func freeArena(
    _ minimum: Int, _ plan: Plan, ignoringLimit: Bool
  ) throws(SiltstoneError) -> (Int, State)? {
    for isSecondTry in [false, true] {
      if isSecondTry { recycle() }
      var best: (index: Int, state: State, size: UInt64)?
      for index in 0..<ArenaTable.count {
        let state = state(index)
        let size = entry(index).pointee.size_bytes
        if state.is(CSUP_ARENA_FREE), size >= UInt64(minimum), size < best?.size ?? .max { best = (index, state, size) }
      }
      if let best { return (best.index, best.state) }
    }
    guard ignoringLimit || takenCount < plan.limit else { return nil }
    return try make(minimum)
  }

  /// Arenas that are not free.
  private var takenCount: Int {
    (0..<ArenaTable.count).count { !state($0).is(CSUP_ARENA_EMPTY) && !state($0).is(CSUP_ARENA_FREE) }
  }

  // MARK: - Memory that comes and goes: any thread

  private func make(_ sizeBytes: Int) throws(SiltstoneError) -> (Int, State)? {
    let making = State(UInt64(processes.own + 1), CSUP_ARENA_MAKING)
    let empty = State(0, CSUP_ARENA_EMPTY)
    guard let index = (0..<ArenaTable.count).first(where: { move($0, from: empty, to: making) }) else { return nil }
    do throws(SiltstoneError) {
      let file = UInt32(truncatingIfNeeded: csup_add(shared.words.nextArena, 1))
      let fields = entry(index)
      fields.pointee.file = file
      let memory: any SharedMemory =
        isPrivate ? try AnonymousMemory(sizeBytes: sizeBytes) : try storage.makeMemory(name(file), sizeBytes: sizeBytes)
      mapped.withLock { $0[index] = Mapped(file: file, memory: memory) }
      fields.pointee.size_bytes = UInt64(sizeBytes)
      fields.pointee.device = memory.identity.device
      fields.pointee.inode = memory.identity.inode
      fields.pointee.place = memory.identity.place.rawValue
      KillPoint.reach(.arenaFileMade)
      set(index, State(0, CSUP_ARENA_FREE))
      return (index, State(0, CSUP_ARENA_FREE))
    } catch {
      set(index, empty)
      throw error
    }
  }

  /// The memory of an entry, mapped if it was not.
  private func memory(of index: Int) throws(SiltstoneError) -> any SharedMemory {
    let fields = entry(index).pointee
    let known = mapped.withLock { $0[index] }
    if let known, known.file == fields.file, isPrivate || known.memory.identity.inode == fields.inode {
      return known.memory
    }
    guard let place = MemoryIdentity.Place(rawValue: fields.place), place != .process, fields.size_bytes >= 4096,
      fields.size_bytes <= ArenaTable.maxArenaBytes
    else {
      throw .corrupt("an entry of the arena table makes no sense", file: SharedState.fileName)
    }
    let memory = try storage.openMemory(
      name(fields.file), sizeBytes: Int(fields.size_bytes),
      MemoryIdentity(place: place, device: fields.device, inode: fields.inode), isWritable: isWritable)
    mapped.withLock { $0[index] = Mapped(file: fields.file, memory: memory) }
    return memory
  }

  /// Makes arenas free whose memtables are in tables, and from which nobody reads any more.
  func recycle() {
    for index in 0..<ArenaTable.count {
      let state = state(index)
      guard state.is(CSUP_ARENA_LIVE), state.serial <= shared.flushedSerial else { continue }
      let retired = csup_load(entry(index).pointer(to: \.retired))
      let born = csup_load(entry(index).pointer(to: \.born))
      guard born < retired, retired <= SharedState.maxGeneration, processes.nobodyReads(from: born..<retired) else {
        continue
      }
      // The serial says that it is still the same memtable.
      _ = move(index, from: state, to: State(state.serial, CSUP_ARENA_FREE))
    }
  }

  /// Makes sure that a free arena stands ready if the limit allows another. Without memory there is none, and the
  /// writer that needs it will be told.
  func prepareSpare() {
    recycle()
    if (0..<ArenaTable.count).contains(where: { state($0).is(CSUP_ARENA_FREE) }) || takenCount >= plan.limit { return }
    _ = try? make(plan.arenaBytes)
  }

  /// Gives back what is more than the plan, undoes what a process that died was making, and lets go of memory that is
  /// not in the table any more.
  func tidy() {
    recycle()
    let plan = plan
    var count = (0..<ArenaTable.count).count { !state($0).is(CSUP_ARENA_EMPTY) }
    for index in 0..<ArenaTable.count {
      let state = state(index)
      let isSurplus = entry(index).pointee.size_bytes != UInt64(plan.arenaBytes) || count > plan.limit
      if state.is(CSUP_ARENA_FREE), isSurplus {
        if remove(index, state) { count -= 1 }
      } else if state.is(CSUP_ARENA_MAKING), state.serial > 0, state.serial <= UInt64(CSUP_SHARED_SLOTS),
        !processes.isAlive(Int(state.serial) - 1)
      {
        _ = remove(index, state)
      }
    }
    mapped.withLock { mapped in
      for (index, known) in mapped where state(index).is(CSUP_ARENA_EMPTY) || entry(index).pointee.file != known.file {
        mapped[index] = nil
      }
    }
  }

  private func remove(_ index: Int, _ state: State) -> Bool {
    guard move(index, from: state, to: State(UInt64(processes.own + 1), CSUP_ARENA_MAKING)) else { return false }
    remove(index)
    return true
  }

  /// REQUIRES: this process is at the entry, alone.
  private func remove(_ index: Int) {
    if !isPrivate { try? storage.removeMemory(name(entry(index).pointee.file)) }
    mapped.withLock { $0[index] = nil }
    set(index, State(0, CSUP_ARENA_EMPTY))
  }

  // MARK: - The readers' side

  /// The memtables from behind `serial` up to the active one, newest first. Nil if one of them is not there, or not any
  /// more: then it is in tables. REQUIRES: the present generation is pinned.
  func memtables(after serial: UInt64, through active: SharedState.Active) throws(SiltstoneError) -> [Memtable]? {
    guard serial <= active.serial else {
      throw SharedState.writtenOver("the active memtable is older than those that are in tables")
    }
    var found: [Memtable] = []
    for index in 0..<ArenaTable.count {
      let state = state(index)
      guard state.is(CSUP_ARENA_LIVE), state.serial > serial, state.serial <= active.serial else { continue }
      let first = csup_load(entry(index).pointer(to: \.first_position))
      let memory = try memory(of: index)
      guard self.state(index) == state else { return nil }
      found.append(Memtable(attached: memory, serial: state.serial, firstPosition: first))
    }
    found.sort { $0.serial > $1.serial }
    return UInt64(found.count) == active.serial - serial ? found : nil
  }

  /// The number of the newest memtable all of whose entries lie before `position`: the one behind it begins no later. 0
  /// if there is none.
  func newestBefore(_ position: LogPosition) -> UInt64 {
    var newest: UInt64 = 0
    for index in 0..<ArenaTable.count {
      let state = state(index)
      guard state.is(CSUP_ARENA_LIVE), state.serial > 0, state.serial <= shared.activeSerial else { continue }
      let first = csup_load(entry(index).pointer(to: \.first_position))
      if first <= position, self.state(index) == state { newest = max(newest, state.serial - 1) }
    }
    return newest
  }

  /// No memtable that is not in tables, now or later, is of an earlier generation.
  var oldestGeneration: UInt64 {
    var oldest = shared.generation
    for index in 0..<ArenaTable.count {
      let state = state(index)
      guard state.is(CSUP_ARENA_LIVE), state.serial > shared.flushedSerial else { continue }
      oldest = min(oldest, csup_load(entry(index).pointer(to: \.born)))
    }
    return oldest
  }

  /// Says from which generation on nobody names the memtables that are in tables. REQUIRES: the manifest lock.
  func retire(_ generation: UInt64) {
    for index in 0..<ArenaTable.count {
      let state = state(index)
      guard state.is(CSUP_ARENA_LIVE), state.serial <= shared.flushedSerial else { continue }
      let retired = entry(index).pointer(to: \.retired)!
      if csup_load(retired) == 0 { csup_store(retired, generation) }
    }
  }

  /// Says, for as long as the lock is held, that somebody uses the arenas of this database.
  ///
  /// - Parameter isFirst: nobody else has it open.
  static func use(
    _ storage: any Storage, _ shared: SharedState, _ database: DatabaseID, isFirst: Bool
  ) throws(SiltstoneError) -> (any FileLock)? {
    try storage.useMemory(namePrefix(shared, database), makes: isFirst)
  }

  /// Removes the files of all arenas of this database, whoever made them; and `atEnd` that which says that they are in
  /// use. REQUIRES: nobody else has it open, and this process has said that it uses them.
  static func removeAll(
    _ storage: any Storage, _ shared: SharedState, _ database: DatabaseID, atEnd: Bool = false
  ) throws(SiltstoneError) {
    let sign = namePrefix(shared, database) + MemoryUse.suffix
    for name in try storage.listMemory(prefix: namePrefix(shared, database)) where name != sign {
      try storage.removeMemory(name)
    }
    if atEnd { try storage.removeMemory(sign) }
    try removeFromDirectory(storage, database)
  }

  /// Removes those that lie in the directory itself: they are nobody else's, and may have come with a copy of it.
  static func removeFromDirectory(_ storage: any Storage, _ database: DatabaseID) throws(SiltstoneError) {
    for name in try storage.list() where name.hasPrefix(namePrefix(database)) { try storage.remove(name) }
  }
}
