import CSupport
import Foundation
import Testing

@testable import Siltstone

/// Who moves the log on, and what becomes of it when one of those who do dies or fails.
@Suite struct LogDrainerTests {
  let fixture: SharedFixture
  let drainer: LogDrainer
  var shared: SharedState { fixture.first.shared }

  init() throws {
    fixture = try SharedFixture()
    drainer = try Self.makeDrainer(fixture.first, fixture.database)
  }

  private static func makeDrainer(_ parts: SharedParts, _ database: DatabaseID) throws -> LogDrainer {
    let segments = LogSegments(
      storage: parts.storage, database: database, shared: parts.shared, segmentBytes: 1 << 16,
      fills: false)
    return try LogDrainer(storage: parts.storage, shared: parts.shared, segments: segments)
  }

  private func append(_ count: UInt64) { shared.setReserved(shared.reserved + count) }

  /// A thread that ends with the lock held stands for a process that dies.
  private func dieWithTheLock() throws {
    let shared = shared
    try BackgroundThread("owner") { #expect((try? shared.tryAcquire(.drain)) == false) }.join()
  }

  /// It died before it did anything. The one that drained before it lives, and must not be waited for.
  @Test func aDrainerThatDiesAtOnceKeepsNobody() throws {
    append(100)
    try drainer.waitDurable(100)
    try dieWithTheLock()
    append(100)
    let other = try Self.makeDrainer(try fixture.join(), fixture.database)
    let isDone = DispatchSemaphore(value: 0)
    let thread = try BackgroundThread("writer") {
      #expect(throws: Never.self) { try other.waitDurable(200) }
      isDone.signal()
    }
    try #require(isDone.wait(timeout: .now() + 20) == .success)
    thread.join()
    #expect(shared.durable == 200)
  }

  /// One that only ends does not answer for a dead one's writes: it must leave that to the next.
  @Test func whoEndsLeavesTheDeadOneToTheNext() throws {
    append(100)
    try drainer.waitDurable(100)
    try dieWithTheLock()
    try drainer.end()
    #expect(try shared.tryAcquire(.drain) == true)
    shared.release(.drain)
  }

  @Test func whoHasEndedMovesNothing() throws {
    append(100)
    try drainer.end()
    #expect(shared.durable == 100)
    append(100)
    let error = #expect(throws: SiltstoneError.self) { try drainer.waitDrained(200) }
    #expect(error?.code == .closed && shared.drained == 100)
  }

  /// Another drainer's sync fails between the first look at that and the lock.
  @Test func nobodySyncsAfterASyncThatFailed() throws {
    append(100)
    let error = #expect(throws: SiltstoneError.self) {
      try drainer.move(durable: true) {
        shared.setFailed(5)
        return false
      }
    }
    #expect(error?.code == .readOnly && shared.durable == 0)
  }
}
