import Testing

@testable import Siltstone

@Suite struct VisibleCursorTests {
  let directory = TemporaryDirectory()

  static func entry(_ key: String, _ sequence: LogPosition, _ value: String?) -> OwnedEntry {
    OwnedEntry(
      key: Array(key.utf8), sequence: sequence, kind: value == nil ? .delete : .put, value: Array((value ?? "").utf8))
  }

  /// a and c live, b deleted and put again, d deleted for good, e only ever a tombstone.
  static let small = [
    [entry("a", 10, "a1"), entry("b", 20, "b1"), entry("d", 30, "d1")],
    [entry("b", 40, nil), entry("c", 50, "c1"), entry("d", 60, nil), entry("e", 70, nil)],
    [entry("a", 80, "a2"), entry("b", 90, "b2")],
  ]

  func texts(
    at position: LogPosition, from lower: String? = nil, to upper: String? = nil, reverse: Bool = false
  ) throws -> [String] {
    let fixture = try MemtableView(Self.small, directory: directory)
    var cursor = VisibleCursor(
      fixture.view, at: position, fixture.values, lower: lower.map { Array($0.utf8) },
      upper: upper.map { Array($0.utf8) })
    var found: [String] = []
    if reverse { try cursor.seekToLast() } else { try cursor.seekToFirst() }
    while cursor.isValid {
      found.append(String(decoding: cursor.key.copied() + [61] + (try cursor.value().copied()), as: UTF8.self))
      if reverse { try cursor.previous() } else { try cursor.next() }
    }
    return reverse ? found.reversed() : found
  }

  @Test(arguments: [false, true])
  func everyMomentHasItsOwnSight(reverse: Bool) throws {
    #expect(try texts(at: 0, reverse: reverse).isEmpty)
    #expect(try texts(at: 10, reverse: reverse).isEmpty, "an entry at 10 is not below 10")
    #expect(try texts(at: 11, reverse: reverse) == ["a=a1"])
    #expect(try texts(at: 31, reverse: reverse) == ["a=a1", "b=b1", "d=d1"])
    #expect(try texts(at: 41, reverse: reverse) == ["a=a1", "d=d1"])
    #expect(try texts(at: 79, reverse: reverse) == ["a=a1", "c=c1"])
    #expect(try texts(at: 91, reverse: reverse) == ["a=a2", "b=b2", "c=c1"])
  }

  @Test(arguments: [false, true])
  func boundsHold(reverse: Bool) throws {
    #expect(try texts(at: 100, from: "b", reverse: reverse) == ["b=b2", "c=c1"])
    #expect(try texts(at: 100, to: "b", reverse: reverse) == ["a=a2"])
    #expect(try texts(at: 100, from: "aa", to: "c", reverse: reverse) == ["b=b2"])
    #expect(try texts(at: 100, from: "b", to: "b", reverse: reverse).isEmpty)
    #expect(try texts(at: 100, from: "c", to: "a", reverse: reverse).isEmpty)
    #expect(try texts(at: 100, from: "", to: "", reverse: reverse).isEmpty)
    #expect(try texts(at: 100, from: "", reverse: reverse).count == 3)
  }

  @Test func turningShowsTheNeighbours() throws {
    let fixture = try MemtableView(Self.small, directory: directory)
    var cursor = VisibleCursor(fixture.view, at: 100, fixture.values, lower: nil, upper: nil)
    func key() -> String { String(decoding: cursor.key.copied(), as: UTF8.self) }
    try cursor.seekToFirst()
    try cursor.next()
    #expect(key() == "b")
    try cursor.previous()
    #expect(key() == "a")
    try cursor.next()
    try cursor.next()
    #expect(key() == "c")
    try cursor.previous()
    try cursor.previous()
    try cursor.previous()
    #expect(cursor.isValid == false, "before the first")
    try cursor.seekToLast()
    #expect(key() == "c")
    try cursor.next()
    #expect(cursor.isValid == false, "d and e are gone")
  }

  @Test func seeksStayWithinTheBounds() throws {
    let fixture = try MemtableView(Self.small, directory: directory)
    var cursor = VisibleCursor(
      fixture.view, at: 100, fixture.values, lower: [UInt8(ascii: "b")], upper: [UInt8(ascii: "c")])
    for (key, forward, before) in [("", "b", nil), ("a", "b", nil), ("b", "b", nil), ("bb", nil, "b"), ("z", nil, "b")]
      as [(String, String?, String?)]
    {
      try Array(key.utf8).withView { (key) throws(SiltstoneError) in try cursor.seek(key) }
      #expect((cursor.isValid ? String(decoding: cursor.key.copied(), as: UTF8.self) : nil) == forward, "seek \(key)")
      try Array(key.utf8).withView { (key) throws(SiltstoneError) in try cursor.seekBefore(key) }
      #expect((cursor.isValid ? String(decoding: cursor.key.copied(), as: UTF8.self) : nil) == before, "before \(key)")
    }
  }

  @Test func anEmptyViewShowsNothing() throws {
    let fixture = try MemtableView([[]], directory: directory)
    var cursor = VisibleCursor(fixture.view, at: 100, fixture.values, lower: nil, upper: nil)
    #expect(cursor.isValid == false)
    try cursor.seekToFirst()
    #expect(cursor.isValid == false)
    try cursor.seekToLast()
    #expect(cursor.isValid == false)
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func randomWalksAgreeWithTheModel(seed: UInt64) throws {
    let fixture = try MemtableView(MemtableView.random(seed: seed), directory: directory)
    var random = SeededGenerator(seed: seed &+ 100)
    let end = try #require(fixture.entries.last?.last).sequence + 1
    for _ in 0..<20 {
      let position = LogPosition.random(in: 0...end, using: &random)
      let lower = Bool.random(using: &random) ? random.bytes(length: 0...2, alphabet: 97...100) : nil
      let upper = Bool.random(using: &random) ? random.bytes(length: 0...2, alphabet: 97...101) : nil
      let expected = fixture.visible(at: position, lower: lower, upper: upper)
      var cursor = VisibleCursor(fixture.view, at: position, fixture.values, lower: lower, upper: upper)
      var index = -1
      for step in 0..<200 {
        if cursor.isValid, Int.random(in: 0..<8, using: &random) > 0 {
          let forward = Bool.random(using: &random)
          if forward { try cursor.next() } else { try cursor.previous() }
          index += forward ? 1 : -1
        } else {
          let key = random.bytes(length: 0...3, alphabet: 97...101)
          let split = expected.firstIndex { !$0.key.lexicographicallyPrecedes(key) } ?? expected.count
          let forward = Bool.random(using: &random)
          try key.withView { (key) throws(SiltstoneError) in
            if forward { try cursor.seek(key) } else { try cursor.seekBefore(key) }
          }
          index = forward ? split : split - 1
        }
        let wanted = expected.indices.contains(index) ? expected[index] : nil
        try #require(cursor.isValid == (wanted != nil), "step \(step)")
        if let wanted {
          let value = try cursor.value().copied()
          try #require(cursor.key.copied() == wanted.key && value == wanted.value)
        }
      }
    }
  }
}
