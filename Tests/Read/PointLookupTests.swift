import Testing

@testable import Siltstone

@Suite struct PointLookupTests {
  let directory = TemporaryDirectory()

  func lookUp(_ view: ReadView, _ key: [UInt8], at position: LogPosition) throws -> [UInt8]? {
    var result = LookupResult()
    var observer = Unobserved()
    return try key.withView { (key) throws(SiltstoneError) in
      try view.lookUp(key, at: position, into: &result, &observer)
      return result.outcome == .found ? result.value.copied() : nil
    }
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func everyKeyAtEveryMomentAgreesWithTheModel(seed: UInt64) throws {
    let fixture = try MemtableView(MemtableView.random(seed: seed), directory: directory)
    let keys = Set(fixture.entries.joined().map(\.key))
    let end = try #require(fixture.entries.last?.last).sequence + 1
    var found = 0
    for position in stride(from: 0, through: end, by: 37) {
      let expected = Dictionary(uniqueKeysWithValues: fixture.visible(at: position).map { ($0.key, $0.value) })
      for key in keys {
        let value = try lookUp(fixture.view, key, at: position)
        #expect(value == expected[key], "at \(position)")
        if value != nil { found += 1 }
      }
      #expect(try lookUp(fixture.view, [1, 2, 3], at: position) == nil)
    }
    #expect(found > 100)
  }

  @Test func manyLookupsAtOnceAgreeWithSingleOnes() throws {
    let fixture = try MemtableView(MemtableView.random(seed: 9), directory: directory)
    let keys =
      Array(Set(fixture.entries.joined().map(\.key))).sorted { $0.lexicographicallyPrecedes($1) } + [[0], [255]]
    let position: LogPosition = 2500
    var bytes = ByteBuffer()
    for key in keys { key.withView { bytes.append($0) } }
    var start = 0
    let views = keys.map { key in
      defer { start += key.count }
      return bytes.view.dropFirst(start).prefix(key.count)
    }
    var values: [[UInt8]?] = Array(repeating: nil, count: keys.count)
    var looked = 0
    var lookup = MultiLookup(fixture.view, at: position, PlainQueue(depth: 4), fixture.values)
    try lookup.run(views) { index, value in
      values[index] = value.copied()
    } _: { _ in
      looked += 1
    }
    #expect(looked == keys.count && lookup.blocksRead == 0)
    for (index, key) in keys.enumerated() { #expect(values[index] == (try lookUp(fixture.view, key, at: position))) }
    withExtendedLifetime(bytes) {}  // the views are of these bytes
  }

  func trace(_ key: String, at position: LogPosition) throws -> ReadTrace {
    let fixture = try MemtableView(VisibleCursorTests.small, directory: directory)
    var result = LookupResult()
    var observer = TraceObserver()
    return try Array(key.utf8).withView { (key) throws(SiltstoneError) in
      try fixture.view.lookUp(key, at: position, into: &result, &observer)
      return observer.finish(result)
    }
  }

  @Test func theTraceTellsEveryStepFromNewestToOldest() throws {
    let newest = try trace("b", at: 100)
    #expect(newest.steps.map(\.outcome) == ["found"] && newest.value == Array("b2".utf8))
    #expect(newest.steps.first?.structure.hasPrefix("active memtable") == true)
    let older = try trace("c", at: 100)
    #expect(older.steps.map(\.outcome) == ["not here", "found"] && older.value == Array("c1".utf8))
    #expect(older.steps.last?.structure.hasPrefix("sealed memtable") == true)
    let deleted = try trace("d", at: 100)
    #expect(deleted.steps.map(\.outcome) == ["not here", "tombstone"] && deleted.value == nil)
    #expect(deleted.reason.contains("tombstone"))
    let absent = try trace("x", at: 100)
    #expect(absent.steps.map(\.outcome) == ["not here", "not here", "not here"] && absent.value == nil)
    let early = try trace("d", at: 31)
    #expect(early.steps.map(\.outcome) == ["not here", "not here", "found"] && early.value == Array("d1".utf8))
    #expect(early.description.split(separator: "\n").count == 4)
  }

  /// A view and a position that were read one after the other, with a change between them, need not fit.
  @Test func aViewThatChangedMeanwhileIsLoadedAgain() throws {
    let fixture = try SharedFixture()
    _ = try fixture.first.arenas.activate(firstPosition: 0, commonPrefix: [])
    let current = try fixture.first.makeView()
    let old = current.peek()
    var asked = 0
    let (view, position) = try current.load {
      asked += 1
      if asked == 1 { _ = try? fixture.first.arenas.activate(firstPosition: 5, commonPrefix: []) }
      return LogPosition(asked)
    }
    #expect(position == 2 && asked == 2)
    #expect(view.active.serial == 2 && view.active.firstPosition == 5 && view.sealed.map(\.serial) == [1])
    #expect(view.sealed[0] === old.active)
    try fixture.close()
  }
}
