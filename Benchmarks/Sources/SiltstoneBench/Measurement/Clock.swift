import Glibc

/// Time and processor time, as the kernel tells them.
enum Clock {
  @inline(__always)
  static func nanoseconds() -> UInt64 { read(CLOCK_MONOTONIC) }

  /// Processor time of all threads of this process.
  static func processorNanoseconds() -> UInt64 { read(CLOCK_PROCESS_CPUTIME_ID) }

  /// Processor time of the calling thread.
  static func threadNanoseconds() -> UInt64 { read(CLOCK_THREAD_CPUTIME_ID) }

  @inline(__always)
  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }

  static func seconds(from begin: UInt64, to end: UInt64) -> Double { Double(end - min(begin, end)) / 1e9 }

  /// Sleeps until the monotonic clock shows `deadline`; the kernel wakes a thread some 50 us late.
  static func sleep(until deadline: UInt64) {
    var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
    while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
  }
}
