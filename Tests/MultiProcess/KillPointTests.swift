import Foundation
import Testing

@testable import Siltstone

/// Processes that die between any two steps, one place after the other, while others go on.
@Suite(.serialized) struct KillPointTests {
  /// Deaths at each place. `SILTSTONE_STRESS_SECONDS` makes it more.
  static let rounds = StressTests.seconds > 5 ? 12 : 3

  @Test(arguments: KillPoint.allCases) func theSurvivorsGoOn(_ point: KillPoint) throws {
    let peers = try Peers()
    var dice = ToolDice(UInt64(KillPoint.allCases.firstIndex(of: point) ?? 0))
    // The one that is to die holds all roles, since it comes first; and so does the next one.
    try peers.start("writer 0")
    try peers.start("reader 0")
    #expect(wait { (try? peers.acknowledged()[0]) ?? 0 > 5 }, "\(peers.complaints)")
    for round in 0..<Self.rounds {
      let victim = "writer 2"
      let isRare = Self.isRare.contains(point)
      let isFirst = point != .joined && (round % 2 == 0 || isRare)
      if isFirst { peers.stop(["writer 0"]) }
      // Arenas are made when there are none, and a manifest begun anew after a death at the old one.
      if point == .arenaFileMade { peers.stop(["reader 0"]) }
      if point == .manifestReplaced { try die(victim, at: "editWritten:1", peers) }
      let count = Int.random(in: 1...(isRare ? 1 : 20), using: &dice)
      let told = try peers.acknowledged()[2]
      try peers.start(victim, killedAt: "\(point.rawValue):\(count)")
      if isFirst {
        // The roles are the victim's by then.
        _ = wait { peers.hasEnded(victim) || (try? peers.acknowledged()[2]) ?? 0 > told + 5 }
        try peers.start("writer 0")
      }
      if point == .arenaFileMade { try peers.start("reader 0") }
      let died = wait { peers.hasEnded(victim) }
      #expect(died, "\(point):\(count) was not reached")
      if !died { peers.kill(victim) }
      let before = try peers.acknowledged()[0]
      let goesOn = wait { (try? peers.acknowledged()[0]) ?? 0 > before + 20 }
      #expect(goesOn, "after \(point):\(count) the survivor stands at \(before)")
      #expect(!peers.hasEnded("reader 0"), "\(peers.complaints)")
    }
    peers.stop()
    try peers.check()
  }

  @Test func theLocksTakeoverIsCounted() throws {
    let peers = try Peers()
    let database = try Database.open(peers.workspace.database, options: .small())
    try database.put("a", "1")
    #expect(database.metrics.takeovers == 0)
    try peers.start("writer 2", killedAt: "\(KillPoint.inserted.rawValue):3")
    #expect(wait { peers.hasEnded("writer 2") })
    try database.put("a", "2")
    #expect(database.metrics.takeovers == 1)
    try database.put("a", "3")
    #expect(database.metrics.takeovers == 1)
    try database.close()
    try peers.check()
  }

  /// Who opens for reading only what the dead one left sees what recovery is going to show, and leaves no trace.
  @Test(arguments: KillPoint.allCases.filter { $0 != .joined })
  func whoOnlyReadsSeesTheSame(_ point: KillPoint) throws {
    let peers = try Peers()
    var dice = ToolDice(UInt64(KillPoint.allCases.firstIndex(of: point) ?? 0))
    for _ in 0..<Self.rounds {
      let count = Self.isRare.contains(point) ? 1 : Int.random(in: 1...400, using: &dice)
      try die("writer 2", at: "\(point.rawValue):\(count)", peers)
      let promised = try peers.acknowledged()[2]
      let before = try FrozenTests.fingerprint(peers.workspace.database)
      let reader = try Database.open(peers.workspace.database, options: ReadOnlyTests.readOnly)
      let seen = try FrozenTests.contents(reader)
      try reader.close()
      #expect((seen["2/head/0"].flatMap { Int($0.prefix { $0 != " " }) } ?? 0) >= promised)
      #expect(try FrozenTests.fingerprint(peers.workspace.database) == before)
      let writer = try Database.open(peers.workspace.database, options: .small())
      #expect(try FrozenTests.contents(writer) == seen)
      try writer.close()
    }
    try peers.check()
  }

  /// Places that are not reached often, or only by the holder of a role.
  static let isRare: Set<KillPoint> = [
    .joined, .slotTaken, .manifestReplaced, .arenaFileMade, .segmentPrepared, .arenaClaimed, .arenaMade,
    .arenaActive, .tableWritten, .editUncertain, .editWritten, .generationOdd, .editShown, .flushedShown, .editDone,
  ]

  private func die(_ name: String, at point: String, _ peers: Peers) throws {
    try peers.start(name, killedAt: point)
    #expect(wait { peers.hasEnded(name) }, "\(point) was not reached")
  }

  private func wait(_ condition: () -> Bool) -> Bool {
    for _ in 0..<8_000 {
      if condition() { return true }
      usleep(1_000)
    }
    return false
  }
}
