#if PEER_ROCKSDB
  import CRocksDB
  import Foundation

  /// RocksDB through its C interface, whichever version pkg-config found. Set as its own tuning guide and
  /// `tools/benchmark.sh` advise, with the memory, the threads and the last level's codec that every engine gets.
  final class RocksDBEngine: KeyValueEngine, @unchecked Sendable {
    static let name = "rocksdb"

    private let directory: String
    private let specification: RunSpecification
    private let additions = RocksDBAdditions()
    private let options = rocksdb_options_create()!
    private let writeOptions = rocksdb_writeoptions_create()!
    private let readOptions = rocksdb_readoptions_create()!
    private let database: OpaquePointer
    private let family: OpaquePointer

    init(directory: String, specification: RunSpecification) throws {
      self.directory = directory
      self.specification = specification
      RocksDBEngine.set(options, specification, additions)
      // Staged needs no more than the default: each write goes to the log by write(2), so it survives the process.
      rocksdb_writeoptions_set_sync(writeOptions, specification.durability == .synced ? 1 : 0)
      var names: [UnsafePointer<CChar>?] = [("default" as StaticString).characters]
      var familyOptions: [OpaquePointer?] = [options]
      var families: [OpaquePointer?] = [nil]
      let options = options
      database = try throwing("rocksdb") {
        rocksdb_open_column_families(options, directory, 1, &names, &familyOptions, &families, $0)
      }
      family = families[0]!
    }

    private static func set(_ options: OpaquePointer, _ specification: RunSpecification, _ additions: RocksDBAdditions)
    {
      rocksdb_options_set_create_if_missing(options, 1)
      rocksdb_options_set_write_buffer_size(options, specification.memtableBytes)
      rocksdb_options_set_max_write_buffer_number(options, CInt(specification.memtables))
      rocksdb_options_set_max_background_jobs(options, CInt(backgroundJobs(specification)))
      rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1)
      rocksdb_options_set_bytes_per_sync(options, 1 << 20)
      rocksdb_options_set_enable_pipelined_write(options, 1)
      let levels = codecs(specification.compression)
      rocksdb_options_set_compression_per_level(options, levels.upper, levels.upper.count)
      rocksdb_options_set_bottommost_compression(options, levels.last)

      let table = rocksdb_block_based_options_create()!
      let cache = additions.makeCache(specification.cacheBytes) ?? rocksdb_cache_create_lru(specification.cacheBytes)!
      rocksdb_block_based_options_set_block_cache(table, cache)
      rocksdb_cache_destroy(cache)
      rocksdb_block_based_options_set_block_size(table, blockBytes)
      rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1)
      rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1)
      if specification.filterBitsPerKey > 0 {
        // The options own it from then on.
        rocksdb_block_based_options_set_filter_policy(
          table, rocksdb_filterpolicy_create_bloom_full(Double(specification.filterBitsPerKey)))
      }
      rocksdb_options_set_block_based_table_factory(options, table)
      rocksdb_block_based_options_destroy(table)
    }

    /// As `tools/benchmark.sh` has it: between the 4 KiB that suit reads from a cache and the 16 KiB that save memory.
    private static let blockBytes = 8 << 10

    /// One flushes, and the others compact, as in Siltstone.
    private static func backgroundJobs(_ specification: RunSpecification) -> Int { specification.backgroundThreads + 1 }

    /// Nothing where data is young and will soon be rewritten, the codec on the last level, and a fast one between.
    private static func codecs(_ compression: RunSpecification.Compression) -> (upper: [CInt], last: CInt) {
      let (none, lz4) = (CInt(rocksdb_no_compression), CInt(rocksdb_lz4_compression))
      let last =
        switch compression {
        case .none: none
        case .lz4: lz4
        case .zstd: CInt(rocksdb_zstd_compression)
        case .snappy: CInt(rocksdb_snappy_compression)
        }
      let middle = compression == .zstd ? lz4 : last
      return ([none, none] + Array(repeating: middle, count: 5), last)
    }

    func makeSession() -> Session { Session(database, family, writeOptions, readOptions, additions) }

    func settle() throws {
      let flush = rocksdb_flushoptions_create()!
      defer { rocksdb_flushoptions_destroy(flush) }
      rocksdb_flushoptions_set_wait(flush, 1)
      try throwing("rocksdb") { rocksdb_flush(database, flush, $0) }
      if try additions.waitForCompaction(database) { return }
      let busy = [
        "rocksdb.num-running-flushes", "rocksdb.mem-table-flush-pending", "rocksdb.num-running-compactions",
        "rocksdb.compaction-pending",
      ]
      while busy.contains(where: { number($0) != 0 }) {
        if number("rocksdb.background-errors") != 0 { throw BenchError("rocksdb: a background job failed: see LOG") }
        usleep(5_000)
      }
    }

    func compact() throws { rocksdb_compact_range(database, nil, 0, nil, 0) }

    func close() throws {
      rocksdb_column_family_handle_destroy(family)
      rocksdb_close(database)
      rocksdb_readoptions_destroy(readOptions)
      rocksdb_writeoptions_destroy(writeOptions)
      rocksdb_options_destroy(options)
    }

    private func number(_ property: String) -> UInt64 {
      var value: UInt64 = 0
      return rocksdb_property_int(database, property, &value) == 0 ? value : 0
    }
  }

  // MARK: - What it says of itself

  extension RocksDBEngine {
    var identity: RunResult.Engine {
      var engine = RunResult.Engine(name: Self.name, version: version)
      let library = CLibrary(defining: "rocksdb_open")
      engine.build = (library?.description ?? "") + ", CRC32C: \(checksum)"
      let codec = specification.compression.rawValue
      engine.settings = [
        .init("memtables", "\(specification.memtables) x \(specification.memtableBytes >> 20) MiB"),
        .init(
          "block cache",
          "\(specification.cacheBytes >> 20) MiB, \(additions.cacheKind), index and filter blocks included"),
        .init(
          "compression",
          "last level \(codec), level 0 and the one below none, \(codec == "zstd" ? "lz4" : codec) between"),
        .init("filter", "full Bloom, whole key, \(specification.filterBitsPerKey) bits a key"),
        .init("block size", "\(Self.blockBytes >> 10) KiB"),
        .init("compaction", "leveled, dynamic level bytes, ratio 10"),
        .init("background jobs", "\(Self.backgroundJobs(specification)), of which one flushes"),
        .init("writes", "log on, pipelined, \(specification.durability == .synced ? "sync" : "no sync")"),
        .init("bytes per sync", "1 MiB"),
        .init("statistics", "off, performance counters too"),
        .init("the same in db_bench", dbBenchFlags),
      ]
      return engine
    }

    /// `db_bench` takes all settings from the file that the library wrote, except those that are objects.
    private var dbBenchFlags: String {
      "--options_file=(OPTIONS-* of the database) --cache_size=\(specification.cacheBytes) "
        + "--bloom_bits=\(specification.filterBitsPerKey) --sync=\(specification.durability == .synced)"
    }

    /// The library writes its version, with all settings in effect, into a file of the database.
    private var version: String {
      let text = optionsFile.flatMap { try? String(contentsOfFile: $0, encoding: .utf8) } ?? ""
      let line = text.split(separator: "\n").first { $0.contains("rocksdb_version=") }
      return line?.split(separator: "=").last.map(String.init) ?? "unknown"
    }

    private var optionsFile: String? {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
      return names.filter { $0.hasPrefix("OPTIONS-") && !$0.hasSuffix(".dbtmp") }.max().map { directory + "/" + $0 }
    }

    /// What it says of its checksums at the head of its log: a build without `-msse4.2` computes them from tables.
    private var checksum: String {
      let text = (try? String(contentsOfFile: directory + "/LOG", encoding: .utf8)) ?? ""
      guard let line = text.split(separator: "\n").first(where: { $0.contains("Fast CRC32 supported: ") }) else {
        return "unknown"
      }
      return line.contains("Not supported") ? "in software" : "in hardware"
    }

    var internals: [String: Double] {
      [
        "memtableBytes": Double(number("rocksdb.cur-size-all-mem-tables")),
        "cacheUsedBytes": Double(number("rocksdb.block-cache-usage")),
        "tableReaderBytes": Double(number("rocksdb.estimate-table-readers-mem")),
        "liveTableBytes": Double(number("rocksdb.live-sst-files-size")),
        "stallSeconds": stalledSeconds,
      ]
    }

    /// From the line `Cumulative stall: 00:00:1.234 H:M:S` of its statistics.
    private var stalledSeconds: Double {
      guard let text = rocksdb_property_value(database, "rocksdb.dbstats") else { return 0 }
      defer { free(text) }
      let lines = String(cString: text).split(separator: "\n")
      guard let line = lines.first(where: { $0.hasPrefix("Cumulative stall: ") }) else { return 0 }
      let time = line.dropFirst("Cumulative stall: ".count).prefix { $0 != " " }
      return time.split(separator: ":").reduce(0) { $0 * 60 + (Double($1) ?? 0) }
    }
  }

  // MARK: - One thread

  extension RocksDBEngine {
    final class Session: EngineSession {
      private let database: OpaquePointer
      private let family: OpaquePointer
      private let writeOptions: OpaquePointer
      private let readOptions: OpaquePointer
      private let getIntoBuffer: RocksDBAdditions.GetIntoBuffer?
      private let batch = rocksdb_writebatch_create()!
      private var lookup = MultiLookup()

      fileprivate init(
        _ database: OpaquePointer, _ family: OpaquePointer, _ writeOptions: OpaquePointer, _ readOptions: OpaquePointer,
        _ additions: RocksDBAdditions
      ) {
        self.database = database
        self.family = family
        self.writeOptions = writeOptions
        self.readOptions = readOptions
        getIntoBuffer = additions.getIntoBuffer
        // Of this thread. It counts every comparison of keys unless told not to, which db_bench does as well.
        rocksdb_set_perf_level(CInt(rocksdb_disable))
      }

      deinit { rocksdb_writebatch_destroy(batch) }

      func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try throwing("rocksdb") {
          rocksdb_put(database, writeOptions, key.characters, key.count, value.characters, value.count, $0)
        }
      }

      func delete(_ key: UnsafeRawBufferPointer) throws {
        try throwing("rocksdb") { rocksdb_delete(database, writeOptions, key.characters, key.count, $0) }
      }

      func batchPut(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        rocksdb_writebatch_put(batch, key.characters, key.count, value.characters, value.count)
      }

      func batchDelete(_ key: UnsafeRawBufferPointer) { rocksdb_writebatch_delete(batch, key.characters, key.count) }

      func commitBatch() throws {
        try throwing("rocksdb") { rocksdb_write(database, writeOptions, batch, $0) }
        rocksdb_writebatch_clear(batch)
      }

      func deleteRange(from begin: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        try throwing("rocksdb") {
          rocksdb_delete_range_cf(
            database, writeOptions, family, begin.characters, begin.count, end.characters, end.count, $0)
        }
      }

      func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        if let getIntoBuffer {
          var (count, found): (Int, UInt8) = (0, 0)
          let isCopied = try throwing("rocksdb") {
            getIntoBuffer(
              database, readOptions, key.characters, key.count, buffer.baseAddress, buffer.count, &count, &found, $0)
          }
          if found == 0 { return nil }
          if isCopied != 0 { return count }
        }
        let pinned = try throwing("rocksdb") {
          rocksdb_get_pinned(database, readOptions, key.characters, key.count, $0)
        }
        guard let pinned else { return nil }
        defer { rocksdb_pinnableslice_destroy(pinned) }
        var count = 0
        let bytes = rocksdb_pinnableslice_value(pinned, &count)
        buffer.copyMemory(from: UnsafeRawBufferPointer(start: bytes, count: min(count, buffer.count)))
        return count
      }

      func multiGet(_ keys: UnsafeRawBufferPointer, keyBytes: Int) throws -> Int {
        try lookup.run(database, readOptions, family, keys, keyBytes)
      }

      func scan(from key: UnsafeRawBufferPointer, limit: Int, reverse: Bool) throws -> (entries: Int, bytes: Int) {
        let iterator = rocksdb_create_iterator(database, readOptions)!
        defer { rocksdb_iter_destroy(iterator) }
        switch (key.isEmpty, reverse) {
        case (true, false): rocksdb_iter_seek_to_first(iterator)
        case (true, true): rocksdb_iter_seek_to_last(iterator)
        case (false, false): rocksdb_iter_seek(iterator, key.characters, key.count)
        case (false, true): rocksdb_iter_seek_for_prev(iterator, key.characters, key.count)
        }
        var touch = Touch()
        while touch.entries < limit, rocksdb_iter_valid(iterator) != 0 {
          var (keyCount, valueCount) = (0, 0)
          let (key, value) = (rocksdb_iter_key(iterator, &keyCount), rocksdb_iter_value(iterator, &valueCount))
          touch.visit(.init(start: key, count: keyCount), .init(start: value, count: valueCount))
          if reverse { rocksdb_iter_prev(iterator) } else { rocksdb_iter_next(iterator) }
        }
        try throwing("rocksdb") { rocksdb_iter_get_error(iterator, $0) }
        return touch.visited
      }
    }

    /// The arrays that a batched lookup takes, kept from one to the next.
    private struct MultiLookup {
      private var keys: [UnsafePointer<CChar>?] = []
      private var sizes: [Int] = []
      private var values: [OpaquePointer?] = []
      private var errors: [UnsafeMutablePointer<CChar>?] = []

      mutating func run(
        _ database: OpaquePointer, _ options: OpaquePointer, _ family: OpaquePointer, _ bytes: UnsafeRawBufferPointer,
        _ keyBytes: Int
      ) throws -> Int {
        let count = bytes.count / keyBytes
        if keys.count != count {
          keys = Array(repeating: nil, count: count)
          values = Array(repeating: nil, count: count)
          errors = Array(repeating: nil, count: count)
        }
        if sizes.count != count || sizes.first != keyBytes { sizes = Array(repeating: keyBytes, count: count) }
        for index in 0..<count { keys[index] = bytes.characters! + index * keyBytes }
        rocksdb_batched_multi_get_cf(database, options, family, count, &keys, &sizes, &values, &errors, false)
        var touch = Touch()
        for index in 0..<count {
          if let error = errors[index] {
            defer { free(error) }
            throw BenchError("rocksdb: \(String(cString: error))")
          }
          guard let value = values[index] else { continue }
          var size = 0
          let start = rocksdb_pinnableslice_value(value, &size)
          touch.visit(.init(start: start, count: size), .init(start: nil, count: 0))
          rocksdb_pinnableslice_destroy(value)
        }
        return touch.visited.entries
      }
    }
  }

  extension StaticString {
    fileprivate var characters: UnsafePointer<CChar> {
      UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self)
    }
  }

  /// What newer versions of RocksDB's C interface have beyond the oldest one that this harness builds with: looked up
  /// in the library that is loaded, so that one source fits all.
  struct RocksDBAdditions: @unchecked Sendable {
    typealias Errors = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    typealias GetIntoBuffer =
      @convention(c) (
        OpaquePointer, OpaquePointer, UnsafePointer<CChar>?, Int, UnsafeMutableRawPointer?, Int,
        UnsafeMutablePointer<Int>,
        UnsafeMutablePointer<UInt8>, Errors
      ) -> UInt8
    private typealias Make = @convention(c) () -> OpaquePointer?
    private typealias Destroy = @convention(c) (OpaquePointer) -> Void
    private typealias Wait = @convention(c) (OpaquePointer, OpaquePointer, Errors) -> Void
    private typealias MakeCache = @convention(c) (Int, Int) -> OpaquePointer?

    /// A lookup that makes no object for the value.
    let getIntoBuffer = function("rocksdb_get_into_buffer", as: GetIntoBuffer.self)
    private let makeClockCache = function("rocksdb_cache_create_hyper_clock", as: MakeCache.self)

    /// Only where the cache adapts itself to the size of its entries, which came before `rocksdb_get_into_buffer` did.
    private var hasClockCache: Bool { getIntoBuffer != nil && makeClockCache != nil }

    var cacheKind: String { hasClockCache ? "HyperClock" : "LRU" }

    func makeCache(_ bytes: Int) -> OpaquePointer? { hasClockCache ? makeClockCache?(bytes, 0) : nil }

    /// Waits until no compaction is due; false if the library cannot.
    func waitForCompaction(_ database: OpaquePointer) throws -> Bool {
      guard let make = Self.function("rocksdb_wait_for_compact_options_create", as: Make.self),
        let destroy = Self.function("rocksdb_wait_for_compact_options_destroy", as: Destroy.self),
        let wait = Self.function("rocksdb_wait_for_compact", as: Wait.self), let options = make()
      else { return false }
      defer { destroy(options) }
      try throwing("rocksdb") { wait(database, options, $0) }
      return true
    }

    private static func function<Function>(_ name: String, as type: Function.Type) -> Function? {
      dlsym(nil, name).map { unsafeBitCast($0, to: type) }
    }
  }
#endif
