/// How entries stand in a log record's payload, and so in a batch from the moment it is built: one encoding, written
/// once by the caller and never again.
///
///     kind (1)   0 = delete, 1 = put
///     key length (varint)   value length (varint; puts only)   key   value
///
/// An entry's sequence number is the log position of its kind byte, as if the batch had stood in one piece: the
/// position of the batch's first payload byte plus the entry's offset. A batch cut into several records only takes
/// more room than that, so numbers never collide and always grow.
enum EntryEncoding {
  /// The most bytes that come before the key.
  static let maxHeaderBytes = 1 + 5 + 5

  /// One entry, in place in a payload.
  struct Entry {
    let kind: EntryKind
    let key: ByteView
    let value: ByteView
    /// Where it began in the payload.
    let offset: Int
  }

  /// Writes a put and returns its length. REQUIRES: room for `maxHeaderBytes` and the key and the value.
  @inline(__always)
  static func store(put key: ByteView, _ value: ByteView, at destination: UnsafeMutableRawPointer) -> Int {
    destination.storeBytes(of: EntryKind.put.rawValue, as: UInt8.self)
    var length = 1
    length &+= storeVarint(UInt64(key.count), at: destination + length)
    length &+= storeVarint(UInt64(value.count), at: destination + length)
    (destination + length).copyMemory(from: key.base, byteCount: key.count)
    length &+= key.count
    (destination + length).copyMemory(from: value.base, byteCount: value.count)
    return length &+ value.count
  }

  /// Writes a delete and returns its length. REQUIRES: room for `maxHeaderBytes` and the key.
  @inline(__always)
  static func store(delete key: ByteView, at destination: UnsafeMutableRawPointer) -> Int {
    destination.storeBytes(of: EntryKind.delete.rawValue, as: UInt8.self)
    var length = 1
    length &+= storeVarint(UInt64(key.count), at: destination + length)
    (destination + length).copyMemory(from: key.base, byteCount: key.count)
    return length &+ key.count
  }

  @inline(__always)
  static func append(put key: ByteView, _ value: ByteView, to payload: inout ByteBuffer) {
    let bound = maxHeaderBytes &+ key.count &+ value.count
    payload.append(upTo: bound) { store(put: key, value, at: $0) }
  }

  @inline(__always)
  static func append(delete key: ByteView, to payload: inout ByteBuffer) {
    payload.append(upTo: maxHeaderBytes &+ key.count) { store(delete: key, at: $0) }
  }

  /// Calls `body` for each entry in order, until it returns false. Returns false if the payload is malformed.
  @inline(__always)
  static func forEach<Failure: Error>(
    in payload: ByteView, _ body: (Entry) throws(Failure) -> Bool
  ) throws(Failure) -> Bool {
    var reader = ByteReader(payload)
    while !reader.isAtEnd {
      let offset = payload.count &- reader.rest.count
      guard let kindByte = reader.readFixed(UInt8.self), let kind = EntryKind(rawValue: kindByte),
        let keyLength = reader.readVarint(), keyLength > 0, keyLength <= UInt64(Limits.maxKeyBytes)
      else { return false }
      var valueLength: UInt64 = 0
      if kind == .put {
        guard let length = reader.readVarint(), length <= UInt64(Limits.maxValueBytes) else { return false }
        valueLength = length
      }
      guard let key = reader.readBytes(Int(keyLength)), let value = reader.readBytes(Int(valueLength)) else {
        return false
      }
      if !(try body(Entry(kind: kind, key: key, value: value, offset: offset))) { return true }
    }
    return true
  }

  /// The number of entries in a payload, and their key and value bytes; nil if it is malformed.
  static func measure(_ payload: ByteView) -> (count: Int, keyValueBytes: Int)? {
    var size = (count: 0, keyValueBytes: 0)
    let isWhole = forEach(in: payload) { entry in
      size.count += 1
      size.keyValueBytes += entry.key.count + entry.value.count
      return true
    }
    return isWhole ? size : nil
  }
}
