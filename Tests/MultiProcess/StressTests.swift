import Foundation
import Testing

@testable import Siltstone

/// Many processes on one database, killed and restarted at random. `SILTSTONE_STRESS_SECONDS` makes the run longer.
@Suite(.serialized) struct StressTests {
  static let seconds = ProcessInfo.processInfo.environment["SILTSTONE_STRESS_SECONDS"].flatMap { Double($0) } ?? 5
  static let everybody =
    (0..<4).map { "writer \($0)" } + (0..<4).map { "reader \($0)" } + ["maintainer 0", "observer 0"]

  @Test func nothingIsLostWhoeverIsKilled() throws {
    let peers = try Peers()
    var dice = ToolDice(UInt64(Date().timeIntervalSince1970))
    for name in Self.everybody { try peers.start(name) }
    let end = Date().addingTimeInterval(Self.seconds)
    var kills = 0
    while Date() < end {
      usleep(UInt32.random(in: 20_000...200_000, using: &dice))
      guard let victim = Self.everybody.randomElement(using: &dice) else { break }
      peers.kill(victim)
      kills += 1
      try peers.start(victim)
      for name in Self.everybody where peers.hasEnded(name) { Issue.record("\(name) has ended: \(peers.complaints)") }
      if !peers.complaints.isEmpty { break }
    }
    #expect(kills > 5)
    let before = try peers.acknowledged()
    // Whoever is left goes on.
    usleep(500_000)
    let after = try peers.acknowledged()
    #expect(zip(before, after).allSatisfy { $0 < $1 }, "\(before) to \(after)")
    peers.stop()
    try peers.check()
  }

  /// One writer, killed and restarted without end: who opens for reading meets it at work, at recovery, and dead.
  @Test func observersSeeNothingHalf() throws {
    let peers = try Peers()
    var dice = ToolDice(UInt64(Date().timeIntervalSince1970))
    for name in ["observer 0", "observer 1", "writer 0"] { try peers.start(name) }
    let end = Date().addingTimeInterval(Self.seconds / 2)
    while Date() < end {
      usleep(UInt32.random(in: 5_000...120_000, using: &dice))
      peers.kill("writer 0")
      usleep(UInt32.random(in: 0...30_000, using: &dice))
      try peers.start("writer 0")
      for name in peers.names where peers.hasEnded(name) { Issue.record("\(name) has ended: \(peers.complaints)") }
      if !peers.complaints.isEmpty { break }
    }
    #expect(try peers.acknowledged()[0] > 50)
    peers.stop()
    try peers.check()
  }
}
