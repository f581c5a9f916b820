import Testing

@testable import Siltstone

/// Tables on a real disk, and on one that fails.
@Suite struct TableDiskTests {
  @Test(arguments: [DiskStorage.Backend.automatic, .plain])
  func writesAndReadsOnDisk(_ backend: DiskStorage.Backend) throws {
    let directory = TemporaryDirectory()
    let storage = try DiskStorage(path: directory.path, create: false, backend: backend)
    var random = SeededGenerator(seed: 51)
    var entries = (0..<12_000).map {
      TableTestEntry(FilterTests.key($0 * 5).view.copied(), UInt64($0 + 1), random.bytes(100, below: 50))
    }
    entries.insert(TableTestEntry(entries[7000].key + [1], 9, random.bytes(1 << 20)), at: 7001)
    let metadata = try buildTable(storage, entries, settings: TableSettings(compression: .lz4))
    let table = try Table(storage: storage, metadata: metadata, cache: BlockCache(capacityBytes: 1 << 20))
    for mode in [ReadMode.cached, .sequential] {
      var cursor = table.makeCursor(mode)
      try cursor.expectForward(entries)
    }
    for place in stride(from: 0, to: entries.count, by: 97) + [7001] {
      #expect(try table.found(entries[place].key) == .value(entries[place].value))
      #expect(try table.found(entries[place].key + [0]) == .notFound)
    }
    #expect(table.cache.usageBytes <= 1 << 20)
    try table.verify()
    #expect(try storage.list() == [TableFile.name(7)])
  }

  @Test func manyThreadsShareATable() throws {
    let storage = TableTestStorage()
    let entries = makeTableEntries(2000, seed: 52)
    let metadata = try buildTable(storage, entries, settings: TableTests.settings(.zstd))
    // Room for a few blocks only, so that the threads evict under each other's hands.
    let table = try Table(storage: storage, metadata: metadata, cache: BlockCache(capacityBytes: 64 << 10))
    let right = onTableThreads(4) { thread in
      var random = SeededGenerator(seed: UInt64(60 + thread))
      var right = 0
      for _ in 0..<300 {
        let entry = entries[Int.random(in: 0..<entries.count, using: &random)]
        let found = try? table.found(entry.key, snapshot: entry.trailer.sequence + 1)
        right += found == (entry.trailer.isPut ? .value(entry.value) : .deleted) ? 1 : 0
      }
      return right
    }
    #expect(right == [300, 300, 300, 300])
    #expect(table.cache.statistics.data.evictions > 0)
  }

  static func fault(_ call: FaultStorage.Call, after: Int = 0) -> FaultStorage.Fault {
    FaultStorage.Fault(
      call: call, nameSuffix: ".sst", after: after, isSticky: false, error: FaultStorage.ioError("x"))
  }

  @Test(arguments: [FaultStorage.Call.create, .write, .sync])
  func aFailedWriteIsReportedAndAbandoned(_ call: FaultStorage.Call) throws {
    let disk = TableTestStorage()
    let storage = FaultStorage(disk)
    let value = TableTestBytes([UInt8](repeating: 3, count: 100_000))
    for after in 0..<(call == .write ? 8 : 1) {
      storage.inject(TableDiskTests.fault(call, after: after))
      let error = #expect(throws: SiltstoneError.self) {
        var writer = try TableWriter(storage: storage, number: 1, settings: TableSettings())
        do {
          for number in 0..<20 {
            try writer.add(FilterTests.key(number).view, KeyTrailer(1, .put), value.view)
          }
          _ = try writer.finish()
        } catch {
          writer.abandon()
          throw error
        }
      }
      #expect(error?.code == .inputOutput)
      #expect(storage.hits == after + 1)
      #expect(try disk.list().isEmpty)
    }
  }

  @Test func aFailedReadIsReportedAndForgotten() throws {
    let storage = FaultStorage(TableTestStorage())
    let entries = makeTableEntries(500, seed: 53)
    let metadata = try buildTable(storage, entries, settings: TableTests.settings())
    let table = try Table(storage: storage, metadata: metadata, cache: BlockCache(capacityBytes: 0))
    var sequential = table.makeCursor(.sequential)
    // One read of the index partition, then four of blocks, then one ahead.
    for after in 0..<6 {
      var cached = table.makeCursor(.cached)
      storage.inject(TableDiskTests.fault(.read, after: after))
      #expect(throws: SiltstoneError.self) { try cached.expectForward(entries) }
      cached.expect(nil)
      try cached.expectForward(entries)
    }
    storage.inject(TableDiskTests.fault(.read))
    #expect(throws: SiltstoneError.self) { try sequential.expectForward(entries) }
    sequential.expect(nil)
    try sequential.expectForward(entries)
    storage.inject(TableDiskTests.fault(.read))
    #expect(throws: SiltstoneError.self) { _ = try table.found(entries[0].key) }
    #expect(
      try table.found(entries[0].key)
        == expectedFound(entries, entries[0].key, snapshot: KeyTrailer.maxSequence))
  }
}
