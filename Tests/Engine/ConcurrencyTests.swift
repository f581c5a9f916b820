import Foundation
import Synchronization
import Testing

@testable import Siltstone

/// Many threads on one database: what they see of one another, and how it ends when it is closed under them.
@Suite struct ConcurrencyTests {
  static let groups = 3
  static let keysPerGroup = 10

  static func key(_ group: Int, _ index: Int) -> String { "group\(group)/\(index)" }

  static func isolation(backend: Options.IOBackend = .automatic) -> Options {
    var options = Options.small(backend: backend)
    options.runsPerLevel = 2
    return options
  }

  /// Runs bodies on threads of their own, and notes what they throw and what they find wrong.
  final class Crew: Sendable {
    private let running = Atomic<Int>(0)
    private let stopped = Atomic<Bool>(false)
    private let notes = Mutex<[String]>([])
    private let errors = Mutex<[SiltstoneError]>([])

    var isStopped: Bool { stopped.load(ordering: .acquiring) }
    func stop() { stopped.store(true, ordering: .releasing) }
    func note(_ problem: String) {
      notes.withLock { if $0.count < 20 { $0.append(problem) } }
      stop()
    }
    var problems: [String] { notes.withLock { $0 } }
    var thrown: [SiltstoneError] { errors.withLock { $0 } }

    func start(_ body: @escaping @Sendable (Crew) throws(SiltstoneError) -> Void) {
      running.add(1, ordering: .relaxed)
      Thread.detachNewThread {
        do throws(SiltstoneError) { try body(self) } catch { self.errors.withLock { $0.append(error) } }
        self.running.subtract(1, ordering: .acquiringAndReleasing)
      }
    }

    /// False if some are still at it after half a minute.
    func wait() -> Bool {
      for _ in 0..<30_000 {
        if running.load(ordering: .acquiring) == 0 { return true }
        usleep(1_000)
      }
      return false
    }
  }

  /// Writes batch after batch: all keys of a group get the same number, which grows. Each is there when acknowledged.
  static func write(_ database: Database, _ group: Int, _ crew: Crew) throws(SiltstoneError) {
    var number = 0
    let padding = String(repeating: "p", count: 150)
    while !crew.isStopped {
      number += 1
      var batch = WriteBatch()
      for index in 0..<keysPerGroup { try batch.put(key(group, index), "\(number) \(padding)") }
      try database.write(batch, durability: number % 20 == 0 ? .synced : .staged)
      try database.put("own\(group)", "\(number)", durability: .staged)
      guard try self.number(database.get(key(group, number % keysPerGroup))) == number,
        try self.number(database.get("own\(group)")) == number
      else { return crew.note("group \(group): \(number) was acknowledged, and is not there") }
    }
  }

  static func number(_ value: [UInt8]?) -> Int? {
    value.flatMap { String(decoding: $0, as: UTF8.self).split(separator: " ").first }.flatMap { Int($0) }
  }

  /// The one number of a group's keys, or nil if they do not agree.
  static func agreed(_ numbers: [Int?]) -> Int? {
    guard numbers.count == keysPerGroup, let first = numbers.first ?? nil, numbers.allSatisfy({ $0 == first }) else {
      return nil
    }
    return first
  }

  static func byCursor(_ database: Database, _ group: Int) throws(SiltstoneError) -> Int? {
    var numbers: [Int?] = []
    var cursor = try database.makeCursor(.prefix("group\(group)/"))
    if group % 2 == 0 { try cursor.seekToFirst() } else { try cursor.seekToLast() }
    while cursor.isValid {
      numbers.append(number(ByteView(try cursor.value).copied()))
      if group % 2 == 0 { try cursor.next() } else { try cursor.previous() }
    }
    return agreed(numbers)
  }

  static func byMultiGet(_ database: Database, _ group: Int) throws(SiltstoneError) -> Int? {
    agreed(try database.multiGet((0..<keysPerGroup).map { key(group, $0) }).map(number))
  }

  /// Looks at the groups again and again: batches are whole, and time does not run backwards.
  static func read(_ database: Database, _ crew: Crew) throws(SiltstoneError) {
    var last = [Int](repeating: 0, count: groups)
    var turn = 0
    while !crew.isStopped {
      turn += 1
      let group = turn % groups
      let seen = turn % 2 == 0 ? try byCursor(database, group) : try byMultiGet(database, group)
      guard let seen else { return crew.note("group \(group): a batch in parts, turn \(turn)") }
      guard seen >= last[group], try number(database.get(key(group, 3))) ?? 0 >= seen else {
        return crew.note("group \(group): \(seen) after \(last[group])")
      }
      last[group] = seen
    }
  }

  /// Keeps snapshots for a while, and finds each as it was, down to the key.
  static func keepSnapshots(_ database: Database, _ crew: Crew) throws(SiltstoneError) {
    var kept: [(snapshot: Snapshot, numbers: [Int])] = []
    while !crew.isStopped {
      let snapshot = try database.snapshot()
      var numbers: [Int] = []
      for group in 0..<groups {
        let values = try snapshot.multiGet((0..<keysPerGroup).map { key(group, $0) }).map(number)
        guard let seen = agreed(values) else { return crew.note("group \(group): a batch in parts in a snapshot") }
        numbers.append(seen)
      }
      kept.append((snapshot, numbers))
      if kept.count > 5 { kept.removeFirst().snapshot.close() }
      for (snapshot, numbers) in kept {
        for group in 0..<groups {
          guard try number(snapshot.get(key(group, 7))) == numbers[group] else {
            return crew.note("a snapshot has moved")
          }
        }
      }
    }
  }

  @Test(arguments: [Options.IOBackend.automatic, .plain])
  func readersSeeWholeBatchesInOrder(backend: Options.IOBackend) throws {
    let directory = TemporaryDirectory()
    let database = try Database.open(directory.path, options: Self.isolation(backend: backend))
    for group in 0..<Self.groups {
      try database.write { (batch) throws(SiltstoneError) in
        for index in 0..<Self.keysPerGroup { try batch.put(Self.key(group, index), "0 ") }
      }
    }
    let crew = Crew()
    for group in 0..<Self.groups {
      crew.start { (crew) throws(SiltstoneError) in try Self.write(database, group, crew) }
    }
    for _ in 0..<2 { crew.start { (crew) throws(SiltstoneError) in try Self.read(database, crew) } }
    crew.start { (crew) throws(SiltstoneError) in try Self.keepSnapshots(database, crew) }
    crew.start { (crew) throws(SiltstoneError) in
      while !crew.isStopped {
        try database.compact()
        _ = database.metrics
        usleep(30_000)
      }
    }
    for _ in 0..<120 where !crew.isStopped { usleep(10_000) }
    crew.stop()
    #expect(crew.wait(), "threads hang")
    #expect(crew.problems.isEmpty && crew.thrown.isEmpty, "\(crew.problems) \(crew.thrown)")
    #expect(database.metrics.flushes > 2 && database.metrics.compactions > 0)
    #expect(try database.verify().problems.isEmpty)
    try database.close()
  }

  /// Everybody is at work when it is closed: all end, with `.closed` and nothing else, and what was acknowledged stays.
  @Test(arguments: 0..<12)
  func closingUnderEverybody(round: Int) throws {
    let disk = CrashDisk()
    let engine = try Engine.open("", .small(), on: disk)
    let acknowledged = Mutex([Int](repeating: 0, count: 4))
    let crew = Crew()
    for writer in 0..<4 {
      crew.start { (_) throws(SiltstoneError) in
        var number = 0
        while true {
          number += 1
          let size = number % 50 == 49 ? 70_000 : 400
          try engine.put(
            "w\(writer)", "\(number) " + String(repeating: "v", count: size), writer == 3 ? .synced : .staged)
          acknowledged.withLock { $0[writer] = number }
        }
      }
    }
    crew.start { (_) throws(SiltstoneError) in while true { try engine.flush() } }
    crew.start { (_) throws(SiltstoneError) in while true { try engine.compact(.all) } }
    crew.start { (_) throws(SiltstoneError) in while true { try engine.waitForCompaction() } }
    crew.start { (_) throws(SiltstoneError) in while true { try engine.sync() } }
    crew.start { (_) throws(SiltstoneError) in
      while true { try engine.scan(.all, at: nil, reverse: true) { (_, _) throws(SiltstoneError) in true } }
    }
    usleep(UInt32(2_000 + round * 5_000))
    try engine.close()
    // Whoever comes next finds it closed in good order, even if the last writers have not noticed yet.
    let again = try Engine.open("", .small(), on: disk)
    let before = again.shared.reserved
    #expect(crew.wait(), "threads hang")
    #expect(crew.thrown.count == 9 && crew.thrown.allSatisfy { $0.code == .closed }, "\(crew.thrown)")
    #expect(again.shared.reserved == before, "a closed engine has written")
    for writer in 0..<4 {
      let number = try again.text("w\(writer)").flatMap { $0.split(separator: " ").first }.flatMap { Int($0) } ?? 0
      #expect(number >= acknowledged.withLock { $0[writer] })
    }
    #expect(try again.verify { _ in }.problems.isEmpty)
    try again.close()
  }

  /// A scan pins memtables, and its body may write more than all of them hold: neither may wait for the other.
  @Test func aScanWhoseBodyWrites() throws {
    let directory = TemporaryDirectory()
    let database = try Database.open(directory.path, options: .small())
    for number in 0..<50 { try database.put("a\(number)", "1") }
    let value = String(repeating: "v", count: 20_000)
    var count = 0
    try database.scan { (_, _) throws(SiltstoneError) in
      count += 1
      try database.put("b\(count)", value)
      return true
    }
    #expect(count == 50)
    // Held across everything else as well, one after the other.
    var snapshots: [Snapshot] = []
    for number in 0..<8 {
      var cursor = try database.makeCursor()
      try cursor.seekToFirst()
      snapshots.append(try database.snapshot())
      for index in 0..<12 { try database.put("c\(number)-\(index)", value) }
      try cursor.next()
      let isValid = cursor.isValid
      #expect(isValid)
    }
    for number in 1...50 { #expect(try database.get("b\(number)")?.count == 20_000) }
    try database.close()
  }

  /// Groups of synced writers share their syncs, and none of them misses its wake-up.
  @Test func syncedWritersDoNotOversleep() throws {
    let disk = CrashDisk()
    let engine = try Engine.open("", .small(), on: disk)
    let crew = Crew()
    for writer in 0..<6 {
      crew.start { (_) throws(SiltstoneError) in
        for number in 0..<300 { try engine.put("w\(writer)-\(number)", "v", .synced) }
      }
    }
    #expect(crew.wait() && crew.thrown.isEmpty, "\(crew.thrown)")
    let left = disk.crashed(.power(keep: { _, _, _ in 0 }, journal: { _ in 0 }))
    try engine.close()
    let again = try Engine.open("", .small(), on: left)
    for writer in 0..<6 {
      for number in 0..<300 { #expect(try again.text("w\(writer)-\(number)") == "v") }
    }
    try again.close()
  }
}
