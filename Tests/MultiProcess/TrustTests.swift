import CSupport
import Foundation
import Testing

@testable import Siltstone

/// What forks, stops, restarts, other namespaces and scribblers do to a database, and what they do not.
@Suite(.serialized) struct TrustTests {
  let directory = TemporaryDirectory()

  private func wait(_ what: String, _ condition: () -> Bool) {
    for _ in 0..<10_000 {
      if condition() { return }
      usleep(1_000)
    }
    Issue.record("\(what): waited in vain")
  }

  /// A child's exit status says what it met. It runs nothing that another thread's lock could keep it in.
  @Test func aChildOfForkIsRefusedAndHarmsNothing() throws {
    for sharing in [Options.Sharing.processes, .exclusive] {
      var options = Options.small()
      options.sharing = sharing
      let database = try Database.open(directory.path, options: options)
      try database.put("a", "1")
      let child = fork()
      if child == 0 {
        var code: Int32 = 0
        do throws(SiltstoneError) {
          try database.put("a", "2")
        } catch {
          code = error.code == .forked ? 17 : 18
        }
        do throws(SiltstoneError) {
          _ = try database.get("a")
          code = 19
        } catch {}
        do throws(SiltstoneError) { try database.close() } catch { code = 20 }
        _exit(code)
      }
      try #require(child > 0)
      var status: Int32 = 0
      waitpid(child, &status, 0)
      #expect(status >> 8 & 0xFF == 17 && status & 0x7F == 0, "\(status)")
      #expect(try database.get("a") == Array("1".utf8))
      try database.put("b", "2")
      try database.close()
    }
  }

  /// What a child drops - all of it, in any order - is its parent's: nothing is given back, and nothing crashes.
  @Test func aChildOfForkLetsGo() throws {
    for sharing in [Options.Sharing.processes, .exclusive, .readOnly] {
      var options = Options.small()
      options.sharing = .processes
      let writer = sharing == .exclusive ? nil : try Database.open(directory.path, options: options)
      options.sharing = sharing
      try writer?.put("a", "1")
      var database: Database? = try Database.open(directory.path, options: options)
      if sharing == .exclusive { try database?.put("a", "1") }
      #expect(try database?.multiGet(["a"]).first == Array("1".utf8))
      var snapshot = try database?.snapshot()
      var cursor = try #require(database).makeCursor()
      try cursor.seekToFirst()
      let child = fork()
      if child == 0 {
        alarm(30)
        var code: Int32 = 0
        do throws(SiltstoneError) {
          try cursor.next()
          code = 21
        } catch {
          if error.code != .forked { code = 22 }
        }
        _ = consume cursor
        snapshot?.close()
        snapshot = nil
        database = nil
        _exit(code)
      }
      try #require(child > 0)
      var status: Int32 = 0
      waitpid(child, &status, 0)
      #expect(status == 0, "\(sharing): \(status)")
      try cursor.next()
      let isAtEnd = !cursor.isValid
      #expect(isAtEnd)
      _ = consume cursor
      #expect(try snapshot?.get("a") == Array("1".utf8))
      snapshot = nil
      try database?.close()
      database = nil
      try writer?.close()
    }
  }

  /// A process that is stopped, not dead, delays nobody; what it pins is kept, and it is named.
  @Test func aStoppedReaderDelaysNobodyAndIsNamed() throws {
    let peers = try Peers()
    try peers.start("writer 0")
    try peers.start("reader 0")
    wait("the writer begins") { (try? peers.acknowledged()[0]) ?? 0 > 100 }
    peers.signal("reader 0", SIGSTOP)
    let before = try peers.acknowledged()[0]
    wait("the writer goes on") { (try? peers.acknowledged()[0]) ?? 0 > before + 2_000 }
    let database = try Database.open(peers.workspace.database, options: .small())
    wait("the reader is named") {
      database.metrics.processes.contains { $0.silentSeconds > 1 && $0.sharing == "guest" && !$0.isSelf }
    }
    let silent = try #require(database.metrics.processes.first { $0.silentSeconds > 1 })
    #expect(silent.pinnedMemtableBytes > 0 || silent.changesBehind > 0)
    try database.close()
    peers.signal("reader 0", SIGCONT)
    peers.stop()
    try peers.check()
  }

  /// The kernel could take a lock from its living owner when a thread with the same id dies in another namespace.
  @Test func writersOfTwoNamespacesAreKeptApart() throws {
    let peers = try Peers()
    let apart = ["unshare", "--pid", "--fork", "--kill-child"]
    guard try peers.start("writer 0", through: apart) else { return }
    wait("the writer begins") { (try? peers.acknowledged()[0]) ?? 0 > 50 }
    for sharing in [Options.Sharing.processes, .guest] {
      var options = Options.small()
      options.sharing = sharing
      let error = #expect(throws: SiltstoneError.self) {
        try Database.open(peers.workspace.database, options: options)
      }
      #expect(error?.code == .otherNamespace)
    }
    // Who only reads takes no lock.
    var options = Options.small()
    options.sharing = .readOnly
    let reader = try Database.open(peers.workspace.database, options: options)
    let before = try peers.acknowledged()[0]
    wait("the writer goes on") { (try? peers.acknowledged()[0]) ?? 0 > before + 50 }
    #expect(try reader.get("0/head/0") != nil)
    try reader.close()
    #expect(try Tool.succeed(["get", peers.workspace.database, "0/head/1"]).text.isEmpty == false)
    // When it is gone, it is anybody's again.
    peers.kill("writer 0")
    wait("the child ends") {
      (try? ProcessTable.isAnyAlive(DiskStorage(path: peers.workspace.database, create: false))) == false
    }
    try peers.check()
  }

  /// Somebody writes over the arenas while others read: nonsense is allowed, a wild read is not.
  @Test func aScribbledArenaNeverGivesAWildRead() throws {
    var random = SeededGenerator(seed: 99)
    for round in 0..<20 {
      let memory = try AnonymousMemory(sizeBytes: 256 << 10)
      let memtable = Memtable(memory, firstPosition: 1)
      let entries = MemtableTests.randomEntries(1_500, seed: UInt64(round))
      for entry in entries { #expect(MemtableTests.insert(entry, into: memtable)) }
      let usedBytes = memtable.usedBytes
      for _ in 0..<(1 << Int.random(in: 0...12, using: &random)) {
        let offset = Int.random(in: 0..<usedBytes / 4, using: &random) * 4
        let value = Bool.random(using: &random) ? UInt32.random(in: 0...UInt32.max, using: &random) : UInt32(offset)
        memory.base.storeBytes(of: value, toByteOffset: offset, as: UInt32.self)
      }
      let attached = Memtable(attached: memory, serial: 1, firstPosition: 1)
      var damage = 0
      for entry in entries.prefix(100) {
        do { _ = try entry.key.withView { try attached.get($0, snapshot: .max >> 8) } } catch { damage += 1 }
      }
      do { _ = try MemtableTests.forward(attached, 100) } catch { damage += 1 }
      do { _ = try MemtableTests.backward(attached, 100) } catch { damage += 1 }
      _ = damage
    }
  }

  @Test func filesAndMemoryAreForTheOwnersEyesOnly() throws {
    let database = try Database.open(directory.path, options: .small())
    for number in 0..<3_000 { try database.put("key\(number)", String(repeating: "v", count: 60)) }
    try database.flush()
    let storage = try DiskStorage(path: directory.path, create: false)
    var info = stat()
    for name in try storage.list() {
      #expect(stat(directory.file(name), &info) == 0 && info.st_mode & 0o777 == 0o600, "\(name)")
    }
    let memory = try storage.listMemory(prefix: ArenaTable.namePrefix(database.engine.tree.creation.database))
    #expect(!memory.isEmpty)
    for name in memory {
      #expect(stat("/dev/shm/\(name)", &info) == 0 && info.st_mode & 0o777 == 0o600, "\(name)")
    }
    try database.close()
  }
}
