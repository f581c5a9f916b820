import CDeaths
import CSupport
import Foundation
import Testing

@testable import Siltstone

/// How long a process keeps its slot, and what it may store there: nothing once the slot may be another's, and what
/// others must see for as long as something of it is in use.
@Suite struct SlotLifetimeTests {
  let directory = TemporaryDirectory()

  private func pins(_ database: Database) -> [UInt64] {
    let processes = database.engine.processes
    return (0..<Int(CSUP_SHARED_PINS)).map { csup_load(csup_pin_at(processes.slot(processes.own), $0)) }
  }

  private func keys(_ cursor: inout Cursor) throws -> Int {
    var count = 0
    try cursor.seekToFirst()
    while cursor.isValid {
      count += 1
      try cursor.next()
    }
    return count
  }

  @Test func whatIsDroppedAfterClosingTouchesNoOtherSlot() throws {
    var first: Database? = try Database.open(directory.path, options: .small())
    try first?.put("a", "1")
    var snapshot = try first?.snapshot()
    try first?.close()
    let second = try Database.open(directory.path, options: .small())
    let own = try second.snapshot()
    #expect(second.engine.processes.own == first?.engine.processes.own, "the slot is the same")
    let before = pins(second)
    #expect(before.contains { $0 != 0 })
    snapshot?.close()
    snapshot = nil
    first = nil
    #expect(pins(second) == before)
    #expect(second.engine.snapshots.positions(ofSlot: second.engine.processes.own) == [own.position])
    try second.close()
  }

  /// Even while another thread of the program is about to execute something.
  @Test func whoHasClosedIsGone() throws {
    let storage = try DiskStorage(path: directory.path, create: false)
    var child: Int32 = 0
    do {
      let database = try Database.open(directory.path, options: .small())
      try database.put("a", "1")
      child = fork_unnoticed()
      try database.close()
    }
    #expect(try child > 0 && !ProcessTable.isAnyAlive(storage))
    let database = try Database.open(directory.path, options: .small())
    #expect(try database.get("a") == Array("1".utf8))
    try database.close()
    kill(child, SIGKILL)
    waitpid(child, nil, 0)
  }

  @Test func aCursorKeepsTheSlotOfADatabaseThatOthersHaveOpen() throws {
    let first = try Database.open(directory.path, options: .small())
    try first.put("a", "1")
    let second = try Database.open(directory.path, options: .small())
    let slot = second.engine.processes.own
    do {
      var cursor = try second.makeCursor()
      try second.close()
      #expect(first.engine.processes.isAlive(slot) && pins(second).contains { $0 != 0 })
      // All that fills after this goes around what the cursor reads.
      for number in 0..<4_000 { try first.put("key\(number)", String(repeating: "v", count: 100)) }
      try first.compact()
      let count = try keys(&cursor)
      #expect(count == 1)
    }
    #expect(!first.engine.processes.isAlive(slot), "the last pin is gone, though the closed database is still there")
    try second.close()
    try first.close()
  }

  @Test func aCursorOfTheLastOneToCloseIsInNobodysWay() throws {
    let first = try Database.open(directory.path, options: .small())
    try first.put("a", "1")
    var cursor = try first.makeCursor()
    try first.close()
    var exclusive = Options.small()
    exclusive.sharing = .exclusive
    let second = try Database.open(directory.path, options: exclusive)
    try second.put("b", "2")
    let count = try keys(&cursor)
    #expect(count == 1)
    try second.close()
  }

  @Test func aReadThatComesAfterTheEndIsRefused() throws {
    let database = try Database.open(directory.path, options: .small())
    try database.put("a", "1")
    let view = try database.engine.view.load()
    try database.close()
    #expect(throws: SiltstoneError.self) { try database.engine.view.load() }
    #expect(throws: SiltstoneError.self) { try database.engine.view.follow() }
    #expect(throws: SiltstoneError.self) { try database.engine.snapshots.acquire { 7 } }
    #expect(database.metrics.processes.isEmpty)
    withExtendedLifetime(view) {}
  }
}
