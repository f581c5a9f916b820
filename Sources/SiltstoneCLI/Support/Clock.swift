import Glibc

/// Nanoseconds on a clock that never goes back.
func monotonicNanoseconds() -> UInt64 { nanoseconds(of: CLOCK_MONOTONIC) }

/// Nanoseconds of processor time that this process has used, all threads, user and system.
func processorNanoseconds() -> UInt64 { nanoseconds(of: CLOCK_PROCESS_CPUTIME_ID) }

private func nanoseconds(of clock: clockid_t) -> UInt64 {
  var time = timespec()
  clock_gettime(clock, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// The most memory that this process has had resident.
func peakResidentBytes() -> UInt64 {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return UInt64(usage.ru_maxrss) * 1024
}

/// Seconds between two readings of `monotonicNanoseconds`, never zero, so that it can be divided by.
func seconds(from start: UInt64, to end: UInt64) -> Double {
  Double(max(1, end - start)) / 1e9
}
