/// An ordered key-value store in a directory.
///
/// Keys and values are bytes; keys sort bytewise. Writes are batches, atomic and totally ordered. Reads see every
/// acknowledged write, never block a writer, and are never blocked by one. All methods may be called from any thread.
///
///     let database = try Database.open("/var/lib/events")
///     try database.put("sensor/17/temperature", "21.5")
///     let value = try database.get("sensor/17/temperature")
///     try database.write { batch in
///       try batch.put("a", "1")
///       try batch.delete("b")
///     }
///     try database.scan(.prefix("sensor/")) { key, value in true }
///     try database.close()
///
/// Close a database when done with it; one that is dropped without is closed as far as it goes, and errors are lost.
public final class Database: Sendable {
  let engine: Engine

  private init(_ engine: Engine) { self.engine = engine }

  deinit { try? engine.close() }

  /// Opens the database in `directory`, and recovers what its log holds.
  ///
  /// - Throws: `.notADatabase`, `.alreadyOpen`, `.unsupportedVersion`, `.corruption`, `.missingFile`,
  ///   `.permissionDenied`, `.diskFull`, `.inputOutput`, or `.invalidArgument` for bad options. Nothing is harmed by
  ///   any of them.
  /// - Complexity: O(bytes of log not yet in tables), at most a few memtables' worth.
  public static func open(_ directory: String, options: Options = Options()) throws(SiltstoneError) -> Database {
    Database(try Engine.open(directory, options))
  }

  /// The directory it lives in.
  public var directory: String { engine.directory }

  /// What it has done and how it stands.
  public var metrics: Metrics { engine.metrics() }

  // MARK: - Writing

  /// Sets `key` to `value`. Returns when the write is visible and as durable as asked.
  ///
  /// - Parameters:
  ///   - key: 1 byte to 64 KiB.
  ///   - value: up to 256 MiB.
  ///   - durability: what the write survives; nil means `Options.durability`.
  /// - Throws: `.invalidArgument` for an empty key, a key over 64 KiB or a value over 256 MiB; `.diskFull`, with
  ///   nothing done; `.readOnly` after a failed log write.
  /// - Complexity: O(log n) in the entries of one memtable.
  public func put(_ key: RawSpan, _ value: RawSpan, durability: Durability? = nil) throws(SiltstoneError) {
    try engine.put(ByteView(key), ByteView(value), durability)
  }

  /// Sets `key` to `value`.
  public func put<Key: Bytes, Value: Bytes>(
    _ key: Key, _ value: Value, durability: Durability? = nil
  ) throws(SiltstoneError) {
    try key.withBytes { (key) throws(SiltstoneError) in
      try value.withBytes { (value) throws(SiltstoneError) in try put(key, value, durability: durability) }
    }
  }

  /// Removes `key`. No error if it is absent: a tombstone is written either way.
  public func delete(_ key: RawSpan, durability: Durability? = nil) throws(SiltstoneError) {
    try engine.delete(ByteView(key), durability)
  }

  /// Removes `key`. No error if it is absent.
  public func delete<Key: Bytes>(_ key: Key, durability: Durability? = nil) throws(SiltstoneError) {
    try key.withBytes { (key) throws(SiltstoneError) in try delete(key, durability: durability) }
  }

  /// Commits a batch: all of it becomes visible at once, or none of it.
  ///
  /// - Throws: with nothing written, but for one case: if a `.synced` batch could not be made durable, it is visible
  ///   and may not survive a power cut, and the database is read-only from then on.
  public func write(_ batch: borrowing WriteBatch, durability: Durability? = nil) throws(SiltstoneError) {
    if batch.isEmpty { return }
    try engine.commit(batch.encoded, durability)
  }

  /// Builds a batch in `body` and commits it. If `body` throws, nothing is written.
  public func write(
    durability: Durability? = nil, _ body: (inout WriteBatch) throws(SiltstoneError) -> Void
  ) throws(SiltstoneError) {
    var batch = WriteBatch()
    try body(&batch)
    try write(batch, durability: durability)
  }

  /// Makes everything acknowledged so far survive a power cut.
  public func sync() throws(SiltstoneError) { try engine.sync() }

  // MARK: - Reading

  /// The value of `key`, or nil.
  ///
  /// - Complexity: one probe for each memtable and run, most of which a filter answers; usually one block read.
  public func get<Key: Bytes>(_ key: Key) throws(SiltstoneError) -> [UInt8]? {
    try key.withBytes { (key) throws(SiltstoneError) in try get(key) }
  }

  /// The value of `key`, or nil.
  public func get(_ key: RawSpan) throws(SiltstoneError) -> [UInt8]? {
    try engine.get(ByteView(key), at: nil) { $0.copied() }
  }

  /// Calls `body` with the value of `key`, without a copy, and returns its result; nil if the key is absent.
  public func withValue<Result>(
    of key: RawSpan, _ body: (RawSpan) -> Result
  ) throws(SiltstoneError) -> Result? {
    try engine.get(ByteView(key), at: nil) { body(RawSpan(_unsafeStart: $0.base, byteCount: $0.count)) }
  }

  /// Calls `body` with the value of `key`, without a copy, and returns its result; nil if the key is absent.
  public func withValue<Key: Bytes, Result>(
    of key: Key, _ body: (RawSpan) -> Result
  ) throws(SiltstoneError) -> Result? {
    try key.withBytes { (key) throws(SiltstoneError) in try withValue(of: key, body) }
  }

  /// The values of `keys`, in their order, nil for those that are absent; all as of one moment.
  public func multiGet<Key: Bytes>(_ keys: [Key]) throws(SiltstoneError) -> [[UInt8]?] {
    try engine.multiGet(keys, at: nil)
  }

  /// A cursor over the keys in `range`, as of now.
  public func makeCursor(_ range: KeyRange = .all) throws(SiltstoneError) -> Cursor {
    Cursor(try engine.makeCursor(range, at: nil))
  }

  /// Calls `body` with each key and value in `range`, in order (or in reverse), until it returns false.
  public func scan(
    _ range: KeyRange = .all, reverse: Bool = false,
    _ body: (RawSpan, RawSpan) throws(SiltstoneError) -> Bool
  ) throws(SiltstoneError) {
    try engine.scan(range, at: nil, reverse: reverse, body)
  }

  /// The database as it stands now, to be read from for as long as the snapshot lives.
  public func snapshot() throws(SiltstoneError) -> Snapshot { try Snapshot(engine) }

  /// Looks `key` up, and tells every structure that was probed on the way.
  public func trace<Key: Bytes>(_ key: Key) throws(SiltstoneError) -> ReadTrace {
    try key.withBytes { (key) throws(SiltstoneError) in try engine.trace(ByteView(key)) }
  }

  // MARK: - Housekeeping

  /// Writes what is in memory to tables, and returns when that is done.
  public func flush() throws(SiltstoneError) { try engine.flush() }

  /// Flushes, then merges everything in `range` into the last level, and returns when that is done: no obsolete
  /// version or tombstone is left in the range but for what snapshots see.
  public func compact(_ range: KeyRange = .all) throws(SiltstoneError) { try engine.compact(range) }

  /// Returns when no flush or compaction is pending.
  public func waitForCompaction() throws(SiltstoneError) { try engine.waitForCompaction() }

  /// Reads every file of the database and checks every checksum and every invariant.
  ///
  /// - Parameter progress: called with a line for each file.
  /// - Returns: what was checked, and every problem found. Throws only if checking itself failed.
  public func verify(_ progress: (String) -> Void = { _ in }) throws(SiltstoneError) -> VerifyReport {
    try engine.verify(progress)
  }

  /// Makes everything durable, ends background work and lets go of the directory. Snapshots and cursors must be gone.
  /// Further calls throw `.closed`; closing twice is no error.
  public func close() throws(SiltstoneError) { try engine.close() }
}

/// What `Database.verify` found.
public struct VerifyReport: Sendable {
  /// Tables read in full.
  public internal(set) var tables = 0
  /// Entries in them.
  public internal(set) var entries: UInt64 = 0
  /// Bytes of them.
  public internal(set) var tableBytes: UInt64 = 0
  /// Log records that verified.
  public internal(set) var logRecords = 0
  /// What is wrong, one error for each file with a problem. Empty if all is well.
  public internal(set) var problems: [SiltstoneError] = []
}
