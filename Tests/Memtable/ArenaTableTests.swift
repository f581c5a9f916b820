import CSupport
import Foundation
import Synchronization
import Testing

@testable import Siltstone

/// The arenas that processes share: what recycles them, and what keeps them.
@Suite struct ArenaTableTests {
  @Test func arenasAreRecycledAndBounded() throws {
    let fixture = try SharedFixture()
    let arenas = fixture.first.arenas
    let first = try #require(try arenas.activate(firstPosition: 1, commonPrefix: []))
    let second = try #require(try arenas.activate(firstPosition: 2, commonPrefix: []))
    #expect(first.serial == 1 && second.serial == 2)
    #expect(try arenas.activate(firstPosition: 3, commonPrefix: []) == nil, "both are in use")
    #expect(arenas.totalBytes == 2 << 20)
    fixture.first.flushed(1)
    let third = try #require(try arenas.activate(firstPosition: 3, commonPrefix: []))
    #expect(third.serial == 3 && third.isEmpty && arenas.totalBytes == 2 << 20)
    #expect(third.list == first.list, "the memory is the same")
    #expect(try arenas.activate(firstPosition: 4, commonPrefix: [], ignoringLimit: true)?.serial == 4)
    #expect(arenas.totalBytes == 3 << 20)
    fixture.first.flushed(3)
    arenas.tidy()
    #expect(arenas.totalBytes == 2 << 20, "what was more than the plan is given back")
    try fixture.close()
  }

  @Test func aViewKeepsWhatItNamesInWhateverProcess() throws {
    let fixture = try SharedFixture()
    let arenas = fixture.first.arenas
    let memtable = try #require(try arenas.activate(firstPosition: 1, commonPrefix: []))
    #expect([UInt8]("key".utf8).withView { memtable.insert($0, KeyTrailer(5, .put), $0) })
    let other = try fixture.join()
    var view: CurrentView? = try other.makeView()
    #expect(try [UInt8]("key".utf8).withView { try view?.peek().active.get($0, snapshot: 9) } != nil)
    _ = try arenas.activate(firstPosition: 7, commonPrefix: [])
    fixture.first.flushed(1)
    #expect(try arenas.activate(firstPosition: 8, commonPrefix: []) == nil, "the other process reads from it")
    view = nil
    #expect(try arenas.activate(firstPosition: 8, commonPrefix: [])?.serial == 3)
    other.processes.leave()
    try fixture.close()
  }

  @Test func aViewOfALaterGenerationKeepsNothingEarlier() throws {
    let fixture = try SharedFixture(limit: 3)
    let arenas = fixture.first.arenas
    _ = try arenas.activate(firstPosition: 1, commonPrefix: [])
    let old = try fixture.first.makeView()
    _ = try arenas.activate(firstPosition: 2, commonPrefix: [])
    fixture.first.flushed(1)
    let other = try fixture.join().makeView()
    _ = try arenas.activate(firstPosition: 3, commonPrefix: [])
    fixture.first.flushed(2)
    // The first memtable is kept by the old view; the second, which was born while that was current, too.
    #expect(try arenas.activate(firstPosition: 4, commonPrefix: []) == nil)
    try other.follow()
    #expect(other.peek().active.serial == 3 && old.peek().active.serial == 1)
    try fixture.close()
  }

  @Test func whatAnOwnerDidNotFinishIsUndone() throws {
    let fixture = try SharedFixture()
    let arenas = fixture.first.arenas
    _ = try arenas.activate(firstPosition: 1, commonPrefix: [])
    arenas.prepareSpare()
    // As if the owner of the commit lock had died when the memtable was made and not yet shown.
    let spare = try #require((0..<ArenaTable.count).first { arenas.state($0).is(CSUP_ARENA_FREE) })
    let shared = fixture.first.shared
    for state in [ArenaTable.State(0, CSUP_ARENA_CLAIMED), ArenaTable.State(2, CSUP_ARENA_LIVE)] {
      csup_store(arenas.entry(spare).pointer(to: \.word), state.word)
      #expect(try arenas.memtables(after: 0, through: shared.active)?.count == 1)
    }
    let next = try #require(try arenas.activate(firstPosition: 2, commonPrefix: []))
    #expect(next.serial == 2 && shared.active == SharedState.Active(serial: 2, index: spare))
    #expect(try arenas.memtables(after: 0, through: shared.active)?.map(\.serial) == [2, 1])
    try fixture.close()
  }

  /// Another process gives back what is more than the plan, while this one is about to use it.
  @Test func anArenaThatIsGivenBackIsNotTaken() throws {
    let fixture = try SharedFixture(limit: 3)
    let first = fixture.first
    _ = try first.arenas.activate(firstPosition: 1, commonPrefix: [])
    first.arenas.prepareSpare()
    let storage = FaultStorage(fixture.storage)
    let shared = try SharedState.join(storage, isWritable: true)
    let other = try SharedParts(storage, shared, fixture.database, .processes)
    storage.beforeOpeningMemory.withLock {
      $0 = { () throws(SiltstoneError) in throw SiltstoneError(.outOfMemory, "no more mappings") }
    }
    #expect(throws: SiltstoneError.self) { try other.arenas.activate(firstPosition: 2, commonPrefix: []) }
    #expect((0..<ArenaTable.count).contains { first.arenas.state($0).is(CSUP_ARENA_FREE) }, "it is free again")
    storage.beforeOpeningMemory.withLock {
      $0 = { () throws(SiltstoneError) in
        first.arenas.setPlan(ArenaTable.Plan(arenaBytes: 2 << 20, limit: 2))  // so the spare one is no good
        first.arenas.tidy()
      }
    }
    #expect(try other.arenas.activate(firstPosition: 2, commonPrefix: [])?.serial == 2)
    other.processes.leave()
    try fixture.close()
  }

  @Test func memoryThatIsNotTheRightOneIsRefused() throws {
    let fixture = try SharedFixture()
    _ = try fixture.first.arenas.activate(firstPosition: 1, commonPrefix: [])
    let name = try #require(try fixture.storage.listMemory(prefix: ArenaTable.namePrefix(fixture.database)).first)
    let other = try fixture.join()
    // As in a container with a /dev/shm of its own, where the name means nothing, or something else.
    try fixture.storage.removeMemory(name)
    for isThere in [false, true] {
      let another = isThere ? try fixture.storage.makeMemory(name, sizeBytes: 1 << 20) : nil
      let error = #expect(throws: SiltstoneError.self) { _ = try other.makeView() }
      #expect(error?.code == .unreachableMemory)
      withExtendedLifetime(another) {}
    }
    try fixture.close()
  }

  @Test func memoryIsForTheOwnersEyesOnly() throws {
    let fixture = try SharedFixture()
    let name = "siltstone-test-\(UUID().uuidString)"
    let memory = try fixture.storage.makeMemory(name, sizeBytes: 3 << 20)
    var info = stat()
    let path = memory.identity.place == .system ? "/dev/shm/\(name)" : fixture.directory.file(name)
    #expect(stat(path, &info) == 0 && info.st_mode & 0o777 == 0o600)
    try memory.reserve(0..<3 << 20)
    #expect(stat(path, &info) == 0 && info.st_blocks * 512 >= 3 << 20, "no store may ever find it full")
    memory.base.storeBytes(of: 7, as: UInt8.self)
    memory.populate(upTo: 3 << 20)
    #expect(memory.base.load(as: UInt8.self) == 7)
    let again = try fixture.storage.openMemory(name, sizeBytes: 3 << 20, memory.identity, isWritable: false)
    #expect(again.base.load(as: UInt8.self) == 7)
    try fixture.storage.removeMemory(name)
    #expect(try fixture.storage.listMemory(prefix: name).isEmpty)
    try fixture.close()
  }
}
