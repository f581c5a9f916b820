import Testing

@testable import Siltstone

@Suite struct BlockTests {
  /// A sealed block's bytes.
  static func build(_ entries: [TableTestEntry], restartInterval: Int = BlockView.dataRestartInterval)
    -> [UInt8]
  {
    var builder = BlockBuilder(restartInterval: restartInterval, expectedBytes: 64)
    for entry in entries {
      let (key, value) = (TableTestBytes(entry.key), TableTestBytes(entry.value))
      builder.add(key.view, entry.trailer, value.view)
    }
    builder.seal()
    return builder.keyArea.copied() + builder.valueArea.copied() + builder.tailArea.copied()
  }

  static func entry(_ cursor: borrowing BlockCursor) -> TableTestEntry {
    TableTestEntry(
      cursor.key.copied(), cursor.trailer.sequence, cursor.trailer.isPut ? cursor.value.copied() : nil)
  }

  static func require(
    _ cursor: borrowing BlockCursor, _ expected: BlockCursor.Status,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let status = cursor.status
    try #require(status == expected, sourceLocation: sourceLocation)
  }

  static func expect(
    _ cursor: borrowing BlockCursor, _ expected: TableTestEntry,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let found = entry(cursor)
    #expect(found == expected, sourceLocation: sourceLocation)
  }

  static let shapes: [[TableTestEntry]] = [
    [TableTestEntry([1], 1, [])],
    makeTableEntries(16, seed: 1),
    makeTableEntries(17, seed: 2),
    makeTableEntries(400, seed: 3),
    // The sequences that compaction zeroes, and the largest there can be.
    (0..<100).map { TableTestEntry([0, UInt8($0)], 0, [UInt8($0)]) },
    (0..<100).map { TableTestEntry([9], KeyTrailer.maxSequence - UInt64($0), [UInt8($0)]) },
    [
      TableTestEntry([UInt8](repeating: 5, count: 64 << 10), 3, []),
      TableTestEntry([6], 1, [UInt8](repeating: 1, count: 70_000)),
    ],
  ]

  @Test(arguments: shapes, [1, 16])
  func holdsWhatWasAdded(_ entries: [TableTestEntry], _ restartInterval: Int) throws {
    let bytes = TableTestBytes(BlockTests.build(entries, restartInterval: restartInterval))
    let view = try #require(BlockView(bytes.view))
    #expect(view.entryCount == entries.count)
    #expect(view.restartCount == (entries.count + restartInterval - 1) / restartInterval)
    var cursor = BlockCursor()
    cursor.reset(to: view)
    cursor.seekToFirst()
    for entry in entries {
      try BlockTests.require(cursor, .valid)
      BlockTests.expect(cursor, entry)
      cursor.next()
    }
    try BlockTests.require(cursor, .pastEnd)
    cursor.seekToLast()
    for entry in entries.reversed() {
      try BlockTests.require(cursor, .valid)
      BlockTests.expect(cursor, entry)
      cursor.previous()
    }
    try BlockTests.require(cursor, .beforeStart)
  }

  @Test(arguments: shapes)
  func seeksToTheFirstAtOrAfter(_ entries: [TableTestEntry]) throws {
    let bytes = TableTestBytes(BlockTests.build(entries))
    let view = try #require(BlockView(bytes.view))
    var cursor = BlockCursor()
    cursor.reset(to: view)
    var targets = entries.map { ($0.key, $0.trailer) }
    for entry in entries {
      targets.append((entry.key, .newest))
      targets.append((entry.key, .oldest))
      targets.append((entry.key, KeyTrailer(rawValue: entry.trailer.rawValue - 1)))
      targets.append((entry.key + [0], .newest))
      targets.append((entry.key.dropLast(), .oldest))
    }
    for (key, trailer) in targets {
      let target = TableTestBytes(key)
      cursor.seek(target.view, trailer)
      let expected = entries.first { !$0.isBefore(key, trailer) }
      if let expected {
        try BlockTests.require(cursor, .valid)
        BlockTests.expect(cursor, expected)
      } else {
        try BlockTests.require(cursor, .pastEnd)
      }
    }
  }

  @Test func turnsAroundAnywhere() throws {
    let entries = makeTableEntries(100, seed: 4)
    let bytes = TableTestBytes(BlockTests.build(entries))
    var cursor = BlockCursor()
    cursor.reset(to: try #require(BlockView(bytes.view)))
    var random = SeededGenerator(seed: 5)
    cursor.seekToFirst()
    var place = 0
    for _ in 0..<5000 {
      if Bool.random(using: &random) {
        cursor.next()
        place += 1
      } else {
        cursor.previous()
        place -= 1
      }
      if place < 0 || place == entries.count {
        try BlockTests.require(cursor, (place < 0 ? .beforeStart : .pastEnd))
        place = Int.random(in: 0..<entries.count, using: &random)
        let target = TableTestBytes(entries[place].key)
        cursor.seek(target.view, entries[place].trailer)
      }
      try BlockTests.require(cursor, .valid)
      BlockTests.expect(cursor, entries[place])
    }
  }

  /// Without a checksum in front, any bytes at all may arrive: every answer is allowed, but no crash and no endless
  /// loop.
  @Test func survivesArbitraryDamage() {
    let entries = makeTableEntries(60, seed: 6, maxValueBytes: 30)
    let original = BlockTests.build(entries)
    var random = SeededGenerator(seed: 7)
    var corrupt = 0
    for _ in 0..<4000 {
      var damaged = original
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      let bytes = TableTestBytes(damaged)
      guard let view = BlockView(bytes.view) else {
        corrupt += 1
        continue
      }
      var cursor = BlockCursor()
      cursor.reset(to: view)
      corrupt += BlockTests.exercise(&cursor, entries) ? 1 : 0
    }
    #expect(corrupt > 100)
  }

  /// Goes everywhere; true if the cursor called the block corrupt at least once.
  static func exercise(_ cursor: inout BlockCursor, _ entries: [TableTestEntry]) -> Bool {
    var sawCorruption = false
    cursor.seekToFirst()
    var steps = 0
    while cursor.status == .valid, steps < 1000 {
      _ = entry(cursor)
      cursor.next()
      steps += 1
    }
    sawCorruption = cursor.status == .corrupt
    cursor.seekToLast()
    while cursor.status == .valid, steps < 2000 {
      _ = entry(cursor)
      cursor.previous()
      steps += 1
    }
    sawCorruption = sawCorruption || cursor.status == .corrupt
    for target in stride(from: 0, to: entries.count, by: 7) {
      let key = TableTestBytes(entries[target].key)
      cursor.seek(key.view, entries[target].trailer)
      if cursor.status == .valid { _ = entry(cursor) }
      if cursor.status == .corrupt { sawCorruption = true }
    }
    return sawCorruption
  }

  @Test func refusesTrailersThatMakeNoSense() {
    let original = BlockTests.build(makeTableEntries(20, seed: 8))
    for length in 0..<24 {
      #expect(BlockView(TableTestBytes(Array(original.prefix(length))).view) == nil)
    }
    for field in 1...4 {
      var damaged = original
      damaged[damaged.count - 4 * field + 3] = 0xFF
      #expect(BlockView(TableTestBytes(damaged).view) == nil)
    }
  }
}
