import Synchronization

@testable import Siltstone

/// Collects events from whichever thread they come.
final class EventLog: Sendable {
  private let events = Mutex<[Event]>([])
  func add(_ event: Event) { events.withLock { $0.append(event) } }
  var all: [Event] { events.withLock { $0 } }
}
