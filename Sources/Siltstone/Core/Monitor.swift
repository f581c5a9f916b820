internal import Glibc

/// A lock with a condition: what threads of one process wait on.
final class Monitor: @unchecked Sendable {  // the pthread objects are made for sharing and never move
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  init() {
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    let failures = pthread_mutex_init(mutex, nil) | pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
    precondition(failures == 0, "cannot make a lock")
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Runs `body` with the lock held.
  func withLock<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Lets go of the lock, sleeps until woken, and takes it again. May wake for no reason. REQUIRES: the lock.
  func wait() { pthread_cond_wait(condition, mutex) }

  /// As `wait`, but at most this long. REQUIRES: the lock.
  func wait(nanoseconds: UInt64) {
    var limit = timespec()
    clock_gettime(CLOCK_MONOTONIC, &limit)
    let sum = UInt64(limit.tv_nsec) + min(nanoseconds, 1 << 62)  // 146 years: for ever, and no overflow
    limit.tv_sec += Int(sum / 1_000_000_000)
    limit.tv_nsec = Int(sum % 1_000_000_000)
    pthread_cond_timedwait(condition, mutex, &limit)
  }

  /// Wakes all that wait.
  func broadcast() { pthread_cond_broadcast(condition) }
}
