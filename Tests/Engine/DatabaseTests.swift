import Testing

@testable import Siltstone

/// The key that a cursor stands on.
func current(_ cursor: borrowing Cursor) -> [UInt8]? { cursor.isValid ? ByteView(cursor.key).copied() : nil }

@Suite struct DatabaseTests {
  @Test(arguments: [Options.IOBackend.automatic, .plain])
  func putsGetsDeletesAndReopens(backend: Options.IOBackend) throws {
    let directory = TemporaryDirectory()
    var options = Options.small(backend: backend)
    options.durability = .synced
    var database = try Database.open(directory.path, options: options)
    try database.put("a", "1")
    try database.put("b", "2")
    try database.put("a", "3")
    try database.delete("b")
    try database.delete("never there")
    for _ in 0..<2 {
      #expect(try database.get("a") == Array("3".utf8))
      #expect(try database.get("b") == nil)
      #expect(try database.get("c") == nil)
      #expect(try database.multiGet(["b", "a", "c"]) == [nil, Array("3".utf8), nil])
      try database.close()
      database = try Database.open(directory.path, options: options)
    }
    #expect(database.metrics.usesDirectIO == (backend == .automatic))
    try database.close()
    #expect(throws: SiltstoneError.self) { try database.get("a") }
  }

  @Test func aBatchIsAllOrNothingAndItsLastWordCounts() throws {
    let directory = TemporaryDirectory()
    let database = try Database.open(directory.path, options: .small())
    try database.write { (batch) throws(SiltstoneError) in
      try batch.put("x", "1")
      try batch.put("x", "2")
      try batch.delete("y")
      try batch.put("y", "3")
      try batch.put("z", "4")
      try batch.delete("z")
    }
    #expect(try database.get("x") == Array("2".utf8))
    #expect(try database.get("y") == Array("3".utf8))
    #expect(try database.get("z") == nil)
    #expect(throws: SiltstoneError.self) {
      try database.write { (batch) throws(SiltstoneError) in
        try batch.put("w", "5")
        try batch.put("", "empty keys are refused")
      }
    }
    #expect(try database.get("w") == nil)
    try database.close()
  }

  @Test func limitsAreEnforcedAndReachable() throws {
    let directory = TemporaryDirectory()
    let database = try Database.open(directory.path, options: .small())
    let longestKey = [UInt8](repeating: 7, count: 64 << 10)
    try database.put(longestKey, [UInt8](repeating: 1, count: 10))
    #expect(try database.get(longestKey)?.count == 10)
    for (key, value) in [([], [1]), (longestKey + [0], [1])] as [([UInt8], [UInt8])] {
      #expect { try database.put(key, value) } throws: { ($0 as? SiltstoneError)?.code == .invalidArgument }
    }
    let huge = [UInt8](repeating: 1, count: (256 << 20) + 1)
    #expect { try database.put([1], huge) } throws: { ($0 as? SiltstoneError)?.code == .invalidArgument }
    try database.close()
  }

  @Test func aValueLargerThanRingAndMemtablePassesThrough() throws {
    let directory = TemporaryDirectory()
    var random = SeededGenerator(seed: 11)
    let values = (1...4).map { random.bytes(length: ($0 * 300_000)...($0 * 300_000)) }
    var database = try Database.open(directory.path, options: .small())
    for (index, value) in values.enumerated() { try database.put([UInt8(index)], value) }
    for round in 0..<3 {
      for (index, value) in values.enumerated() { #expect(try database.get([UInt8(index)]) == value) }
      if round == 1 { try database.compact() }
      try database.close()
      database = try Database.open(directory.path, options: .small())
    }
    try database.close()
  }

  @Test func aSnapshotStandsStill() throws {
    let directory = TemporaryDirectory()
    let database = try Database.open(directory.path, options: .small())
    for number in 0..<500 { try database.put("key\(number)", "old\(number)") }
    let snapshot = try database.snapshot()
    for number in 0..<500 {
      if number % 3 == 0 { try database.delete("key\(number)") } else { try database.put("key\(number)", "new") }
    }
    try database.put("later", "x")
    for round in 0..<3 {
      for number in 0..<500 { #expect(try snapshot.get("key\(number)") == Array("old\(number)".utf8)) }
      #expect(try snapshot.get("later") == nil)
      var count = 0
      try snapshot.scan { (_, _) throws(SiltstoneError) in
        count += 1
        return true
      }
      #expect(count == 500)
      if round == 0 { try database.flush() }
      if round == 1 { try database.compact() }
    }
    snapshot.close()
    #expect(throws: SiltstoneError.self) { try snapshot.get("key1") }
    try database.compact()
    #expect(try database.get("key3") == nil)
    #expect(try database.get("key4") == Array("new".utf8))
    #expect(database.metrics.levels.reduce(0) { $0 + $1.tombstones } == 0)
    try database.close()
  }

  @Test func cursorsRespectBoundsInBothDirections() throws {
    let directory = TemporaryDirectory()
    let database = try Database.open(directory.path, options: .small())
    let keys = (0..<100).map { Array("k".utf8) + [UInt8($0 / 10), UInt8($0 % 10)] }
    for key in keys.shuffled() { try database.put(key, key) }
    try database.flush()
    for key in keys where key[2] == 5 { try database.delete(key) }
    let live = keys.filter { $0[2] != 5 }
    func collect(_ range: KeyRange, reverse: Bool) throws -> [[UInt8]] {
      var seen: [[UInt8]] = []
      try database.scan(range, reverse: reverse) { (key, _) throws(SiltstoneError) in
        seen.append(ByteView(key).copied())
        return true
      }
      return seen
    }
    let prefix = Array("k".utf8) + [3]
    for reverse in [false, true] {
      let order: ([[UInt8]]) -> [[UInt8]] = { reverse ? $0.reversed() : $0 }
      #expect(try collect(.all, reverse: reverse) == order(live))
      #expect(try collect(.prefix(prefix), reverse: reverse) == order(live.filter { $0[1] == 3 }))
      let range = KeyRange(from: keys[15], to: keys[25])
      #expect(
        try collect(range, reverse: reverse)
          == order(live.filter { $0[1] == 1 && $0[2] >= 5 || $0[1] == 2 && $0[2] < 5 }))
    }
    var cursor = try database.makeCursor(.prefix(prefix))
    try cursor.seek("k")
    #expect(current(cursor) == keys[30])
    try cursor.next()
    try cursor.previous()
    #expect(current(cursor) == keys[30])
    try cursor.previous()
    #expect(current(cursor) == nil)
    try cursor.seekBefore("z")
    #expect(current(cursor) == keys[39])
    try database.close()
  }

  @Test func aSecondOpeningIsRefusedAndHarmsNothing() throws {
    let directory = TemporaryDirectory()
    var exclusive = Options.small()
    exclusive.sharing = .exclusive
    for (first, second) in [(exclusive, exclusive), (exclusive, .small()), (.small(), exclusive)] {
      let database = try Database.open(directory.path, options: first)
      try database.put("a", "1")
      #expect { try Database.open(directory.path, options: second) } throws: {
        ($0 as? SiltstoneError)?.code == .alreadyOpen
      }
      try database.close()
    }
    let database = try Database.open(directory.path, options: exclusive)
    try database.put("b", "2")
    try database.close()
    let again = try Database.open(directory.path, options: .small())
    #expect(try again.get("a") != nil && again.get("b") != nil)
    try again.close()
  }

  @Test func whatIsNoDatabaseIsLeftAlone() throws {
    let directory = TemporaryDirectory()
    var options = Options.small()
    options.createIfMissing = false
    #expect { try Database.open(directory.path, options: options) } throws: {
      ($0 as? SiltstoneError)?.code == .notADatabase
    }
    let storage = try DiskStorage(path: directory.path, create: false)
    #expect(try storage.list().isEmpty)
    _ = try storage.open("holiday.jpg", .createBuffered)
    #expect { try Database.open(directory.path, options: .small()) } throws: {
      ($0 as? SiltstoneError)?.code == .notADatabase
    }
    #expect(try storage.list() == ["holiday.jpg"])
  }

  @Test func aTraceTellsWhatWasProbed() throws {
    let directory = TemporaryDirectory()
    let database = try Database.open(directory.path, options: .small())
    try database.put("old", "1")
    try database.flush()
    try database.put("new", "2")
    let new = try database.trace("new")
    #expect(new.steps.count == 1 && new.value == Array("2".utf8))
    let old = try database.trace("old")
    #expect(old.steps.count == 2 && old.value == Array("1".utf8))
    #expect(old.steps[1].structure.contains("level") && old.steps[1].outcome == "found")
    let absent = try database.trace("nowhere")
    #expect(absent.value == nil && absent.reason.contains("absent"))
    try database.close()
  }

  @Test func asyncCallsDoTheSame() async throws {
    let directory = TemporaryDirectory()
    let database = try Database.open(directory.path, options: .small())
    await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          for number in 0..<50 { try await database.put("\(task)/\(number)", "\(number)", durability: .synced) }
        }
      }
    }
    try await database.flush()
    for task in 0..<8 { #expect(try await database.get("\(task)/49") == Array("49".utf8)) }
    #expect(database.metrics.batchesWritten == 400 && database.metrics.logSyncs > 0)
    try await database.close()
  }
}
