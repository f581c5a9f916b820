import Foundation
import Testing

@testable import Siltstone

/// Many processes on one database, killed, stopped and restarted at random. `SILTSTONE_STRESS_SECONDS` makes the run
/// longer. What it finds wrong stays where it is then, to be looked at.
@Suite(.serialized) struct StressTests {
  static let seconds = ProcessInfo.processInfo.environment["SILTSTONE_STRESS_SECONDS"].flatMap { Double($0) } ?? 5

  @Test func nothingIsLostWhoeverIsKilled() throws {
    let chaos = try Chaos(seed: UInt64(Date().timeIntervalSince1970))
    let peers = chaos.peers
    peers.workspace.isKept = Self.seconds > 5
    try chaos.run(seconds: Self.seconds)
    #expect(chaos.kills > 5)
    chaos.say("\(try peers.acknowledged()) batches, \(try peers.history().count) operations on common keys")
    try peers.check()
    peers.workspace.isKept = peers.workspace.isKept && !peers.complaints.isEmpty
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

/// Four writers, four readers, one that does the upkeep, one that opens for reading only, again and again; and a
/// witness, a reader that is hardly ever killed, but now and then stopped for seconds.
private final class Chaos {
  let peers: Peers
  private(set) var kills = 0
  private var dice: ToolDice
  private let seed: UInt64
  private var lastProgress = (batches: 0, at: Date())
  /// When the witness was stopped, if it is.
  private var stopped: Date?
  private var nextStop = Date().addingTimeInterval(0.5)
  private var counts: [String: Int] = [:]

  private static let witness = "reader 4"
  private static let victims =
    (0..<4).map { "writer \($0)" } + (0..<4).map { "reader \($0)" } + ["maintainer 0", "observer 0"]
  private static let everybody = victims + [witness]

  init(seed: UInt64) throws {
    peers = try Peers()
    self.seed = seed
    dice = ToolDice(seed)
  }

  func say(_ text: String) {
    if StressTests.seconds > 5 { print("stress: \(text)") }
  }

  func run(seconds: Double) throws {
    say("seed \(seed)")
    for name in Chaos.everybody { try peers.start(name) }
    let end = Date().addingTimeInterval(seconds)
    while Date() < end {
      usleep(UInt32.random(in: 20_000...200_000, using: &dice))
      try step()
      try tendWitness()
      for name in Chaos.everybody where peers.hasEnded(name) { Issue.record("\(name) has ended: \(peers.complaints)") }
      guard peers.complaints.isEmpty, try isProgressing() else { break }
    }
    if stopped != nil { peers.signal(Chaos.witness, SIGCONT) }
    say("\(counts.sorted { $0.key < $1.key })")
    if !peers.complaints.isEmpty { return }
    // Whoever is left goes on.
    let before = try peers.acknowledged()
    let goOn = (0..<10_000).contains { _ in
      usleep(1_000)
      return ((try? peers.acknowledged()) ?? before).elementsEqual(before, by: >)
    }
    let after = try peers.acknowledged()
    #expect(goOn, "\(before) to \(after)")
    peers.stop()
  }

  // MARK: - What may happen

  private func step() throws {
    switch Int.random(in: 0..<1_000, using: &dice) {
    case 0..<600: try kill(some(1))
    case 600..<700: try leave(some(1))
    case 700..<900: try stop(some(Int.random(in: 1...2, using: &dice)))
    case 900..<985: try kill(some(Int.random(in: 2...5, using: &dice)))
    case 985..<997: try kill(Chaos.victims)
    default: try kill(Chaos.everybody)
    }
  }

  private func some(_ count: Int) -> [String] { Array(Chaos.victims.shuffled(using: &dice).prefix(count)) }

  private func kill(_ names: [String]) throws {
    for name in names { peers.signal(name, SIGKILL) }
    for name in names { peers.kill(name) }
    kills += names.count
    counts["killed with \(names.count - 1) others", default: 0] += 1
    if names.contains(Chaos.witness) { stopped = nil }
    for name in names { try peers.start(name) }
  }

  /// In good order.
  private func leave(_ names: [String]) throws {
    peers.stop(names)
    counts["left", default: 0] += names.count
    for name in names { try peers.start(name) }
  }

  /// Wherever they stand, be it with a lock; so not for long. Some never go on.
  private func stop(_ names: [String]) throws {
    for name in names { peers.signal(name, SIGSTOP) }
    usleep(UInt32.random(in: 1_000...60_000, using: &dice))
    counts["stopped", default: 0] += names.count
    if Int.random(in: 0..<4, using: &dice) == 0 { return try kill(names) }
    for name in names { peers.signal(name, SIGCONT) }
  }

  // MARK: - What must hold meanwhile

  /// Now and then the witness is stopped for seconds: the others go on, and it is named.
  private func tendWitness() throws {
    if let since = stopped {
      if Date().timeIntervalSince(since) < 3.5 { return }
      let silence = try silenceOfWitness()
      #expect(silence ?? 0 >= 2, "\(String(describing: silence))")
      peers.signal(Chaos.witness, SIGCONT)
      counts["witness stopped", default: 0] += 1
      stopped = nil
      nextStop = Date().addingTimeInterval(30)
    } else if Date() > nextStop, try silenceOfWitness() != nil {
      peers.signal(Chaos.witness, SIGSTOP)
      stopped = Date()
    }
  }

  /// For how long it has not told of itself; nil if it does not have the database open yet.
  private func silenceOfWitness() throws -> UInt64? {
    let process = try #require(peers.process(Chaos.witness))
    var options = Options.small()
    options.sharing = .guest
    let database = try Database.open(peers.workspace.database, options: options)
    let all = database.metrics.processes
    try database.close()
    return all.first { $0.process == UInt32(process) }?.silentSeconds
  }

  private func isProgressing() throws -> Bool {
    let batches = try peers.acknowledged().reduce(0, +)
    if batches > lastProgress.batches { lastProgress = (batches, Date()) }
    let waited = Date().timeIntervalSince(lastProgress.at)
    if waited > 30 { Issue.record("no batch for \(waited) s") }
    return waited <= 30
  }
}
