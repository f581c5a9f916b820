#if PEER_LEVELDB
  import CLevelDB
  import Foundation

  /// LevelDB through its C interface.
  final class LevelDBEngine: KeyValueEngine, @unchecked Sendable {
    static let name = "leveldb"

    private let directory: String
    private let specification: RunSpecification
    private let options = leveldb_options_create()!
    private let writeOptions = leveldb_writeoptions_create()!
    private let cache: OpaquePointer
    private let filter: OpaquePointer?
    private let database: OpaquePointer

    init(directory: String, specification: RunSpecification) throws {
      self.directory = directory
      self.specification = specification
      cache = leveldb_cache_create_lru(specification.cacheBytes)
      filter =
        specification.filterBitsPerKey > 0
        ? leveldb_filterpolicy_create_bloom(CInt(specification.filterBitsPerKey)) : nil
      leveldb_options_set_create_if_missing(options, 1)
      leveldb_options_set_write_buffer_size(options, LevelDBEngine.memtableBytes(specification))
      leveldb_options_set_cache(options, cache)
      leveldb_options_set_filter_policy(options, filter)
      leveldb_options_set_max_file_size(options, LevelDBEngine.tableBytes)
      leveldb_options_set_compression(
        options, CInt(specification.compression == .none ? leveldb_no_compression : leveldb_snappy_compression))
      // Staged needs no more than the default: each write goes to the log by write(2), so it survives the process.
      leveldb_writeoptions_set_sync(writeOptions, specification.durability == .synced ? 1 : 0)
      let options = options
      database = try throwing("leveldb") { leveldb_open(options, directory, $0) }
    }

    /// It has two, one that fills and one that is flushed: two that hold what others hold in several.
    private static func memtableBytes(_ specification: RunSpecification) -> Int {
      specification.memtableBytes * specification.memtables / 2
    }

    /// Its default of 2 MiB makes thousands of files; large users set this much.
    private static let tableBytes = 32 << 20

    var identity: RunResult.Engine {
      var engine = RunResult.Engine(
        name: Self.name, version: "\(leveldb_major_version()).\(leveldb_minor_version())")
      engine.build = CLibrary(defining: "leveldb_open")?.description ?? ""
      engine.settings = [
        .init("memtables", "2 x \(Self.memtableBytes(specification) >> 20) MiB"),
        .init("block cache", "\(specification.cacheBytes >> 20) MiB"),
        .init("compression", specification.compression == .none ? "none" : "snappy on all levels: it has no other"),
        .init("filter", "Bloom, \(specification.filterBitsPerKey) bits a key"),
        .init("block size", "4 KiB"),
        .init("table size", "\(Self.tableBytes >> 20) MiB"),
        .init("background threads", "1: it has no more"),
        .init("writes", "log on, \(specification.durability == .synced ? "sync" : "no sync")"),
        .init("reads", "checksums verified"),
      ]
      return engine
    }

    func makeSession() -> Session { Session(database, writeOptions) }

    /// It can be told to flush (by compacting a range with nothing in it) but not asked whether it compacts: it has
    /// settled when its files have been the same for 200 ms.
    func settle() throws {
      let beyond = [CChar](repeating: -1, count: 64)
      leveldb_compact_range(database, beyond, beyond.count, beyond, beyond.count)
      var (last, quiet) = (state, 0)
      while quiet < 20 {
        usleep(10_000)
        let now = state
        quiet = now == last ? quiet + 1 : 0
        last = now
      }
    }

    private var state: [String: UInt64] {
      var sizes: [String: UInt64] = [:]
      for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
        var status = stat()
        if lstat(directory + "/" + name, &status) == 0 { sizes[name] = UInt64(status.st_size) }
      }
      return sizes
    }

    func compact() throws { leveldb_compact_range(database, nil, 0, nil, 0) }

    func close() throws {
      leveldb_close(database)
      leveldb_options_destroy(options)
      leveldb_writeoptions_destroy(writeOptions)
      leveldb_cache_destroy(cache)
      if let filter { leveldb_filterpolicy_destroy(filter) }
    }

    var internals: [String: Double] {
      guard let text = leveldb_property_value(database, "leveldb.approximate-memory-usage") else { return [:] }
      defer { leveldb_free(text) }
      return ["memoryBytes": Double(String(cString: text)) ?? 0]
    }

    final class Session: EngineSession {
      private let database: OpaquePointer
      private let writeOptions: OpaquePointer
      private let readOptions = leveldb_readoptions_create()!
      private let batch = leveldb_writebatch_create()!

      fileprivate init(_ database: OpaquePointer, _ writeOptions: OpaquePointer) {
        self.database = database
        self.writeOptions = writeOptions
        // As all the others do.
        leveldb_readoptions_set_verify_checksums(readOptions, 1)
      }

      deinit {
        leveldb_writebatch_destroy(batch)
        leveldb_readoptions_destroy(readOptions)
      }

      func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try throwing("leveldb") {
          leveldb_put(database, writeOptions, key.characters, key.count, value.characters, value.count, $0)
        }
      }

      func delete(_ key: UnsafeRawBufferPointer) throws {
        try throwing("leveldb") { leveldb_delete(database, writeOptions, key.characters, key.count, $0) }
      }

      func batchPut(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        leveldb_writebatch_put(batch, key.characters, key.count, value.characters, value.count)
      }

      func batchDelete(_ key: UnsafeRawBufferPointer) { leveldb_writebatch_delete(batch, key.characters, key.count) }

      func commitBatch() throws {
        try throwing("leveldb") { leveldb_write(database, writeOptions, batch, $0) }
        leveldb_writebatch_clear(batch)
      }

      /// It has no range delete.
      func deleteRange(from begin: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        let pieceEntries = 1_000
        let deletions = leveldb_writebatch_create()!
        let iterator = leveldb_create_iterator(database, readOptions)!
        defer {
          leveldb_iter_destroy(iterator)
          leveldb_writebatch_destroy(deletions)
        }
        leveldb_iter_seek(iterator, begin.characters, begin.count)
        var pending = 0
        while leveldb_iter_valid(iterator) != 0 {
          var count = 0
          let key = UnsafeRawBufferPointer(start: leveldb_iter_key(iterator, &count), count: count)
          guard key.precedes(end) else { break }
          leveldb_writebatch_delete(deletions, key.characters, key.count)
          pending += 1
          if pending == pieceEntries {
            try throwing("leveldb") { leveldb_write(database, writeOptions, deletions, $0) }
            leveldb_writebatch_clear(deletions)
            pending = 0
          }
          leveldb_iter_next(iterator)
        }
        try throwing("leveldb") { leveldb_iter_get_error(iterator, $0) }
        if pending > 0 { try throwing("leveldb") { leveldb_write(database, writeOptions, deletions, $0) } }
      }

      func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        var count = 0
        let value = try throwing("leveldb") {
          leveldb_get(database, readOptions, key.characters, key.count, &count, $0)
        }
        guard let value else { return nil }
        defer { leveldb_free(value) }
        buffer.copyMemory(from: UnsafeRawBufferPointer(start: value, count: min(count, buffer.count)))
        return count
      }

      func multiGet(_ keys: UnsafeRawBufferPointer, keyBytes: Int) throws -> Int {
        let snapshot = leveldb_create_snapshot(database)
        leveldb_readoptions_set_snapshot(readOptions, snapshot)
        defer {
          leveldb_readoptions_set_snapshot(readOptions, nil)
          leveldb_release_snapshot(database, snapshot)
        }
        var found = 0
        for offset in stride(from: 0, to: keys.count, by: keyBytes) {
          var count = 0
          let value = try throwing("leveldb") {
            leveldb_get(database, readOptions, keys.characters! + offset, keyBytes, &count, $0)
          }
          guard let value else { continue }
          leveldb_free(value)
          found += 1
        }
        return found
      }

      func scan(from key: UnsafeRawBufferPointer, limit: Int, reverse: Bool) throws -> (entries: Int, bytes: Int) {
        let iterator = leveldb_create_iterator(database, readOptions)!
        defer { leveldb_iter_destroy(iterator) }
        seek(iterator, key, reverse)
        var touch = Touch()
        while touch.entries < limit, leveldb_iter_valid(iterator) != 0 {
          var (keyCount, valueCount) = (0, 0)
          let (key, value) = (leveldb_iter_key(iterator, &keyCount), leveldb_iter_value(iterator, &valueCount))
          touch.visit(.init(start: key, count: keyCount), .init(start: value, count: valueCount))
          if reverse { leveldb_iter_prev(iterator) } else { leveldb_iter_next(iterator) }
        }
        try throwing("leveldb") { leveldb_iter_get_error(iterator, $0) }
        return touch.visited
      }

      private func seek(_ iterator: OpaquePointer, _ key: UnsafeRawBufferPointer, _ reverse: Bool) {
        if key.isEmpty {
          if reverse { leveldb_iter_seek_to_last(iterator) } else { leveldb_iter_seek_to_first(iterator) }
          return
        }
        leveldb_iter_seek(iterator, key.characters, key.count)
        guard reverse else { return }
        if leveldb_iter_valid(iterator) == 0 {
          leveldb_iter_seek_to_last(iterator)
          return
        }
        var count = 0
        let found = UnsafeRawBufferPointer(start: leveldb_iter_key(iterator, &count), count: count)
        if key.precedes(found) { leveldb_iter_prev(iterator) }
      }
    }
  }
#endif
