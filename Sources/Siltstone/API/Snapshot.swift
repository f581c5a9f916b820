/// The database as it stood at one moment. Reads through it see exactly the batches that were acknowledged before, and
/// nothing later, for as long as it lives. Compaction keeps what a snapshot sees, so release it when done: by `close`, or
/// by dropping the last reference. Thread-safe.
public final class Snapshot: Sendable {
  private let engine: Engine
  /// The log position that it stands for.
  public let position: UInt64
  private let registration: SnapshotRegistration

  init(_ engine: Engine) throws(SiltstoneError) {
    self.engine = engine
    registration = try engine.registerSnapshot()
    position = registration.position
  }

  /// Lets compaction forget what only this snapshot saw. Later reads through it throw `.closed`.
  public func close() { registration.end() }

  private func check() throws(SiltstoneError) {
    if registration.hasEnded { throw SiltstoneError(.closed, "the snapshot was closed") }
  }

  /// The value of `key`, or nil.
  public func get<Key: Bytes>(_ key: Key) throws(SiltstoneError) -> [UInt8]? {
    try check()
    return try key.withBytes { (key) throws(SiltstoneError) in
      try engine.get(ByteView(key), at: position) { $0.copied() }
    }
  }

  /// Calls `body` with the value of `key`, without a copy, and returns its result; nil if the key is absent.
  public func withValue<Result>(
    of key: RawSpan, _ body: (RawSpan) -> Result
  ) throws(SiltstoneError) -> Result? {
    try check()
    return try engine.get(ByteView(key), at: position) { body(RawSpan(_unsafeStart: $0.base, byteCount: $0.count)) }
  }

  /// The values of `keys`, in their order, nil for those that are absent.
  public func multiGet<Key: Bytes>(_ keys: [Key]) throws(SiltstoneError) -> [[UInt8]?] {
    try check()
    return try engine.multiGet(keys, at: position)
  }

  /// A cursor over the keys in `range`.
  public func makeCursor(_ range: KeyRange = .all) throws(SiltstoneError) -> Cursor {
    try check()
    return Cursor(try engine.makeCursor(range, at: position))
  }

  /// Calls `body` with each key and value in `range`, in order (or in reverse), until it returns false.
  public func scan(
    _ range: KeyRange = .all, reverse: Bool = false,
    _ body: (RawSpan, RawSpan) throws(SiltstoneError) -> Bool
  ) throws(SiltstoneError) {
    try check()
    try engine.scan(range, at: position, reverse: reverse, body)
  }
}
