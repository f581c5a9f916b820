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

  /// One that is stopped at a lock keeps the others waiting, for it may go on at any moment; and it can be found.
  @Test func whoIsStoppedWithALockIsNamed() throws {
    let peers = try Peers()
    try peers.start("writer 0")
    wait("the writer begins") { (try? peers.acknowledged()[0]) ?? 0 > 50 }
    let database = try Database.open(peers.workspace.database, options: .small())
    func locks() -> [String] { database.metrics.processes.first { !$0.isSelf }?.locks ?? [] }
    wait("the writer is stopped with the lock") {
      peers.signal("writer 0", SIGSTOP)
      usleep(1_000)  // a stop takes a moment
      if locks().contains("commit") { return true }
      peers.signal("writer 0", SIGCONT)
      usleep(UInt32.random(in: 0...500))
      return false
    }
    // Who only looks on does not wait for it.
    #expect(try Tool.succeed(["stats", peers.workspace.database, "--json"]).text.contains(#""commit""#))
    wait("it is silent") { database.metrics.processes.contains { $0.silentSeconds > 1 && $0.locks.contains("commit") } }
    let before = try peers.acknowledged()[0]
    peers.signal("writer 0", SIGCONT)
    wait("the writer goes on") { (try? peers.acknowledged()[0]) ?? 0 > before + 50 }
    try database.close()
    peers.stop()
    try peers.check()
  }

  /// Two writers are process 1 of a PID namespace of their own, and one after the other is killed.
  @Test func writersOfThreeNamespacesShareADatabase() throws {
    let peers = try Peers()
    let apart = ["unshare", "--pid", "--fork", "--kill-child"]
    guard try peers.start("writer 0", through: apart) else {
      return print("skipped: this process may not make PID namespaces")
    }
    try peers.start("writer 2", through: apart)
    try peers.start("writer 1")
    try peers.start("reader 0", through: apart)
    wait("all write") {
      peers.hasEnded("writer 0") || (try? peers.acknowledged().prefix(3).allSatisfy { $0 > 20 }) ?? false
    }
    try #require(!peers.hasEnded("writer 0"), "\(peers.complaints)")
    for round in 0..<12 {
      let victim = "writer \(round % 2 * 2)"
      usleep(UInt32.random(in: 0...30_000))
      peers.kill(victim)
      let before = try peers.acknowledged()
      wait("the others go on") {
        guard let now = try? peers.acknowledged() else { return false }
        return now[1] > before[1] + 5 && now[2 - round % 2 * 2] > before[2 - round % 2 * 2] + 5
      }
      try peers.start(victim, through: apart)
      wait("it is back") { (try? peers.acknowledged()[round % 2 * 2]) ?? 0 > before[round % 2 * 2] + 5 }
    }
    for name in peers.names { peers.kill(name) }
    wait("all end") {
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
