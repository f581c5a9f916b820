internal import CSupport
internal import Glibc
internal import Synchronization

/// The processes that have the database open, as their slots in SHARED say. Whether one lives, the lock on its slot's
/// byte says, and nothing else: the kernel lets go of that with the process, whatever it died of, and in whatever
/// namespace. Thread-safe.
final class ProcessTable: Sendable {
  let storage: any Storage
  let shared: SharedState
  /// The slot of this process.
  let own: Int
  private let lock: Mutex<(any FileLock)?>
  /// Says that the arenas are in use, for as long as the slot may be: a cursor that outlives its engine keeps both. Nil
  /// where they are private.
  private let memoryUse: Mutex<(any FileLock)?>
  private let deaths = Atomic<Bool>(false)
  private let forks = csup_fork_count()

  /// Takes a slot. REQUIRES: the lock of opening.
  init(
    _ storage: any Storage, _ shared: SharedState, sharing: UInt32, memoryUse: (any FileLock)?
  ) throws(SiltstoneError) {
    self.memoryUse = Mutex(memoryUse)
    self.storage = storage
    self.shared = shared
    for index in 0..<Int(CSUP_SHARED_SLOTS) {
      guard let lock = try storage.tryLock(SharedState.fileName, byte: SharedState.LockByte.slot(index)) else {
        continue
      }
      own = index
      self.lock = Mutex(lock)
      var number = csup_add32(shared.words.processes, 1)
      if number == 0 { number = csup_add32(shared.words.processes, 1) }
      try shared.takeSeat(storage, number: number)
      ProcessTable.clear(index, shared)
      let slot = csup_slot_at(shared.header, index)!
      slot.pointee.process = UInt32(bitPattern: getpid())
      slot.pointee.seen = UInt32(truncatingIfNeeded: storage.wallClockSeconds())
      slot.pointee.started = storage.wallClockSeconds()
      slot.pointee.sharing = sharing
      KillPoint.reach(.slotTaken)
      csup_store32(slot.pointer(to: \.taken), number)
      return
    }
    throw SiltstoneError(
      .alreadyOpen, "\(CSUP_SHARED_SLOTS) processes have the database open, which is the limit",
      file: SharedState.fileName)
  }

  /// Takes no slot: for a process that may not write.
  init(observing shared: SharedState, _ storage: any Storage, memoryUse: (any FileLock)?) {
    self.memoryUse = Mutex(memoryUse)
    self.storage = storage
    self.shared = shared
    own = -1
    lock = Mutex(nil)
  }

  func slot(_ index: Int) -> UnsafeMutablePointer<csup_slot> { csup_slot_at(shared.header, index)! }

  /// Whether this is a child of the process that has the database open: the slot is its parent's, and not even mapped
  /// here. Asked before any lock is taken, which a thread that the child has not got may hold.
  var isInherited: Bool { forks != csup_fork_count() }

  /// Calls `body` with the slot of this process while it has one. Every store into it, and into whatever else bears its
  /// number, goes through here: once given back, the slot may be another's. Returns whether it was called.
  @discardableResult
  func withOwnSlot(_ body: (UnsafeMutablePointer<csup_slot>) -> Void) -> Bool {
    lock.withLock { lock in
      if lock == nil { return false }
      body(slot(own))
      return true
    }
  }

  /// Gives the slot back, once. Whatever it pinned, it pins no more.
  func leave() {
    lock.withLock { lock in
      guard lock != nil else { return }
      ProcessTable.clear(own, shared)
      lock = nil
      memoryUse.withLock { $0 = nil }
    }
  }

  /// The slot's words, as if nobody had ever had it. REQUIRES: the lock on its byte.
  private static func clear(_ index: Int, _ shared: SharedState) {
    for entry in 0..<Int(CSUP_SHARED_SNAPSHOTS) {
      let word = csup_snapshot_at(shared.header, entry)!
      if csup_load(word) & 0xFF == UInt64(index + 1) { csup_store(word, 0) }
    }
    let slot = csup_slot_at(shared.header, index)!
    for pin in 0..<Int(CSUP_SHARED_PINS) { csup_store(csup_pin_at(slot, pin), 0) }
    csup_store(slot.pointer(to: \.table_floor), 0)
    csup_store32(slot.pointer(to: \.taken), 0)
    for word in [\csup_slot.roles, \.wants, \.sharing] { csup_store32(slot.pointer(to: word), 0) }
    for word in [\csup_slot.entries_written, \.bytes_written, \.lookups, \.stalled, \.view_generation] {
      csup_store(slot.pointer(to: word), 0)
    }
  }

  // MARK: - Others

  func isTaken(_ index: Int) -> Bool { csup_load32(slot(index).pointer(to: \.taken)) != 0 }

  /// If it cannot be told, it lives: to wait for nobody does no harm, to take from the living does.
  func isAlive(_ index: Int) -> Bool {
    if index == own { return true }
    return (try? storage.isLocked(SharedState.fileName, byte: SharedState.LockByte.slot(index))) ?? true
  }

  /// The locks that the process in this slot holds.
  func locksHeld(by index: Int) -> [SharedLock] {
    let number = csup_load32(slot(index).pointer(to: \.taken))
    return SharedLock.allCases.filter { number != 0 && shared.holder(of: $0) == number }
  }

  /// Whether any process has the database open. For one that is about to: it has no slot yet. What cannot be told is
  /// not guessed, since a dead database must not be joined, nor a living one recovered.
  static func isAnyAlive(_ storage: any Storage) throws(SiltstoneError) -> Bool {
    guard try storage.exists(SharedState.fileName) else { return false }
    for index in 0..<Int(CSUP_SHARED_SLOTS) {
      if try storage.isLocked(SharedState.fileName, byte: SharedState.LockByte.slot(index)) { return true }
    }
    return false
  }

  /// Whether a living process has this word for how it shares.
  func isAnySharing(_ sharing: UInt32) -> Bool {
    (0..<Int(CSUP_SHARED_SLOTS)).contains { index in
      let slot = slot(index)
      return csup_load32(slot.pointer(to: \.sharing)) == sharing && isTaken(index) && isAlive(index)
    }
  }

  /// Whether another process has it open. REQUIRES: the lock of opening, so that none comes or goes in order.
  var hasOthers: Bool { (0..<Int(CSUP_SHARED_SLOTS)).contains { $0 != own && isAlive($0) } }

  /// Calls `body` for each slot that is taken, dead or alive.
  func forEachTaken(_ body: (_ index: Int, UnsafeMutablePointer<csup_slot>) -> Void) {
    for index in 0..<Int(CSUP_SHARED_SLOTS) where isTaken(index) { body(index, slot(index)) }
  }

  /// Clears the slots of processes that died. Returns whether there was one.
  @discardableResult
  func clearDead() -> Bool {
    var found = false
    forEachTaken { index, _ in
      if index != own, !isAlive(index), clearIfDead(index) { found = true }
    }
    return found
  }

  private func clearIfDead(_ index: Int) -> Bool {
    let lock = try? storage.tryLock(SharedState.fileName, byte: SharedState.LockByte.slot(index))
    // A process that came meanwhile has the lock, and its slot is not dead any more.
    guard let lock = lock ?? nil else { return false }
    ProcessTable.clear(index, shared)
    deaths.store(true, ordering: .releasing)
    withExtendedLifetime(lock) {}
    return true
  }

  /// Whether a dead process's slot was cleared here since the last call: it may have left more behind.
  func takeDeaths() -> Bool { deaths.exchange(false, ordering: .acquiringAndReleasing) }

  /// Whether no living process reads from any of these generations. Slots of the dead that stand in the way are
  /// cleared.
  func nobodyReads(from generations: Range<UInt64>) -> Bool {
    csup_fence()  // after the store that ended them
    for index in 0..<Int(CSUP_SHARED_SLOTS) where isTaken(index) && reads(index, from: generations) {
      if isAlive(index) || !clearIfDead(index) { return false }
    }
    // Those who may only read have no slot. If it cannot be told, somebody reads.
    let base = SharedState.LockByte.generations
    let marked = try? storage.marks(
      SharedState.fileName, in: base + generations.lowerBound..<base + generations.upperBound, limit: 1)
    return marked?.isEmpty ?? false
  }

  /// Whether the process in a slot says that it reads from one of these generations.
  func reads(_ index: Int, from generations: Range<UInt64>) -> Bool {
    let pins = slot(index)
    return (0..<Int(CSUP_SHARED_PINS)).contains { pin in
      GenerationPins.word(csup_load(csup_pin_at(pins, pin)), holds: generations)
    }
  }

  /// No living process writes a table of a lower number; nil if none writes any.
  var lowestTableInProgress: UInt64? {
    var lowest: UInt64?
    forEachTaken { index, slot in
      let floor = csup_load(slot.pointer(to: \.table_floor))
      if floor != 0, isAlive(index) { lowest = min(lowest ?? floor, floor) }
    }
    return lowest
  }
}
