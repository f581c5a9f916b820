import Testing

@testable import Siltstone

@Suite struct MergingCursorTests {
  /// `count` entries with distinct internal keys, sorted.
  static func entries(
    _ count: Int, prefix: [UInt8] = [], _ generator: inout SeededGenerator
  ) -> [OwnedEntry] {
    let alphabets: [ClosedRange<UInt8>] = [97...99, 0...255, 0...1, 254...255]
    let alphabet = alphabets.randomElement(using: &generator)!
    let entries = (0..<count).map { number in
      OwnedEntry(
        key: prefix + generator.bytes(length: 0...12, alphabet: alphabet), sequence: UInt64(number + 1),
        kind: Bool.random(using: &generator) ? .put : .delete, value: [UInt8(number & 255)])
    }
    return entries.sorted()
  }

  static func merge(
    _ entries: [OwnedEntry], into count: Int, sharedPrefixBytes: Int = 0, _ generator: inout SeededGenerator
  ) -> MergingCursor<ArrayCursor> {
    var parts = [[OwnedEntry]](repeating: [], count: count)
    for entry in entries where count > 0 {
      // Some sources get nearly everything, some nothing.
      let pick = min(Int.random(in: 0..<count, using: &generator), Int.random(in: 0..<count, using: &generator))
      parts[pick].append(entry)
    }
    let sources = UnsafeMutablePointer<ArrayCursor>.allocate(capacity: max(count, 1))
    for (index, part) in parts.enumerated() { (sources + index).initialize(to: ArrayCursor(part)) }
    return MergingCursor(taking: sources, count: count, sharedPrefixBytes: sharedPrefixBytes)
  }

  @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 13, 16])
  func mergesLikeASort(sources: Int) throws {
    var generator = SeededGenerator(seed: UInt64(sources))
    for size in [0, 1, 2, 40, 150] {
      let entries = Self.entries(size, &generator)
      var cursor = Self.merge(entries, into: sources, &generator)
      #expect(cursor.isValid == false)
      #expect(try cursor.drain() == entries)
      #expect(cursor.isValid == false)
    }
  }

  @Test(arguments: [1, 2, 3, 6, 9])
  func walksBothWaysWithTurns(sources: Int) throws {
    var generator = SeededGenerator(seed: 100 + UInt64(sources))
    for size in [1, 3, 60] {
      let entries = Self.entries(size, &generator)
      var cursor = Self.merge(entries, into: sources, &generator)
      try cursor.expectWalks(like: entries, steps: 400, &generator)
    }
  }

  @Test func aSharedPrefixIsOnlyAShortcut() throws {
    var generator = SeededGenerator(seed: 5)
    let prefix = [UInt8]("a prefix in common".utf8)
    let entries = Self.entries(200, prefix: prefix, &generator)
    for shared in [0, 1, 8, 9, prefix.count] {
      var cursor = Self.merge(entries, into: 5, sharedPrefixBytes: shared, &generator)
      #expect(try cursor.drain() == entries)
      try cursor.expectWalks(like: entries, steps: 300, &generator)
    }
  }

  @Test func mergingNothingIsNotValid() throws {
    var generator = SeededGenerator(seed: 6)
    var cursor = Self.merge([], into: 0, &generator)
    try cursor.seekToFirst()
    #expect(cursor.isValid == false)
    try cursor.seekToLast()
    #expect(cursor.isValid == false)
  }

  @Test func afterAnErrorTheCursorIsNotValidAndCanBeSoughtAgain() throws {
    var generator = SeededGenerator(seed: 7)
    let entries = Self.entries(30, &generator)
    let sources = UnsafeMutablePointer<ArrayCursor>.allocate(capacity: 2)
    sources.initialize(to: ArrayCursor(entries))
    (sources + 1).initialize(to: ArrayCursor([]))
    sources.pointee.movesLeft = 5
    var cursor = MergingCursor(taking: sources, count: 2)
    try cursor.seekToFirst()
    for _ in 0..<4 { try cursor.next() }
    #expect(throws: SiltstoneError.self) { try cursor.next() }
    #expect(cursor.isValid == false)
    sources.pointee.movesLeft = .max
    #expect(try cursor.drain() == entries)
  }
}
