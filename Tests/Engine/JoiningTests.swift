import CSupport
import Foundation
import Synchronization
import Testing

@testable import Siltstone

/// Whom an opener finds there, and what it makes of it.
@Suite struct JoiningTests {
  let directory = TemporaryDirectory()
  let copy = TemporaryDirectory()

  /// It has the same id, and both may be open at once.
  @Test func aCopyOfTheDirectoryIsADatabaseOfItsOwn() throws {
    let original = try Database.open(directory.path, options: .small())
    try original.put("a", "1")
    try copyDirectory(directory.path, to: copy.path)
    let other = try Database.open(copy.path, options: .small())
    try other.put("a", "2")
    // One that joins must find the original's memory.
    let second = try Database.open(directory.path, options: .small())
    #expect(try second.get("a") == Array("1".utf8))
    try other.close()
    let third = try Database.open(directory.path, options: .small())
    #expect(try third.get("a") == Array("1".utf8))
    for database in [third, second, original] { try database.close() }
  }

  /// A recoverer was killed half way, and its slot's lock goes a moment after the lock of opening.
  @Test func aHalfRecoveredDatabaseIsNotJoined() throws {
    let original = try Database.open(directory.path, options: .small())
    try original.put("k", "v", durability: .synced)
    try copyDirectory(directory.path, to: copy.path)
    try original.close()
    let storage = try DiskStorage(path: copy.path, create: false, backend: .plain)
    var recovered = Manifest.Recovered(fileName: "")
    let state = try Manifest.recover(storage, &recovered).state
    let id = state.creation.database
    let (shared, _) = try SharedState.attach(storage: storage, database: id, ringBytes: 1 << 16)
    shared.reset()
    let parts = try SharedParts(storage, shared, id, .processes)
    parts.arenas.setPlan(MemoryPlan(.small()).arenas)
    _ = try parts.arenas.activate(firstPosition: state.logStart, commonPrefix: [])
    let death = try BackgroundThread("dying") {
      usleep(100_000)
      parts.processes.leave()
    }
    let database = try Database.open(copy.path, options: .small())
    death.join()
    #expect(try database.get("k") == Array("v".utf8))
    #expect(try !SharedState.isAbandoned(storage))
    try database.close()
  }

  @Test func whoLivesIsNotGuessed() throws {
    try Database.open(directory.path, options: .small()).close()
    let storage = FaultStorage(try DiskStorage(path: directory.path, create: false, backend: .plain))
    #expect(try !ProcessTable.isAnyAlive(storage))
    storage.beforeLook.withLock {
      $0 = { (byte) throws(SiltstoneError) in throw SiltstoneError(.inputOutput, "too many open files") }
    }
    #expect(throws: SiltstoneError.self) { try ProcessTable.isAnyAlive(storage) }
    #expect(throws: SiltstoneError.self) { try Engine.open(directory.path, .small(), on: storage) }
  }

  /// A reader outlives a writer that died between two inserts of a batch, and the recovery that completes it.
  @Test func aReaderThatOutlivesAWriterNeverSeesHalfABatch() throws {
    let fixture = try SharedFixture()
    let (shared, arenas) = (fixture.first.shared, fixture.first.arenas)
    func insert(_ key: String, _ position: LogPosition, _ memtable: Memtable) {
      let fits = Array(key.utf8).withView { memtable.insert($0, KeyTrailer(position, .put), $0) }
      #expect(fits)
    }
    let old = try #require(try arenas.activate(firstPosition: 1, commonPrefix: []))
    let parts = try SharedParts(
      fixture.storage, try SharedState.join(fixture.storage, isWritable: false), fixture.database, .readOnly)
    let reader = try parts.makeView()
    func seen() throws -> [Bool] {
      let (view, position) = try reader.load { parts.shared.published }
      return try ["a", "b"].map { key in
        try Array(key.utf8).withView { key in
          try ([view.active] + view.sealed).contains { try $0.get(key, snapshot: position) != nil }
        }
      }
    }
    insert("a", 5, old)
    #expect(try seen() == [false, false])
    shared.reset()
    arenas.setPlan(ArenaTable.Plan(arenaBytes: 1 << 20, limit: 2))
    let new = try #require(try arenas.activate(firstPosition: 1, commonPrefix: []))
    insert("a", 5, new)
    #expect(try seen() == [false, false], "what there is to read from is incomplete")
    insert("b", 6, new)
    try shared.begin(database: fixture.database, segmentBytes: 1 << 16, end: 9, drained: 9, durable: 0)
    #expect(try seen() == [true, true], "readable, though nobody may join yet")
    #expect(try SharedState.isAbandoned(fixture.storage))
    shared.endRecovery()
    #expect(try !SharedState.isAbandoned(fixture.storage))
    #expect(try seen() == [true, true])
    try fixture.close()
  }
}
