import Foundation
import Synchronization
import Testing

@testable import Siltstone

/// What a crash leaves of shared memory goes, and what anybody lives from stays.
@Suite(.serialized) struct ReclaimTests {
  let directory = TemporaryDirectory()

  private func start(_ name: String, _ peers: Peers) throws {
    try peers.start(name)
    for _ in 0..<10_000 {
      if try peers.acknowledged()[0] > 100 { return }
      usleep(1_000)
    }
    Issue.record("\(name) does not begin")
  }

  private func memory(of database: DatabaseID) throws -> Set<String> {
    let names = try DiskStorage(path: directory.path, create: false).listMemory(prefix: ArenaTable.namePrefix(database))
    return Set(names)
  }

  private func identity(_ peers: Peers) throws -> DatabaseID {
    let storage = try DiskStorage(path: peers.workspace.database, create: false)
    var recovered = Manifest.Recovered(fileName: "")
    return try Manifest.recover(storage, &recovered).state.creation.database
  }

  /// Opens a database that has nothing to do with the others.
  private func openAnother() throws { try Database.open(directory.path, options: .small()).close() }

  @Test func whatACrashedDatabaseLeftGoesWithTheNextOpeningOfAny() throws {
    let peers = try Peers()
    try start("writer 0", peers)
    let database = try identity(peers)
    #expect(try memory(of: database).count > 1)
    peers.kill("writer 0")
    // Nobody will ever open it again.
    try FileManager.default.removeItem(atPath: peers.workspace.database)
    try openAnother()
    #expect(try memory(of: database).isEmpty)
    #expect(peers.complaints.isEmpty, "\(peers.complaints)")
  }

  /// The one that made the memory is dead, another that may not even have all of it mapped is stopped: that is life.
  @Test func whatAnybodyLivesFromStays() throws {
    let peers = try Peers()
    try start("writer 0", peers)
    let database = try identity(peers)
    var options = Options.small()
    options.sharing = .guest
    let guest = try Database.open(peers.workspace.database, options: options)
    peers.kill("writer 0")
    let before = try memory(of: database)
    #expect(before.count > 1)
    try openAnother()
    #expect(try memory(of: database) == before)
    try start("writer 1", peers)
    peers.kill("writer 1")
    #expect(try guest.get("0/head/0") != nil)
    try guest.close()
    try peers.check()
  }

  /// A path says nothing: in another mount namespace there is none.
  @Test func aLivingDatabaseWhoseDirectoryIsGoneKeepsItsMemory() throws {
    let peers = try Peers()
    try start("writer 0", peers)
    let database = try identity(peers)
    let elsewhere = peers.workspace.database + ".elsewhere"
    try FileManager.default.moveItem(atPath: peers.workspace.database, toPath: elsewhere)
    let before = try memory(of: database)
    try openAnother()
    // It may make more meanwhile, as it goes on.
    #expect(try memory(of: database).isSuperset(of: before) && before.count > 1)
    try FileManager.default.moveItem(atPath: elsewhere, toPath: peers.workspace.database)
    peers.stop()
    try peers.check()
  }

  /// The last one to live dies, and what it leaves is removed, when another has made up its mind to join.
  @Test func whoComesTooLateToJoinRecovers() throws {
    let peers = try Peers()
    try start("writer 0", peers)
    let writer = try #require(peers.process("writer 0"))
    let disk = try DiskStorage(path: peers.workspace.database, create: false, backend: .plain)
    let storage = FaultStorage(disk)
    let comes = Atomic<Int>(0)
    storage.beforeUsingMemory.withLock {
      $0 = {
        guard comes.add(1, ordering: .relaxed).newValue == 1 else { return }
        kill(writer, SIGKILL)
        while (try? ProcessTable.isAnyAlive(disk)) != false { usleep(100) }
        disk.reclaimMemory()
      }
    }
    try Engine.open(peers.workspace.database, .small(), on: storage).close()
    #expect(comes.load(ordering: .relaxed) == 2, "once to join, and once to recover")
    peers.kill("writer 0")
    try peers.check()
  }

  @Test func whoUsesMemoryIsAloneWithNobody() throws {
    let storage = try DiskStorage(path: directory.path, create: false)
    let prefix = "siltstone-\(DatabaseID(high: .random(in: 1...UInt64.max), low: 9))-1f-2e-"
    func make(_ name: String) throws { _ = try storage.makeMemory(prefix + name, sizeBytes: 1 << 16) }
    func names() throws -> [String] {
      try storage.listMemory(prefix: prefix).map { String($0.dropFirst(prefix.count)) }
    }
    // What nobody ever said to use is not touched: it may be older than that custom.
    try make("1")
    storage.reclaimMemory()
    #expect(try names() == ["1"])
    #expect(try storage.useMemory(prefix, makes: false) == nil)

    var first = try storage.useMemory(prefix, makes: true)
    var second = try storage.useMemory(prefix, makes: false)
    #expect(first != nil && second != nil)
    try make("2")
    try make("notes")
    for _ in 0..<2 {
      storage.reclaimMemory()
      #expect(try names().sorted() == ["1", "2", "notes", "users"])
      first = nil
    }
    second = nil
    storage.reclaimMemory()
    #expect(try names() == ["notes"])
    try storage.removeMemory(prefix + "notes")
    _ = (first, second)
  }

  /// It is being removed: whoever comes waits, and makes a sign of its own.
  @Test func whoComesWhileItIsRemovedWaits() throws {
    let shm = open("/dev/shm", O_RDONLY | O_DIRECTORY)
    try #require(shm >= 0)
    defer { close(shm) }
    let name = "siltstone-\(DatabaseID(high: .random(in: 1...UInt64.max), low: 9))-1f-2e-users"
    defer { unlinkat(shm, name, 0) }
    var alone = MemoryUse.alone(below: shm, name)
    #expect(alone != nil)
    let user = try BackgroundThread("user") {
      let use = try? MemoryUse.share(below: shm, name, makes: true)
      #expect(use != nil)
      #expect(MemoryUse.alone(below: shm, name) == nil, "the file that has the name is the one that is locked")
    }
    usleep(20_000)
    unlinkat(shm, name, 0)
    alone = nil
    user.join()
    _ = alone
  }

  @Test func onlyALocksNameIsTakenForOne() {
    let identity = "\(DatabaseID(high: 1, low: 2))"
    #expect(MemoryUse.prefix(ofLock: "siltstone-\(identity)-1f-2e-users") == "siltstone-\(identity)-1f-2e-")
    for name in [
      "siltstone-users", "siltstone----users", "siltstone-\(identity)-1f-2e-7", "siltstone-\(identity)-1f-users",
      "siltstone-\(identity)-1f-2g-users", "siltstone-\(identity)-1f-2e-users-1", "other-\(identity)-1f-2e-users", "",
    ] { #expect(MemoryUse.prefix(ofLock: name) == nil, "\(name)") }
  }
}
