import CSupport
import Testing

@testable import Siltstone

@Suite struct MemtableFlusherTests {
  /// A guest waits for another's flush. That its last one failed counts for as long as somebody will try again.
  @Test func aFailedFlushCountsWhileSomebodyFlushes() throws {
    let fixture = try SharedFixture()
    let (first, shared) = (fixture.first, fixture.first.shared)
    for position in [0, 100] as [LogPosition] {
      #expect(try first.arenas.activate(firstPosition: position, commonPrefix: []) != nil)
    }
    let guest = try fixture.join()
    func role(_ parts: SharedParts) -> Role {
      Role(CSUP_ROLE_FLUSH, parts.storage, parts.shared, parts.processes, isOffered: false)
    }
    let flusher = MemtableFlusher(
      shared: guest.shared, arenas: guest.arenas, view: try guest.makeView(), storage: fixture.storage,
      role: role(guest), report: { _ in }, emit: { _ in }, settle: {}, flush: { _, _ in })
    let holder = role(first)
    #expect(holder.take {})
    csup_store32(shared.words.flushFailed, 28)
    let error = #expect(throws: SiltstoneError.self) { try flusher.waitForFlush() }
    #expect(error?.code == .diskFull)
    holder.leave()
    #expect(throws: Never.self) { try flusher.waitForFlush() }
    try fixture.close()
  }
}
