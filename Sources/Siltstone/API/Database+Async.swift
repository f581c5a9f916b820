/// The same operations for `async` callers. What may block runs on a thread of the engine's own, never on the
/// cooperative pool. A lookup that finds everything in memory is answered at once, without a hop.
extension Database {
  /// Sets `key` to `value`.
  public func put<Key: Bytes & Sendable, Value: Bytes & Sendable>(
    _ key: Key, _ value: Value, durability: Durability? = nil
  ) async throws(SiltstoneError) {
    try await offloaded { () throws(SiltstoneError) in try self.put(key, value, durability: durability) }
  }

  /// Removes `key`.
  public func delete<Key: Bytes & Sendable>(_ key: Key, durability: Durability? = nil) async throws(SiltstoneError) {
    try await offloaded { () throws(SiltstoneError) in try self.delete(key, durability: durability) }
  }

  /// Builds a batch in `body` and commits it.
  public func write(
    durability: Durability? = nil, _ body: @escaping @Sendable (inout WriteBatch) throws(SiltstoneError) -> Void
  ) async throws(SiltstoneError) {
    try await offloaded { () throws(SiltstoneError) in try self.write(durability: durability, body) }
  }

  /// The value of `key`, or nil.
  public func get<Key: Bytes & Sendable>(_ key: Key) async throws(SiltstoneError) -> [UInt8]? {
    do throws(SiltstoneError) {
      return try key.withBytes { (key) throws(SiltstoneError) in
        try engine.get(ByteView(key), at: nil, mayReadDisk: false) { $0.copied() }
      }
    } catch {
      if error.code != .wouldReadDisk { throw error }
    }
    return try await offloaded { () throws(SiltstoneError) in try self.get(key) }
  }

  /// The values of `keys`, in their order, nil for those that are absent; all as of one moment.
  public func multiGet<Key: Bytes & Sendable>(_ keys: [Key]) async throws(SiltstoneError) -> [[UInt8]?] {
    try await offloaded { () throws(SiltstoneError) in try self.multiGet(keys) }
  }

  /// Makes everything acknowledged so far survive a power cut.
  public func sync() async throws(SiltstoneError) {
    try await offloaded { () throws(SiltstoneError) in try self.sync() }
  }

  /// Writes what is in memory to tables.
  public func flush() async throws(SiltstoneError) {
    try await offloaded { () throws(SiltstoneError) in try self.flush() }
  }

  /// Merges everything in `range` into the last level.
  public func compact(_ range: KeyRange = .all) async throws(SiltstoneError) {
    try await offloaded { () throws(SiltstoneError) in try self.compact(range) }
  }

  /// Ends background work and lets go of the directory.
  public func close() async throws(SiltstoneError) {
    try await offloaded { () throws(SiltstoneError) in try self.close() }
  }

  /// Runs `body` on one of the engine's threads.
  private func offloaded<Result: Sendable>(
    _ body: @escaping @Sendable () throws(SiltstoneError) -> Result
  ) async throws(SiltstoneError) -> Result {
    let outcome: Swift.Result<Result, SiltstoneError> = await withCheckedContinuation { continuation in
      BlockingPool.shared.run {
        do throws(SiltstoneError) {
          continuation.resume(returning: .success(try body()))
        } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
    return try outcome.get()
  }
}
