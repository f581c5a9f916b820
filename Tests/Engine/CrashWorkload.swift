import Foundation
import Synchronization

@testable import Siltstone

/// Writers whose every batch can be told from what a crash has left of it.
///
/// Writer w's batch number i sets `w/head/0` to `w/head/4` to one and the same value, which says i and what the
/// writer had seen of the others just before; it adds `w/item/i`, and deletes the item of 40 batches ago. So the
/// state says how far each writer came; that nothing is missing up to there and nothing is there from behind; that
/// batches are whole; and that nobody's batch is there without those that it had seen.
struct CrashWorkload {
  static let writers = 3
  static let headKeys = 5
  static let keptItems = 40

  /// What was promised, by writer: batches 1 to n.
  final class Promises: Sendable {
    private let counts = Mutex(
      (staged: [Int](repeating: 0, count: writers), synced: [Int](repeating: 0, count: writers)))
    func acknowledge(_ writer: Int, _ number: Int, _ durability: Durability) {
      counts.withLock { counts in
        counts.staged[writer] = number
        if durability == .synced { counts.synced[writer] = number }
      }
    }
    var staged: [Int] { counts.withLock { $0.staged } }
    var synced: [Int] { counts.withLock { $0.synced } }
  }

  static func head(_ writer: Int, _ index: Int) -> String { "\(writer)/head/\(index)" }
  static func item(_ writer: Int, _ number: Int) -> String { "\(writer)/item/\(String(format: "%08d", number))" }

  static func commit(
    _ engine: Engine, _ writer: Int, _ number: Int, _ random: inout SeededGenerator, _ durability: Durability
  ) throws(SiltstoneError) {
    var seen: [Int] = []
    for other in 0..<writers { seen.append(try count(engine, other) ?? 0) }
    let fields = ([number] + seen).map(String.init).joined(separator: " ")
    // Mostly small, sometimes cut into several records, now and then larger than the ring.
    let length =
      switch Int.random(in: 0..<60, using: &random) {
      case 0: 90_000
      case 1, 2: 20_000
      default: Int.random(in: 0...150, using: &random)
      }
    let padding = String(repeating: "x", count: length)
    var batch = WriteBatch()
    for index in 0..<headKeys { try batch.put(head(writer, index), fields + (index == 2 ? " " + padding : "")) }
    try batch.put(item(writer, number), fields)
    if number > keptItems { try batch.delete(item(writer, number - keptItems)) }
    try engine.commit(batch.encoded, durability)
  }

  /// The writer's last batch, by its first head key.
  static func count(_ engine: Engine, _ writer: Int) throws(SiltstoneError) -> Int? {
    try engine.text(head(writer, 0)).flatMap { $0.split(separator: " ").first }.flatMap { Int($0) }
  }

  /// Each writer goes on from where it is, until `stop` says so or the engine refuses.
  static func run(_ engine: Engine, from start: [Int], seed: UInt64, _ promises: Promises, _ stop: Stop) -> [Thread] {
    (0..<writers).map { writer in
      let thread = Thread {
        var random = SeededGenerator(seed: seed &* 31 &+ UInt64(writer))
        var number = start[writer]
        do throws(SiltstoneError) {
          while !stop.isSet {
            number += 1
            let durability: Durability = Int.random(in: 0..<6, using: &random) == 0 ? .synced : .staged
            try commit(engine, writer, number, &random, durability)
            promises.acknowledge(writer, number, durability)
          }
        } catch {
          stop.note(error)
        }
        stop.ended()
      }
      thread.stackSize = 1 << 20
      thread.start()
      return thread
    }
  }

  /// A flag for threads, and how they ended.
  final class Stop: Sendable {
    private let flag = Atomic<Bool>(false)
    private let running = Atomic<Int>(CrashWorkload.writers)
    private let failures = Mutex<[SiltstoneError]>([])
    var isSet: Bool { flag.load(ordering: .acquiring) }
    func set() { flag.store(true, ordering: .releasing) }
    func note(_ error: SiltstoneError) { failures.withLock { $0.append(error) } }
    func ended() { running.subtract(1, ordering: .acquiringAndReleasing) }
    var errors: [SiltstoneError] { failures.withLock { $0 } }
    /// Returns when all threads have ended; false if they do not within a minute.
    func wait() -> Bool {
      for _ in 0..<60_000 {
        if running.load(ordering: .acquiring) == 0 { return true }
        usleep(1_000)
      }
      return false
    }
  }

  /// What is wrong with the state, if anything; and how far each writer came.
  static func check(_ engine: Engine, atLeast promised: [Int]) throws -> (counts: [Int], problems: [String]) {
    var problems: [String] = []
    var counts: [Int] = []
    var seen: [[Int]] = []
    for writer in 0..<writers {
      let fields = try (0..<headKeys).map { index in
        try engine.text(head(writer, index)).map { $0.split(separator: " ").prefix(1 + writers).map(String.init) }
      }
      if Set(fields).count != 1 { problems.append("writer \(writer): a batch in parts: \(fields)") }
      let numbers = (fields[0] ?? []).compactMap { Int($0) }
      counts.append(numbers.first ?? 0)
      seen.append(Array(numbers.dropFirst()))
    }
    for writer in 0..<writers {
      if counts[writer] < promised[writer] {
        problems.append("writer \(writer): \(promised[writer]) acknowledged, \(counts[writer]) there")
      }
      for (other, count) in seen[writer].enumerated() where count > counts[other] {
        problems.append("writer \(writer) had seen batch \(count) of \(other), which has \(counts[other])")
      }
      let first = max(1, counts[writer] - keptItems + 1)
      let expected = counts[writer] == 0 ? [] : (first...counts[writer]).map { item(writer, $0) }
      var found: [String] = []
      try engine.scan(.prefix("\(writer)/item/"), at: nil, reverse: false) { (key, _) throws(SiltstoneError) in
        found.append(String(decoding: ByteView(key).copied(), as: UTF8.self))
        return true
      }
      if found != expected { problems.append("writer \(writer): \(found.count) items, not \(expected.count)") }
    }
    let report = try engine.verify { _ in }
    problems += report.problems.map { "verify: \($0)" }
    return (counts, problems)
  }
}

extension Engine {
  func put(_ key: String, _ value: String, _ durability: Durability = .staged) throws(SiltstoneError) {
    try put(key, Array(value.utf8), durability)
  }
  func put(_ key: String, _ value: [UInt8], _ durability: Durability = .staged) throws(SiltstoneError) {
    try Array(key.utf8).withView { (key) throws(SiltstoneError) in
      try value.withView { (value) throws(SiltstoneError) in try put(key, value, durability) }
    }
  }
  func text(_ key: String) throws(SiltstoneError) -> String? {
    try Array(key.utf8).withView { (key) throws(SiltstoneError) in
      try get(key, at: nil) { String(decoding: $0.copied(), as: UTF8.self) }
    }
  }
}
