#if PEER_LMDB
  import CLMDB
  import Foundation

  /// LMDB: a copy-on-write B+tree in a memory map. One writer at a time, over all threads and processes.
  final class LMDBEngine: KeyValueEngine, @unchecked Sendable {
    static let name = "lmdb"
    static let sharesBetweenProcesses = true

    private let specification: RunSpecification
    private let environment: OpaquePointer
    private let tree: MDB_dbi
    private let readsAhead: Bool

    /// Address space, not memory or disk: the file grows as it is written.
    private static let mapBytes = 1 << 38

    init(directory: String, specification: RunSpecification) throws {
      self.specification = specification
      readsAhead = LMDBEngine.readsAhead(specification, memoryBytes: ProcessInfo.processInfo.physicalMemory)
      var made: OpaquePointer?
      try LMDBEngine.check(mdb_env_create(&made))
      let environment = made!
      try LMDBEngine.check(mdb_env_set_mapsize(environment, LMDBEngine.mapBytes))
      try LMDBEngine.check(mdb_env_set_maxreaders(environment, 1_024))
      // Staged without sync: a commit writes its pages and then the meta page to the file by write(2), in this order,
      // so that the kernel has a whole tree whenever the process dies. Only a machine that dies may write them out of
      // order.
      // Without thread-local slots, since a reader belongs to its session here.
      let flags = MDB_NOTLS | (specification.durability == .staged ? MDB_NOSYNC : 0) | (readsAhead ? 0 : MDB_NORDAHEAD)
      try LMDBEngine.check(mdb_env_open(environment, directory, UInt32(flags), 0o644))
      guard specification.keyBytes <= Int(mdb_env_get_maxkeysize(environment)) else {
        throw BenchError("lmdb: keys may have at most \(mdb_env_get_maxkeysize(environment)) bytes")
      }
      self.environment = environment
      tree = try LMDBEngine.open(environment)
    }

    private static func open(_ environment: OpaquePointer) throws -> MDB_dbi {
      var (transaction, tree): (OpaquePointer?, MDB_dbi) = (nil, 0)
      try check(mdb_txn_begin(environment, nil, 0, &transaction))
      try check(mdb_dbi_open(transaction, nil, 0, &tree))
      try check(mdb_txn_commit(transaction))
      return tree
    }

    /// The kernel's read-ahead brings whole neighbourhoods of each page in: good while all of it fits in memory, a
    /// waste when it does not. The tree's pages are two thirds full.
    static func readsAhead(_ specification: RunSpecification, memoryBytes: UInt64) -> Bool {
      specification.keys * UInt64(specification.entryBytes) * 3 / 2 < memoryBytes / 2
    }

    var identity: RunResult.Engine {
      let text = String(cString: mdb_version(nil, nil, nil))
      var engine = RunResult.Engine(
        name: Self.name, version: text.split(separator: " ").dropFirst().first.map { $0.filter { $0 != ":" } } ?? text)
      engine.build = CLibrary(defining: "mdb_env_create")?.description ?? ""
      engine.settings = [
        .init("map size", "\(Self.mapBytes >> 30) GiB"),
        .init("cache", "the page cache, not bounded by the cache size that others are granted"),
        .init("compression", "none: it has none"),
        .init("read-ahead", readsAhead ? "on: the data fits in memory" : "off (MDB_NORDAHEAD)"),
        .init("transactions", "one for each put or batch"),
        .init(
          "durability",
          specification.durability == .staged ? "staged: MDB_NOSYNC, written before each commit returns" : "synced"),
      ]
      return engine
    }

    func makeSession() throws -> Session { try Session(environment, tree) }

    /// It writes its pages as it commits; there is nothing to wait for, and nothing that it merges.
    func close() throws { mdb_env_close(environment) }

    @inline(__always)
    fileprivate static func check(_ code: CInt) throws {
      if code != 0 { throw failure(code) }
    }

    @inline(never)
    private static func failure(_ code: CInt) -> BenchError {
      BenchError("lmdb: \(String(cString: mdb_strerror(code)))")
    }

    final class Session: EngineSession {
      private let environment: OpaquePointer
      private let tree: MDB_dbi
      /// Between reads it is reset, and so pins no old pages.
      private let reader: OpaquePointer
      private let cursor: OpaquePointer
      /// Open while a batch is made.
      private var batch: OpaquePointer?

      fileprivate init(_ environment: OpaquePointer, _ tree: MDB_dbi) throws {
        self.environment = environment
        self.tree = tree
        var (transaction, made): (OpaquePointer?, OpaquePointer?) = (nil, nil)
        try LMDBEngine.check(mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &transaction))
        try LMDBEngine.check(mdb_cursor_open(transaction, tree, &made))
        (reader, cursor) = (transaction!, made!)
        mdb_txn_reset(reader)
      }

      deinit {
        if let batch { mdb_txn_abort(batch) }
        mdb_cursor_close(cursor)
        mdb_txn_abort(reader)
      }

      func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try write { try put($0, key, value) }
      }

      func delete(_ key: UnsafeRawBufferPointer) throws {
        try write { try delete($0, key) }
      }

      func batchPut(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try put(try openBatch(), key, value)
      }

      func batchDelete(_ key: UnsafeRawBufferPointer) throws { try delete(try openBatch(), key) }

      func commitBatch() throws {
        guard let transaction = batch else { return }
        batch = nil
        try check(mdb_txn_commit(transaction))
      }

      func deleteRange(from begin: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        try write { transaction in
          var made: OpaquePointer?
          try check(mdb_cursor_open(transaction, tree, &made))
          let cursor = made!
          defer { mdb_cursor_close(cursor) }
          var (key, value) = (MDB_val(begin), MDB_val())
          var code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
          while code == 0, key.bytes.precedes(end) {
            try check(mdb_cursor_del(cursor, 0))
            // The cursor stands before the entry that followed.
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
          }
          if code != MDB_NOTFOUND { try check(code) }
        }
      }

      func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        try check(mdb_txn_renew(reader))
        defer { mdb_txn_reset(reader) }
        guard let value = try find(key) else { return nil }
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: value.prefix(buffer.count)))
        return value.count
      }

      func multiGet(_ keys: UnsafeRawBufferPointer, keyBytes: Int) throws -> Int {
        try check(mdb_txn_renew(reader))
        defer { mdb_txn_reset(reader) }
        var touch = Touch()
        for offset in stride(from: 0, to: keys.count, by: keyBytes) {
          let key = UnsafeRawBufferPointer(rebasing: keys[offset..<offset + keyBytes])
          if let value = try find(key) { touch.visit(key, value) }
        }
        return touch.visited.entries
      }

      func scan(from key: UnsafeRawBufferPointer, limit: Int, reverse: Bool) throws -> (entries: Int, bytes: Int) {
        try check(mdb_txn_renew(reader))
        defer { mdb_txn_reset(reader) }
        try check(mdb_cursor_renew(reader, cursor))
        var (found, value) = (MDB_val(key), MDB_val())
        var code = seek(key, reverse, &found, &value)
        var touch = Touch()
        while code == 0, touch.entries < limit {
          touch.visit(found.bytes, value.bytes)
          code = mdb_cursor_get(cursor, &found, &value, reverse ? MDB_PREV : MDB_NEXT)
        }
        if code != MDB_NOTFOUND { try check(code) }
        return touch.visited
      }

      private func seek(
        _ key: UnsafeRawBufferPointer, _ reverse: Bool, _ found: inout MDB_val, _ value: inout MDB_val
      ) -> CInt {
        if key.isEmpty { return mdb_cursor_get(cursor, &found, &value, reverse ? MDB_LAST : MDB_FIRST) }
        let code = mdb_cursor_get(cursor, &found, &value, MDB_SET_RANGE)
        guard reverse else { return code }
        if code == MDB_NOTFOUND { return mdb_cursor_get(cursor, &found, &value, MDB_LAST) }
        guard code == 0, key.precedes(found.bytes) else { return code }
        return mdb_cursor_get(cursor, &found, &value, MDB_PREV)
      }

      private func write(_ body: (OpaquePointer) throws -> Void) throws {
        var made: OpaquePointer?
        try check(mdb_txn_begin(environment, nil, 0, &made))
        let transaction = made!
        do { try body(transaction) } catch {
          mdb_txn_abort(transaction)
          throw error
        }
        try check(mdb_txn_commit(transaction))
      }

      private func openBatch() throws -> OpaquePointer {
        if let batch { return batch }
        try check(mdb_txn_begin(environment, nil, 0, &batch))
        return batch!
      }

      private func put(_ transaction: OpaquePointer, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer)
        throws
      {
        var (key, value) = (MDB_val(key), MDB_val(value))
        try check(mdb_put(transaction, tree, &key, &value, 0))
      }

      private func delete(_ transaction: OpaquePointer, _ key: UnsafeRawBufferPointer) throws {
        var key = MDB_val(key)
        let code = mdb_del(transaction, tree, &key, nil)
        if code != MDB_NOTFOUND { try check(code) }
      }

      /// Points into the map, for as long as the reader is not reset.
      private func find(_ key: UnsafeRawBufferPointer) throws -> UnsafeRawBufferPointer? {
        var (key, value) = (MDB_val(key), MDB_val())
        let code = mdb_get(reader, tree, &key, &value)
        if code == MDB_NOTFOUND { return nil }
        try check(code)
        return value.bytes
      }

      @inline(__always)
      private func check(_ code: CInt) throws { try LMDBEngine.check(code) }
    }
  }

  extension MDB_val {
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
      self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }

    fileprivate var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: mv_data, count: mv_size) }
  }
#endif
