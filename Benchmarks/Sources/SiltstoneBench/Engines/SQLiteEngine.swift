#if PEER_SQLITE
  import CSQLite
  import Foundation

  /// SQLite, for scale: a table of keys and values whose B-tree is the table itself, in WAL mode, one connection for
  /// each thread.
  final class SQLiteEngine: KeyValueEngine, @unchecked Sendable {
    static let name = "sqlite"
    static let sharesBetweenProcesses = true

    private let path: String
    private let specification: RunSpecification
    private let connection: SQLiteConnection

    init(directory: String, specification: RunSpecification) throws {
      path = directory + "/data.sqlite"
      self.specification = specification
      connection = try SQLiteConnection(path, specification)
      try connection.execute("CREATE TABLE IF NOT EXISTS kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
    }

    var identity: RunResult.Engine {
      var engine = RunResult.Engine(name: Self.name, version: String(cString: sqlite3_libversion()))
      engine.build = CLibrary(defining: "sqlite3_open_v2")?.description ?? ""
      engine.settings = [
        .init("table", "key BLOB PRIMARY KEY, value BLOB, WITHOUT ROWID"),
        .init("journal", "WAL, checkpoint after \(SQLiteConnection.checkpointBytes(specification) >> 20) MiB"),
        .init(
          "synchronous",
          specification.durability == .staged
            ? "OFF: written to the WAL before each commit returns" : "FULL: WAL synced at each commit"),
        .init(
          "cache",
          "\(SQLiteConnection.cacheBytes(specification) >> 20) MiB for each connection, and the file mapped into memory"
        ),
        .init("compression", "none: it has none"),
        .init("transactions", "one for each put or batch, prepared statements"),
        .init("connections", "one for each thread, busy timeout 60 s"),
      ]
      return engine
    }

    func makeSession() throws -> Session { try Session(SQLiteConnection(path, specification)) }

    func settle() throws { try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)") }
    func compact() throws { try connection.execute("VACUUM") }
    func close() throws { try connection.close() }

    final class Session: EngineSession {
      private let connection: SQLiteConnection
      private let putStatement: SQLiteStatement
      private let deleteStatement: SQLiteStatement
      private let deleteRangeStatement: SQLiteStatement
      private let getStatement: SQLiteStatement
      private let beginWrite: SQLiteStatement
      private let beginRead: SQLiteStatement
      private let commit: SQLiteStatement
      /// By direction; from the first (last) entry, and from a key.
      private let scanAll: [Bool: SQLiteStatement]
      private let scanFrom: [Bool: SQLiteStatement]
      private var isBatchOpen = false

      fileprivate init(_ connection: SQLiteConnection) throws {
        self.connection = connection
        putStatement = try connection.prepare("REPLACE INTO kv (key, value) VALUES (?1, ?2)")
        deleteStatement = try connection.prepare("DELETE FROM kv WHERE key = ?1")
        deleteRangeStatement = try connection.prepare("DELETE FROM kv WHERE key >= ?1 AND key < ?2")
        getStatement = try connection.prepare("SELECT value FROM kv WHERE key = ?1")
        beginWrite = try connection.prepare("BEGIN IMMEDIATE")
        beginRead = try connection.prepare("BEGIN")
        commit = try connection.prepare("COMMIT")
        scanAll = [
          false: try connection.prepare("SELECT key, value FROM kv ORDER BY key LIMIT ?1"),
          true: try connection.prepare("SELECT key, value FROM kv ORDER BY key DESC LIMIT ?1"),
        ]
        scanFrom = [
          false: try connection.prepare("SELECT key, value FROM kv WHERE key >= ?2 ORDER BY key LIMIT ?1"),
          true: try connection.prepare("SELECT key, value FROM kv WHERE key <= ?2 ORDER BY key DESC LIMIT ?1"),
        ]
      }

      func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        putStatement.bind(1, key)
        putStatement.bind(2, value)
        try putStatement.run()
      }

      func delete(_ key: UnsafeRawBufferPointer) throws {
        deleteStatement.bind(1, key)
        try deleteStatement.run()
      }

      func batchPut(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
        try openBatch()
        try put(key, value)
      }

      func batchDelete(_ key: UnsafeRawBufferPointer) throws {
        try openBatch()
        try delete(key)
      }

      func commitBatch() throws {
        guard isBatchOpen else { return }
        isBatchOpen = false
        try commit.run()
      }

      private func openBatch() throws {
        if isBatchOpen { return }
        try beginWrite.run()
        isBatchOpen = true
      }

      func deleteRange(from begin: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
        deleteRangeStatement.bind(1, begin)
        deleteRangeStatement.bind(2, end)
        try deleteRangeStatement.run()
      }

      func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        getStatement.bind(1, key)
        defer { getStatement.reset() }
        guard try getStatement.step() else { return nil }
        let value = getStatement.blob(0)
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: value.prefix(buffer.count)))
        return value.count
      }

      func multiGet(_ keys: UnsafeRawBufferPointer, keyBytes: Int) throws -> Int {
        try beginRead.run()
        var touch = Touch()
        for offset in stride(from: 0, to: keys.count, by: keyBytes) {
          let key = UnsafeRawBufferPointer(rebasing: keys[offset..<offset + keyBytes])
          getStatement.bind(1, key)
          if try getStatement.step() { touch.visit(key, getStatement.blob(0)) }
          getStatement.reset()
        }
        try commit.run()
        return touch.visited.entries
      }

      func scan(from key: UnsafeRawBufferPointer, limit: Int, reverse: Bool) throws -> (entries: Int, bytes: Int) {
        let statement = (key.isEmpty ? scanAll : scanFrom)[reverse]!
        statement.bind(1, Int64(clamping: limit))
        if !key.isEmpty { statement.bind(2, key) }
        defer { statement.reset() }
        var touch = Touch()
        while try statement.step() { touch.visit(statement.blob(0), statement.blob(1)) }
        return touch.visited
      }
    }
  }

  /// A connection to a database file, set as every connection of a run is. For one thread at a time.
  final class SQLiteConnection {
    private var handle: OpaquePointer?

    init(_ path: String, _ specification: RunSpecification) throws {
      let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
      try check(sqlite3_open_v2(path, &handle, flags, nil))
      try check(sqlite3_busy_timeout(handle, 60_000))
      try execute("PRAGMA journal_mode = WAL")
      // A commit appends to the WAL by write(2) before it returns, so it survives the process with OFF too; FULL syncs
      // the WAL at each commit.
      try execute("PRAGMA synchronous = \(specification.durability == .staged ? "OFF" : "FULL")")
      try execute("PRAGMA cache_size = -\(SQLiteConnection.cacheBytes(specification) >> 10)")
      // As much as it was built to allow: 2 GiB by default.
      try execute("PRAGMA mmap_size = \(Int64.max)")
      try execute("PRAGMA wal_autocheckpoint = \(SQLiteConnection.checkpointBytes(specification) / 4_096)")
    }

    deinit { sqlite3_close_v2(handle) }

    /// Each connection has a cache of its own: together they have what other engines' threads share.
    static func cacheBytes(_ specification: RunSpecification) -> Int {
      specification.cacheBytes / max(specification.threads, 1)
    }

    /// What it buffers before it rewrites pages of the tree: as much as one memtable of the others.
    static func checkpointBytes(_ specification: RunSpecification) -> Int { specification.memtableBytes }

    func close() throws {
      try check(sqlite3_close(handle))
      handle = nil
    }

    func execute(_ sql: String) throws { try check(sqlite3_exec(handle, sql, nil, nil, nil)) }

    func prepare(_ sql: String) throws -> SQLiteStatement {
      var statement: OpaquePointer?
      try check(sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
      return SQLiteStatement(statement!, of: self)
    }

    @inline(__always)
    func check(_ code: CInt) throws {
      if code != SQLITE_OK { throw failure(code) }
    }

    @inline(never)
    func failure(_ code: CInt) -> BenchError {
      BenchError("sqlite: \(String(cString: handle == nil ? sqlite3_errstr(code) : sqlite3_errmsg(handle)))")
    }
  }

  /// A prepared statement. What is bound must stay where it is until the statement has run.
  final class SQLiteStatement {
    private let handle: OpaquePointer
    private let connection: SQLiteConnection

    init(_ handle: OpaquePointer, of connection: SQLiteConnection) {
      self.handle = handle
      self.connection = connection
    }

    deinit { sqlite3_finalize(handle) }

    @inline(__always)
    func bind(_ index: CInt, _ bytes: UnsafeRawBufferPointer) {
      sqlite3_bind_blob(handle, index, bytes.baseAddress, CInt(bytes.count), nil)
    }

    @inline(__always)
    func bind(_ index: CInt, _ number: Int64) { sqlite3_bind_int64(handle, index, number) }

    /// Whether there is a row.
    @inline(__always)
    func step() throws -> Bool {
      let code = sqlite3_step(handle)
      if code == SQLITE_ROW { return true }
      if code == SQLITE_DONE { return false }
      throw connection.failure(code)
    }

    /// Runs to the end, and stands ready again.
    @inline(__always)
    func run() throws {
      defer { reset() }
      while try step() {}
    }

    @inline(__always)
    func reset() { sqlite3_reset(handle) }

    @inline(__always)
    func blob(_ column: CInt) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(
        start: sqlite3_column_blob(handle, column), count: Int(sqlite3_column_bytes(handle, column)))
    }
  }
#endif
