/// Puts and deletes that become visible together, or not at all.
///
/// A batch is encoded once, as it is built, in the form in which it goes into the log. It can be used again after
/// `removeAll()`, which keeps its memory. If a key appears several times, the last operation on it wins.
public struct WriteBatch: ~Copyable {
  var payload = ByteBuffer(capacityBytes: 512)
  private var size = BatchSize()
  /// The number of operations.
  public var count: Int { size.count }

  /// Makes an empty batch.
  public init() {}

  /// Whether there is nothing to write.
  public var isEmpty: Bool { count == 0 }

  /// Encoded size in bytes, what the batch will take in the log but for 16 bytes of framing a mebibyte.
  public var sizeBytes: Int { payload.count }

  /// Sets `key` to `value`.
  ///
  /// - Throws: `.invalidArgument` for an empty key, a key over 64 KiB, a value over 256 MiB, or a batch over 1 GiB; the
  ///   batch is then as it was.
  public mutating func put(_ key: RawSpan, _ value: RawSpan) throws(SiltstoneError) {
    let (key, value) = (ByteView(key), ByteView(value))
    try WriteBatch.check(key)
    try WriteBatch.check(value: value)
    try makeRoom(key.count + value.count)
    EntryEncoding.append(put: key, value, to: &payload)
    size.add(key, value)
  }

  /// Sets `key` to `value`.
  public mutating func put<Key: Bytes, Value: Bytes>(_ key: Key, _ value: Value) throws(SiltstoneError) {
    try key.withBytes { (key) throws(SiltstoneError) in
      try value.withBytes { (value) throws(SiltstoneError) in try put(key, value) }
    }
  }

  /// Removes `key`; no error if it is absent.
  public mutating func delete(_ key: RawSpan) throws(SiltstoneError) {
    let key = ByteView(key)
    try WriteBatch.check(key)
    try makeRoom(key.count)
    EntryEncoding.append(delete: key, to: &payload)
    size.add(key, .empty)
  }

  /// Removes `key`; no error if it is absent.
  public mutating func delete<Key: Bytes>(_ key: Key) throws(SiltstoneError) {
    try key.withBytes { (key) throws(SiltstoneError) in try delete(key) }
  }

  /// Empties the batch, keeping its memory.
  public mutating func removeAll() {
    payload.removeAll()
    size = BatchSize()
  }

  /// What the commit pipeline takes. Valid until the batch changes.
  var encoded: EncodedBatch {
    EncodedBatch(payload: payload.view, size: size)
  }

  private func makeRoom(_ bytes: Int) throws(SiltstoneError) {
    // The memtable's share is the larger one: it pays for nodes as well.
    let needed = Memtable.capacityNeeded(count: count + 1, payloadBytes: size.keyValueBytes + bytes)
    guard needed <= Limits.maxBatchBytes else {
      throw SiltstoneError(.invalidArgument, "the batch would take more than 1 GiB in memory")
    }
  }

  @inline(__always)
  static func check(_ key: ByteView) throws(SiltstoneError) {
    if key.count == 0 { throw SiltstoneError(.invalidArgument, "the key is empty") }
    if key.count > Limits.maxKeyBytes {
      throw SiltstoneError(.invalidArgument, "the key has \(key.count) bytes; \(Limits.maxKeyBytes) are allowed")
    }
  }

  @inline(__always)
  static func check(value: ByteView) throws(SiltstoneError) {
    if value.count > Limits.maxValueBytes {
      throw SiltstoneError(.invalidArgument, "the value has \(value.count) bytes; \(Limits.maxValueBytes) are allowed")
    }
  }
}
