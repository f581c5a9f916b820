import Foundation
import Synchronization

/// Something that one thread sets, and others look at.
final class StopSign: Sendable {
  private let value = Atomic<Bool>(false)

  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}

/// Threads that block, as those of a program under load do.
enum Threads {
  /// Runs `body` on `count` threads at once, numbered from 0, and returns when all have ended; the first error is
  /// thrown then.
  static func run(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
    let failure = Mutex<(any Error)?>(nil)
    withExtendedLifetime(failure) {
      let group = DispatchGroup()
      let crew = Crew(group: group, body: body)
      for index in 0..<count {
        group.enter()
        Thread { crew.work(index) }.start()
      }
      group.wait()
      failure.withLock { $0 = crew.failure }
    }
    if let failure = failure.withLock({ $0 }) { throw failure }
  }

  /// Names the calling thread, for profilers. (`Thread.name` does so only if the thread does not start too soon.)
  private static func nameCurrent(_ name: String) {
    guard let file = FileHandle(forWritingAtPath: "/proc/thread-self/comm") else { return }
    try? file.write(contentsOf: Data(name.utf8))
    try? file.close()
  }

  private final class Crew: Sendable {
    private let group: DispatchGroup
    private let body: @Sendable (Int) throws -> Void
    private let first = Mutex<(any Error)?>(nil)

    init(group: DispatchGroup, body: @escaping @Sendable (Int) throws -> Void) {
      self.group = group
      self.body = body
    }

    var failure: (any Error)? { first.withLock { $0 } }

    func work(_ index: Int) {
      defer { group.leave() }
      Threads.nameCurrent("bench-\(index)")
      do { try body(index) } catch { first.withLock { $0 = $0 ?? error } }
    }
  }
}
