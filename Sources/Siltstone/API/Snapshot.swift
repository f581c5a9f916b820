/// The database as it stood at one moment. Reads through it see exactly the batches that were acknowledged before, and
/// nothing later, for as long as it lives. Compaction keeps what a snapshot sees, so release it when done: by `close`,
/// or by dropping the last reference. Thread-safe.
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

  /// The value of `key`, or nil.
  public func get<Key: Bytes>(_ key: Key) throws(SiltstoneError) -> [UInt8]? {
    try key.withBytes { (key) throws(SiltstoneError) in try get(key) }
  }

  /// The value of `key`, or nil.
  public func get(_ key: RawSpan) throws(SiltstoneError) -> [UInt8]? {
    try engine.get(ByteView(key), at: registration) { $0.copied() }
  }

  /// Calls `body` with the value of `key`, without a copy, and returns its result; nil if the key is absent.
  public func withValue<Result>(
    of key: RawSpan, _ body: (RawSpan) -> Result
  ) throws(SiltstoneError) -> Result? {
    try engine.get(ByteView(key), at: registration) { body(RawSpan(_unsafeStart: $0.base, byteCount: $0.count)) }
  }

  /// Calls `body` with the value of `key`, without a copy, and returns its result; nil if the key is absent.
  public func withValue<Key: Bytes, Result>(
    of key: Key, _ body: (RawSpan) -> Result
  ) throws(SiltstoneError) -> Result? {
    try key.withBytes { (key) throws(SiltstoneError) in try withValue(of: key, body) }
  }

  /// The values of `keys`, in their order, nil for those that are absent.
  public func multiGet<Key: Bytes>(_ keys: [Key]) throws(SiltstoneError) -> [[UInt8]?] {
    try engine.multiGet(keys, at: registration)
  }

  /// A cursor over the keys in `range`.
  public func makeCursor(_ range: KeyRange = .all) throws(SiltstoneError) -> Cursor {
    Cursor(try engine.makeCursor(range, at: registration))
  }

  /// Calls `body` with each key and value in `range`, in order (or in reverse), until it returns false.
  public func scan(
    _ range: KeyRange = .all, reverse: Bool = false,
    _ body: (RawSpan, RawSpan) throws(SiltstoneError) -> Bool
  ) throws(SiltstoneError) {
    try engine.scan(range, at: registration, reverse: reverse, body)
  }
}
