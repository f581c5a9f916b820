import Testing

@testable import Siltstone

@Suite struct VersionTests {
  let workshop: Workshop

  init() throws { workshop = try Workshop() }

  /// Entries of short keys, cut into tables between keys.
  private func run(
    _ count: Int, _ generator: inout SeededGenerator
  ) throws -> (entries: [OwnedEntry], tables: [TableMetadata]) {
    let entries = (0..<count).map { number in
      OwnedEntry(
        key: generator.bytes(length: 1...3, alphabet: 97...100), sequence: UInt64(number + 1),
        value: [UInt8(number & 255)])
    }.sorted()
    var tables: [TableMetadata] = []
    var part: [OwnedEntry] = []
    for entry in entries {
      if let last = part.last, last.key != entry.key, Int.random(in: 0..<4, using: &generator) == 0 {
        tables.append(try workshop.writeTable(part))
        part = []
      }
      part.append(entry)
    }
    if !part.isEmpty { tables.append(try workshop.writeTable(part)) }
    return (entries, tables)
  }

  @Test(arguments: [ReadMode.cached, ReadMode.sequential])
  func aRunIsWalkedAsOne(mode: ReadMode) throws {
    var generator = SeededGenerator(seed: 11)
    for size in [1, 20, 80] {
      let (entries, tables) = try run(size, &generator)
      let run = Run(id: 1, tables: try tables.map { try workshop.open($0) })
      var cursor = RunCursor(run, mode: mode)
      #expect(cursor.isValid == false)
      #expect(try cursor.drain() == entries)
      try cursor.expectWalks(like: entries, steps: 300, &generator)
    }
  }

  @Test func aRunFindsTheTableThatCoversAKey() throws {
    var generator = SeededGenerator(seed: 12)
    let (_, tables) = try run(60, &generator)
    #expect(tables.count > 5)
    let run = Run(id: 1, tables: try tables.map { try workshop.open($0) })
    var hits = 0
    for _ in 0..<500 {
      let key = generator.bytes(length: 0...4, alphabet: 96...101)
      let expected = tables.first { compareKeys($0.smallestKey, key) <= 0 && compareKeys(key, $0.largestKey) <= 0 }
      let found = key.withView { run.table(covering: $0) }
      #expect(found?.metadata.number == expected?.number)
      hits += expected == nil ? 0 : 1
    }
    #expect(hits > 50 && hits < 450)
  }

  @Test func keysWithEqualPrefixesAreToldApart() throws {
    let keys = ["prefix00a", "prefix00b", "prefix00bb", "prefix00c"].map { [UInt8]($0.utf8) }
    let tables = try keys.map { try workshop.writeTable([OwnedEntry(key: $0, sequence: 1)]) }
    let run = Run(id: 1, tables: try tables.map { try workshop.open($0) })
    for (key, table) in zip(keys, tables) {
      #expect(key.withView { run.table(covering: $0) }?.metadata == table)
    }
    #expect([UInt8]("prefix00ba".utf8).withView { run.table(covering: $0) } == nil)
    #expect([UInt8]("prefix00".utf8).withView { run.table(covering: $0) } == nil)
    #expect([UInt8]("z".utf8).withView { run.table(covering: $0) } == nil)
  }

  private func entry(_ key: Int) -> OwnedEntry { OwnedEntry(key: paperKey(key), sequence: 5) }

  private func fileExists(_ table: TableMetadata) throws -> Bool {
    try workshop.storage.exists(TableFile.name(table.number))
  }

  @Test func aFileGoesOnlyWhenNoVersionNamesIt() throws {
    let first = try workshop.writeTable([entry(1)])
    let second = try workshop.writeTable([entry(2)])
    var layout = TreeLayout()
    var edit = VersionEdit()
    edit.add(first, level: 0, run: 1)
    try layout.apply(edit)
    var old: Version? = try workshop.openVersion(layout)

    var add = VersionEdit()
    add.add(second, level: 0, run: 2)
    var middle: Version? = try workshop.apply(add, to: #require(old), opened: [workshop.open(second)])
    #expect(middle?.levels[0].runs[1] === old?.levels[0].runs[0], "an untouched run is shared")

    var replace = VersionEdit()
    replace.remove(first.number)
    replace.remove(second.number)
    let third = try workshop.writeTable([entry(1), entry(2)])
    replace.add(third, level: 1, run: 3)
    let new = try workshop.apply(replace, to: #require(middle), opened: [workshop.open(third)])
    try new.checkInvariants()
    #expect(new.table(third.number).metadata == third)

    #expect(try workshop.reap() == 0)
    middle = nil
    // The second table was named by no version that is left, the first one still is.
    #expect(try workshop.reap() == 1)
    #expect(try !fileExists(second))
    #expect(try fileExists(first))
    old = nil
    #expect(try workshop.reap() == 1)
    #expect(try !fileExists(first))
    #expect(try fileExists(third))
    #expect(workshop.reaper.condemnedCount == 0)
    withExtendedLifetime(new) {}
  }

  @Test func aMovedTableStays() throws {
    let table = try workshop.writeTable([entry(1)])
    var layout = TreeLayout()
    var edit = VersionEdit()
    edit.add(table, level: 0, run: 1)
    try layout.apply(edit)
    let old = try workshop.openVersion(layout)
    var move = VersionEdit()
    move.remove(table.number)
    move.add(table, level: 4, run: 9)
    let new = try workshop.apply(move, to: old)
    #expect(new.table(table.number) === old.table(table.number))
    #expect(new.levels.map(\.runs.count) == [0, 0, 0, 0, 1])
    #expect(try workshop.reap() == 0)
    #expect(workshop.reaper.condemnedCount == 0)
  }

  @Test func aFileThatCannotBeRemovedIsTriedAgain() throws {
    let holder = FaultHolder()
    let workshop = try Workshop { holder.wrap($0) }
    let table = try workshop.writeTable([entry(1)])
    var layout = TreeLayout()
    var edit = VersionEdit()
    edit.add(table, level: 0, run: 1)
    try layout.apply(edit)
    var version: Version? = try workshop.openVersion(layout)
    var removal = VersionEdit()
    removal.remove(table.number)
    let empty = try workshop.apply(removal, to: #require(version))
    version = nil
    holder.storage.inject(
      .init(call: .remove, nameSuffix: ".sst", after: 0, isSticky: false, error: FaultStorage.ioError("x")))
    #expect(throws: SiltstoneError.self) { try workshop.reap() }
    #expect(try workshop.storage.exists(TableFile.name(table.number)))
    #expect(try workshop.reap() == 1)
    #expect(empty.entryCount == 0)
  }

  @Test func aMissingTableIsNamed() throws {
    let table = try workshop.writeTable([entry(1)])
    var layout = TreeLayout()
    var edit = VersionEdit()
    edit.add(table, level: 0, run: 1)
    try layout.apply(edit)
    try workshop.storage.remove(TableFile.name(table.number))
    let error = #expect(throws: SiltstoneError.self) { try workshop.openVersion(layout) }
    #expect(error?.code == .missingFile)
    #expect(error?.file == TableFile.name(table.number))
  }
}

/// Keeps hold of the faulty storage that a workshop works on.
final class FaultHolder {
  private(set) var storage: FaultStorage!

  func wrap(_ below: any Storage) -> any Storage {
    let faulty = FaultStorage(below)
    storage = faulty
    return faulty
  }
}
