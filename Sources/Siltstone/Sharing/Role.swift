internal import CSupport
internal import Synchronization

/// A role as this process sees it: something that at most one process does at a time. Held by the lock on a byte of
/// SHARED, so it passes on when its holder leaves or dies. Thread-safe.
final class Role: Sendable {
  let kind: csup_role
  private let storage: any Storage
  private let shared: SharedState
  private let processes: ProcessTable
  /// Whether this process takes it without being asked.
  let isOffered: Bool
  private let lock = Mutex<(any FileLock)?>(nil)
  private let held = Atomic<Bool>(false)

  init(
    _ kind: csup_role, _ storage: any Storage, _ shared: SharedState, _ processes: ProcessTable, isOffered: Bool
  ) {
    self.kind = kind
    self.storage = storage
    self.shared = shared
    self.processes = processes
    self.isOffered = isOffered
  }

  /// Where in SHARED its lock is.
  var byte: UInt64 { SharedState.LockByte.role(kind) }
  private var bit: UInt32 { 1 << UInt32(kind.rawValue) }
  var isHeld: Bool { held.load(ordering: .acquiring) }

  /// Takes the role if nobody has it. Returns whether this process has it now, and calls `begin` if it has just come by
  /// it: what its last holder left half done can be settled there. If that throws, the role is let go of again.
  func take<Failure>(_ begin: () throws(Failure) -> Void) throws(Failure) -> Bool {
    if isHeld { return true }
    let isNew = lock.withLock { lock in
      if lock != nil { return false }
      lock = (try? storage.tryLock(SharedState.fileName, byte: byte)) ?? nil
      if lock != nil { note(true) }
      return lock != nil
    }
    if isNew {
      do throws(Failure) { try begin() } catch {
        leave()
        throw error
      }
      held.store(true, ordering: .releasing)
    }
    return isHeld
  }

  /// Lets go of it, and wakes those who may want it. REQUIRES: nothing that it stands for is under way.
  func leave() {
    lock.withLock { lock in
      guard lock != nil else { return }
      held.store(false, ordering: .releasing)
      note(false)
      lock = nil
    }
    announce()
  }

  private func note(_ isHeld: Bool) {
    processes.withOwnSlot { slot in
      let roles = slot.pointer(to: \.roles)!
      // Roles of one process come and go on several threads.
      if isHeld { csup_or32(roles, bit) } else { csup_and32(roles, ~bit) }
    }
  }

  /// Asks the holder to make way, or stops asking.
  func want(_ isWanted: Bool) {
    processes.withOwnSlot { slot in
      let wants = slot.pointer(to: \.wants)!
      if isWanted { csup_or32(wants, bit) } else { csup_and32(wants, ~bit) }
    }
    announce()
  }

  /// Whether another process asks for it that lives, and is not stopped: one that cannot take it would otherwise keep
  /// everybody from it.
  var isWantedByOthers: Bool {
    let now = UInt32(truncatingIfNeeded: storage.wallClockSeconds())
    var isWanted = false
    processes.forEachTaken { index, slot in
      guard index != processes.own, csup_load32(slot.pointer(to: \.wants)) & bit != 0 else { return }
      let silentSeconds = Int32(bitPattern: now &- csup_load32(slot.pointer(to: \.seen))).magnitude
      if silentSeconds <= Role.maxSilentSeconds, processes.isAlive(index) { isWanted = true }
    }
    return isWanted
  }
  /// It tells of itself twice a second: four times in a row it was not heard.
  private static let maxSilentSeconds: UInt32 = 2

  private func announce() {
    _ = csup_add32(shared.words.upkeep, 1)
    csup_futex_wake_all(shared.words.upkeep)
    shared.announceChange()
  }
}
