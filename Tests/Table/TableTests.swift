import Testing

@testable import Siltstone

@Suite struct TableTests {
  /// Small blocks, so that a few thousand entries make many.
  static func settings(_ compression: Compression = .none, blockSizeBytes: Int = 1024) -> TableSettings {
    TableSettings(blockSizeBytes: blockSizeBytes, compression: compression, filterBitsPerKey: 10)
  }

  static func open(
    _ entries: [TableTestEntry], _ settings: TableSettings = settings(), cacheBytes: Int = 4 << 20
  ) throws -> Table {
    let storage = TableTestStorage()
    let metadata = try buildTable(storage, entries, settings: settings)
    #expect(storage[TableFile.name(7)].count == Int(metadata.sizeBytes))
    return try Table(storage: storage, metadata: metadata, cache: BlockCache(capacityBytes: cacheBytes))
  }

  @Test(arguments: Compression.allCases, [0, 4 << 20])
  func walksBothWays(_ compression: Compression, _ cacheBytes: Int) throws {
    let entries = makeTableEntries(2000, seed: 21)
    let table = try TableTests.open(entries, TableTests.settings(compression), cacheBytes: cacheBytes)
    #expect(table.properties.dataBlockCount > 100)
    for mode in [ReadMode.cached, .sequential] {
      var cursor = table.makeCursor(mode)
      cursor.expect(nil)
      try cursor.expectForward(entries)
      try cursor.expectBackward(entries.reversed())
      try cursor.expectForward(entries)
    }
    try table.verify()
  }

  @Test(arguments: [ReadMode.cached, .sequential])
  func seeksEverywhere(_ mode: ReadMode) throws {
    let entries = makeTableEntries(1200, seed: 22)
    let table = try TableTests.open(entries, TableTests.settings(.lz4))
    var cursor = table.makeCursor(mode)
    var random = SeededGenerator(seed: 23)
    for _ in 0..<1500 {
      let entry = entries[Int.random(in: 0..<entries.count, using: &random)]
      let keys: [[UInt8]] = [entry.key, entry.key + [0], Array(entry.key.dropLast()), [], [255]]
      let key = keys[Int.random(in: 0..<keys.count, using: &random)]
      let trailer = [entry.trailer, .newest, .oldest].randomElement(using: &random) ?? .newest
      let split = entries.firstIndex { !$0.isBefore(key, trailer) } ?? entries.count
      try cursor.seek(key, trailer)
      check(cursor, entries, split)
      try cursor.seekBefore(key, trailer)
      check(cursor, entries, split - 1)
      // A few steps from there, either way.
      var place = split - 1
      while cursor.isValid, Int.random(in: 0..<4, using: &random) != 0 {
        if Bool.random(using: &random) {
          try cursor.next()
          place += 1
        } else {
          try cursor.previous()
          place -= 1
        }
        check(cursor, entries, place)
      }
    }
  }

  func check(_ cursor: borrowing TableCursor, _ entries: [TableTestEntry], _ place: Int) {
    cursor.expect(entries.indices.contains(place) ? entries[place] : nil)
  }

  @Test(arguments: [0.0, 10.0])
  func getsWhatASnapshotSees(_ filterBitsPerKey: Double) throws {
    let entries = makeTableEntries(1500, seed: 24)
    var settings = TableTests.settings(.zstd)
    settings.filterBitsPerKey = filterBitsPerKey
    let table = try TableTests.open(entries, settings)
    var outcomes = (found: 0, deleted: 0, notFound: 0)
    for entry in entries {
      let sequence = entry.trailer.sequence
      for snapshot in [0, sequence, sequence + 1, KeyTrailer.maxSequence] {
        let found = try table.found(entry.key, snapshot: snapshot)
        #expect(found == expectedFound(entries, entry.key, snapshot: snapshot))
        switch found {
        case .value: outcomes.found += 1
        case .deleted: outcomes.deleted += 1
        case .notFound: outcomes.notFound += 1
        }
      }
      #expect(try table.found(entry.key + [200]) == .notFound)
    }
    #expect(outcomes.found > 1000 && outcomes.deleted > 100 && outcomes.notFound > 1000)
  }

  @Test func countsItsProbes() throws {
    let entries = (0..<2000).map { TableTestEntry(FilterTests.key($0 * 2).view.copied(), 5, [1, 2, 3]) }
    let table = try TableTests.open(entries)
    var result = LookupResult()
    let present = FilterTests.key(1000)
    try table.get(present.view, hash: KeyHash.of(present.view), snapshot: 6, into: &result)
    #expect(describe(result) == "found [1, 2, 3] @ 5, 1 probes, 0 negative, 3 read, 0 cached")
    result.reset()
    #expect(describe(result) == "notFound, 0 probes, 0 negative, 0 read, 0 cached")
    try table.get(present.view, hash: KeyHash.of(present.view), snapshot: 6, into: &result)
    #expect(describe(result) == "found [1, 2, 3] @ 5, 1 probes, 0 negative, 0 read, 3 cached")
    result.reset()
    for number in 0..<1000 {
      let absent = FilterTests.key(number * 2 + 1)
      try table.get(absent.view, hash: KeyHash.of(absent.view), snapshot: 6, into: &result)
      let outcome = result.outcome
      #expect(outcome == .notFound)
    }
    let (probes, negatives) = (result.filterProbes, result.filterNegatives)
    #expect(probes == 1000)
    #expect(negatives > 950)
  }

  func describe(_ result: borrowing LookupResult) -> String {
    let found = result.outcome == .found ? " \(result.value.copied()) @ \(result.trailer.sequence)" : ""
    return "\(result.outcome)\(found), \(result.filterProbes) probes, \(result.filterNegatives) negative, "
      + "\(result.blocksRead) read, \(result.cacheHits) cached"
  }

  /// One user key fills blocks, index partitions and filter partitions.
  @Test func findsEveryVersionOfAKeyThatSpansPartitions() throws {
    let long = [UInt8](repeating: 8, count: 200)
    let versions = (0..<2000).map { TableTestEntry(long, UInt64(5000 - 2 * $0), [UInt8($0 & 255)]) }
    let entries =
      [TableTestEntry([1], 9, [1])] + versions + [
        TableTestEntry(long + [0], 3, [2]), TableTestEntry([9], 4, nil),
      ]
    let table = try TableTests.open(entries, TableTests.settings(blockSizeBytes: 256))
    #expect(table.properties.partitionCount > 1)
    for version in versions {
      let sequence = version.trailer.sequence
      #expect(try table.found(long, snapshot: sequence + 1) == .value(version.value))
      #expect(try table.found(long, snapshot: sequence + 2) == .value(version.value))
    }
    #expect(try table.found(long, snapshot: 1002) == .notFound)
    #expect(try table.found(long + [0]) == .value([2]))
    #expect(try table.found([9]) == .deleted)
    try table.verify()
  }

  @Test func holdsTheLargestKeysAndALargeValue() throws {
    var random = SeededGenerator(seed: 25)
    let big = random.bytes(5 << 20)
    let longest = [UInt8](repeating: 3, count: Limits.maxKeyBytes)
    let nearlyLongest = [UInt8](repeating: 3, count: Limits.maxKeyBytes - 1)
    let entries = [
      TableTestEntry([1], 1, [1]), TableTestEntry([2], 2, big), TableTestEntry([2, 0], 3, []),
      TableTestEntry(nearlyLongest, 4, [4]), TableTestEntry(longest, 5, random.bytes(300)),
      TableTestEntry(Array(longest.dropLast()) + [4], 6, [6]),
    ]
    for compression in [Compression.none, .zstd] {
      let table = try TableTests.open(entries, TableTests.settings(compression), cacheBytes: 1 << 20)
      for mode in [ReadMode.cached, .sequential] {
        var cursor = table.makeCursor(mode)
        try cursor.expectForward(entries)
        try cursor.expectBackward(entries.reversed())
      }
      #expect(try table.found([2]) == .value(big))
      #expect(try table.found(longest) == .value(entries[4].value))
      #expect(table.cache.usageBytes <= 1 << 20)
      try table.verify()
    }
  }

  /// Enough for several partitions and for blocks that span the chunks of a sequential read.
  @Test func readsLargerTables() throws {
    var random = SeededGenerator(seed: 26)
    let entries = (0..<40_000).map {
      TableTestEntry(FilterTests.key($0 * 3).view.copied(), UInt64($0 + 1), random.bytes(20, below: 200))
    }
    let table = try TableTests.open(entries, TableSettings(compression: .lz4))
    #expect(table.properties.partitionCount > 1)
    var cursor = table.makeCursor(.sequential)
    try cursor.expectForward(entries)
    #expect(table.cache.usageBytes == 0)
    // A long scan through the cache reads ahead, and still leaves its blocks there.
    var cached = table.makeCursor(.cached)
    try cached.expectForward(entries)
    #expect(table.cache.statistics.data.inserts == table.properties.dataBlockCount)
    try cached.expectForward(entries)
    #expect(table.cache.statistics.data.misses == table.properties.dataBlockCount)
    try cursor.seek(entries[30_000].key, .newest)
    cursor.expect(entries[30_000])
    try cursor.seek(entries[100].key, .newest)
    cursor.expect(entries[100])
    for place in stride(from: 0, to: entries.count, by: 501) {
      #expect(try table.found(entries[place].key) == .value(entries[place].value))
    }
    try table.verify()
  }

  @Test func opensByNameAloneAndDescribesItself() throws {
    let storage = TableTestStorage()
    let entries = makeTableEntries(200, seed: 27)
    let metadata = try buildTable(
      storage, entries, number: 123_456_789, settings: TableTests.settings(.snappy))
    let name = TableFile.name(123_456_789)
    #expect(name == "123456789.sst" && TableFile.name(7) == "000007.sst")
    #expect(TableFile.number(name) == 123_456_789 && TableFile.number("000007.sst") == 7)
    #expect(TableFile.number("7.sst") == nil && TableFile.number("000007.log") == nil)
    let table = try Table.open(storage: storage, name: name, cache: BlockCache(capacityBytes: 1 << 20))
    #expect(table.metadata == metadata)
    var lines = 0
    try table.dump({ _ in lines += 1 }, includeEntries: false)
    var linesWithEntries = 0
    try table.dump({ _ in linesWithEntries += 1 }, includeEntries: true)
    #expect(lines > Int(table.properties.dataBlockCount))
    #expect(linesWithEntries == lines + entries.count)
  }

  @Test func abandonLeavesNothing() throws {
    let storage = TableTestStorage()
    var writer = try TableWriter(storage: storage, number: 1, settings: TableSettings())
    let value = TableTestBytes([UInt8](repeating: 1, count: 1 << 20))
    try writer.add(FilterTests.key(1).view, KeyTrailer(1, .put), value.view)
    try writer.add(FilterTests.key(2).view, KeyTrailer(1, .put), value.view)
    let sizeSoFar = writer.sizeBytesSoFar
    #expect(sizeSoFar > 2 << 20)
    writer.abandon()
    #expect(try storage.list().isEmpty)
  }

  @Test func separatorsAreShortAndBetween() {
    var random = SeededGenerator(seed: 28)
    func separator(_ last: [UInt8], _ next: [UInt8]) -> [UInt8] {
      let (left, right) = (TableTestBytes(last), TableTestBytes(next))
      return IndexBuilder.separator(left.view, right.view).copied()
    }
    #expect(separator(Array("apple".utf8), Array("banana".utf8)) == Array("b".utf8))
    #expect(separator(Array("apple".utf8), Array("b".utf8)) == Array("apple".utf8))
    #expect(separator(Array("app".utf8), Array("apple".utf8)) == Array("app".utf8))
    for _ in 0..<2000 {
      let pair = [random.bytes(5, below: 3), random.bytes(4, below: 3)].sorted {
        $0.lexicographicallyPrecedes($1)
      }
      guard pair[0] != pair[1] else { continue }
      let between = separator(pair[0], pair[1])
      #expect(!between.lexicographicallyPrecedes(pair[0]))
      #expect(between.lexicographicallyPrecedes(pair[1]))
      #expect(between.count <= pair[0].count)
    }
  }
}
