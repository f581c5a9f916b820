internal import Synchronization

/// Threads for `async` callers to block on. Started when first needed, and kept.
///
/// One pool for the process: the number of blocked calls that make sense depends on the machine, not on how many
/// databases are open.
final class BlockingPool: Sendable {
  static let shared = BlockingPool()

  /// Enough to keep a device's queue busy with single reads, few enough to cost nothing when idle.
  private static let maxThreads = 16

  private let monitor = Monitor()
  private struct State {
    var jobs: [@Sendable () -> Void] = []
    var idle = 0
    var threads: [BackgroundThread] = []
  }
  private let state = Mutex(State())

  /// Runs `job` on one of the threads; on the caller's own if none can be started.
  func run(_ job: @escaping @Sendable () -> Void) {
    let mustStart = monitor.withLock {
      state.withLock { state in
        state.jobs.append(job)
        return state.idle < state.jobs.count && state.threads.count < BlockingPool.maxThreads
      }
    }
    if mustStart { startThread() }
    monitor.withLock { monitor.broadcast() }
  }

  private func startThread() {
    do throws(SiltstoneError) {
      let thread = try BackgroundThread("silt-async") { self.work() }
      state.withLock { $0.threads.append(thread) }
    } catch {
      if state.withLock({ $0.threads.isEmpty }), let job = takeJob() { job() }
    }
  }

  private func takeJob() -> (@Sendable () -> Void)? {
    state.withLock { $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }
  }

  private func work() {
    while true {
      let job = monitor.withLock { () -> (@Sendable () -> Void)? in
        if let job = takeJob() { return job }
        state.withLock { $0.idle += 1 }
        monitor.wait()
        state.withLock { $0.idle -= 1 }
        return takeJob()
      }
      job?()
    }
  }
}
