/// An engine under test: one file for each, all behind this protocol.
///
/// The measuring code is generic over it, so that a call costs no dispatch that one engine would pay and another not.
/// Every engine is asked for the same: a value that is read is copied into the caller's buffer, so that memory-mapped
/// engines touch what they return, and engines that return a buffer of their own free it.
protocol KeyValueEngine: AnyObject, Sendable {
  associatedtype Session: EngineSession

  /// The name on the command line.
  static var name: String { get }
  /// Whether several processes may have one directory open and write to it.
  static var sharesBetweenProcesses: Bool { get }

  /// Opens the database in `directory`, and makes it where there is none.
  init(directory: String, specification: RunSpecification) throws

  /// The library's version, how it was built as far as that can be told, and each setting that was made.
  var identity: RunResult.Engine { get }

  /// What one thread works through. Called once for each thread.
  func makeSession() throws -> Session

  /// Returns when everything in memory is in tables and no compaction is due. Engines without either return at once.
  func settle() throws
  /// Merges everything down to the last level, as far as the engine has such a thing.
  func compact() throws
  /// Ends all work and lets go of the directory. Nothing else is called afterwards.
  func close() throws

  /// Figures of the engine's own, for attribution beside those taken from outside; empty if it has none.
  var internals: [String: Double] { get }
}

extension KeyValueEngine {
  static var sharesBetweenProcesses: Bool { false }
  var internals: [String: Double] { [:] }
  func settle() throws {}
  func compact() throws {}
}

/// One thread's access to an engine.
protocol EngineSession: AnyObject {
  /// Stores one entry, as durable as the specification says when it returns.
  func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws
  /// Removes one key.
  func delete(_ key: UnsafeRawBufferPointer) throws

  /// Adds to the session's batch.
  func batchPut(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws
  func batchDelete(_ key: UnsafeRawBufferPointer) throws
  /// Commits the session's batch, atomically and as durable as the specification says, and empties it.
  func commitBatch() throws

  /// Removes every key from `begin` on and before `end`: by the engine's own range delete if it has one, otherwise by a
  /// scan and a delete of each, in batches.
  func deleteRange(from begin: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws

  /// Copies the value of `key` into `buffer` as far as it fits, and returns its length, or nil if there is none.
  func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int?
  /// Looks up all keys as of one moment where the engine can, and returns how many were found. `keys` lie one behind
  /// the other, each `keyBytes` long.
  func multiGet(_ keys: UnsafeRawBufferPointer, keyBytes: Int) throws -> Int

  /// Visits up to `limit` entries from the first one at or after `key` on (in reverse: the last one at or before it),
  /// reading key and value of each; an empty key stands for the first (the last) entry of all. Returns how many
  /// entries and how many bytes of keys and values it visited.
  func scan(from key: UnsafeRawBufferPointer, limit: Int, reverse: Bool) throws -> (entries: Int, bytes: Int)
}
