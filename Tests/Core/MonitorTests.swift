import Synchronization
import Testing

@testable import Siltstone

/// Locks, conditions and threads of the engine's own.
@Suite struct MonitorTests {
  @Test func aThreadRunsItsBodyOnceAndCanBeJoined() throws {
    let runs = Atomic<Int>(0)
    try withThreads(4) { _ in runs.add(1, ordering: .relaxed) }
    #expect(runs.load(ordering: .relaxed) == 4)
  }

  /// A thread whose handle is dropped still does its work.
  @Test func aThreadNeedNotBeJoined() throws {
    let monitor = Monitor()
    let isDone = Mutex(false)
    try withExtendedLifetime(monitor) {
      _ = try BackgroundThread("unjoined thread with a long name") {
        monitor.withLock {
          isDone.withLock { $0 = true }
          monitor.broadcast()
        }
      }
      monitor.withLock { while !isDone.withLock({ $0 }) { monitor.wait() } }
    }
    #expect(isDone.withLock { $0 })
  }

  @Test func theLockExcludes() throws {
    let monitor = Monitor()
    nonisolated(unsafe) var count = 0
    try withThreads(4) { _ in
      for _ in 0..<10_000 { monitor.withLock { count += 1 } }
    }
    #expect(count == 40_000)
  }

  @Test func everyWaiterIsWoken() throws {
    let monitor = Monitor()
    nonisolated(unsafe) var waiting = 0
    nonisolated(unsafe) var isOpen = false
    try withThreads(5) { index in
      monitor.withLock {
        if index == 0 {
          while waiting < 4 { monitor.wait() }
          isOpen = true
        } else {
          waiting += 1
        }
        monitor.broadcast()
        while !isOpen { index.isMultiple(of: 2) ? monitor.wait() : monitor.wait(nanoseconds: .max) }
      }
    }
    #expect(isOpen && waiting == 4)
  }

  @Test func aTimedWaitEnds() throws {
    let monitor = Monitor()
    let clock = ContinuousClock()
    let elapsed = clock.measure { monitor.withLock { monitor.wait(nanoseconds: 2_000_000) } }
    #expect(elapsed > .zero)
    monitor.withLock { monitor.wait(nanoseconds: 0) }
  }

  /// Errors pass through the lock, and let go of it.
  @Test func aThrowLetsGo() {
    let monitor = Monitor()
    let error = #expect(throws: SiltstoneError.self) {
      try monitor.withLock { () throws(SiltstoneError) in throw SiltstoneError(.closed, "no") }
    }
    #expect(error?.code == .closed)
    #expect(monitor.withLock { 1 } == 1)
  }

  private func withThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
    let threads = try (0..<count).map { index in try BackgroundThread("test \(index)") { body(index) } }
    for thread in threads { thread.join() }
  }
}
