internal import CSupport
internal import Synchronization

/// The locks in SHARED, which survive their owners; <doc:Architecture> has the order in which they may be taken, and
/// `csup_lock.h` how they work.
enum SharedLock: String, CaseIterable, Sendable {
  case commit, drain, manifest, segments
}

/// This process's place at the locks: some owner words, by the lock on a byte of SHARED. It is kept until the mapping
/// goes, and so longer than the slot: a thread that is late to leave may be at a lock when its database is closed.
struct LockSeat: Sendable {
  let storage: any Storage
  let lock: any FileLock
}

extension SharedState {
  /// Takes a seat under a number that no other process ever had. REQUIRES: no lock was taken yet; the lock of opening.
  func takeSeat(_ storage: any Storage, number: UInt32) throws(SiltstoneError) {
    for index in 0..<UInt64(CSUP_LOCK_SEATS) {
      guard let lock = try storage.tryLock(SharedState.fileName, byte: LockByte.seats + index) else { continue }
      seat.withLock { $0 = LockSeat(storage: storage, lock: lock) }
      return csup_lock_sit(locker, csup_owners(header), UInt32(index), number)
    }
    throw SiltstoneError(
      .alreadyOpen,
      "\(CSUP_LOCK_SEATS) processes have the database open, or have closed it and not let go of it, which is the limit",
      file: SharedState.fileName)
  }

  /// Waits for the lock. Returns whether its last owner died with it: then what it guards may be half changed.
  @discardableResult
  @inline(__always)
  func acquire(_ lock: SharedLock) throws(SiltstoneError) -> Bool {
    let outcome = csup_lock_acquire(locker, words[lock])
    if outcome == CSUP_LOCK_OK { return false }
    return try acquire(lock, after: outcome)
  }

  private func acquire(_ lock: SharedLock, after first: csup_lock_result) throws(SiltstoneError) -> Bool {
    var outcome = first
    while outcome == CSUP_LOCK_BUSY {
      buryHolder(of: lock)
      outcome = csup_lock_acquire(locker, words[lock])
    }
    if outcome == CSUP_LOCK_BROKEN { throw SharedState.writtenOver("the \(lock.rawValue) lock is broken") }
    return outcome == CSUP_LOCK_OWNER_DIED
  }

  /// Takes the lock if nobody living has it. Nil if somebody has; else as `acquire`.
  func tryAcquire(_ lock: SharedLock) throws(SiltstoneError) -> Bool? {
    switch csup_lock_try(locker, words[lock]) {
    case CSUP_LOCK_OK: return false
    case CSUP_LOCK_OWNER_DIED: return true
    case CSUP_LOCK_BUSY:
      // Who waits for this asks again and again.
      if refusals.add(1, ordering: .relaxed).newValue % 64 == 0 { buryHolder(of: lock) }
      return nil
    default: throw SharedState.writtenOver("the \(lock.rawValue) lock is broken")
    }
  }

  /// REQUIRES: this thread has taken it.
  @inline(__always)
  func release(_ lock: SharedLock) { csup_lock_release(locker, words[lock]) }

  /// The number of the process that holds the lock, if one does.
  func holder(of lock: SharedLock) -> UInt32? {
    var (seat, number): (UInt32, UInt32) = (0, 0)
    return csup_lock_holder(words[lock], &seat, &number) ? number : nil
  }

  /// If who holds the lock is dead, and the kernel has not told: sees to it that the lock can be taken. Asked by those
  /// who have waited long.
  func buryHolder(of lock: SharedLock) {
    var (index, number): (UInt32, UInt32) = (0, 0)
    guard let storage = seat.withLock({ $0?.storage }), csup_lock_holder(words[lock], &index, &number) else { return }
    let isLocked = try? storage.isLocked(SharedState.fileName, byte: LockByte.seats + UInt64(index))
    // What cannot be told is not guessed.
    if isLocked == false { csup_lock_bury(csup_owners(header), index, number) }
  }
}

extension SharedState.Words {
  @inline(__always)
  subscript(lock: SharedLock) -> UnsafeMutablePointer<csup_lock> {
    switch lock {
    case .commit: commitLock
    case .drain: drainLock
    case .manifest: manifestLock
    case .segments: segmentsLock
    }
  }
}
