internal import CSupport

/// How entries stand in a log record's payload, and so in a batch from the moment it is built: one encoding, written
/// once by the caller and never again.
///
///     kind (1)   0 = delete, 1 = put, 2 = put with a large value, 3 = a value alone
///     key length (varint; not of kind 3)   value length (varint; not of deletes)
///     CRC32C of the value (4; kinds 2 and 3)   key   value
///
/// An entry's sequence number is the log position of its kind byte, as if the batch had stood in one piece: the
/// position of the batch's first payload byte plus the entry's offset. A batch cut into several records only takes
/// more room than that, so numbers never collide and always grow.
///
/// A large value may stay in the log, with the entry pointing at it: the record says whether those of its batch do. A
/// value alone is one that a compaction has moved; the entry that points at it is in a table.
enum EntryEncoding {
  /// The most bytes that come before the key.
  static let maxHeaderBytes = 1 + 5 + 5 + 4
  /// Values of this size and more are large. A pointer saves a value of this size some seven of its eight writes, and
  /// costs its reader a read of its own: for smaller ones a scan would feel that more than an ingest.
  static let largeValueBytes = 4 << 10
  private static let largePutKind = EntryKind.putApart.rawValue
  private static let valueKind: UInt8 = 3

  /// One entry, in place in a payload.
  struct Entry {
    /// `.putApart` for a put with a large value.
    let kind: EntryKind
    let key: ByteView
    let value: ByteView
    /// Where it began in the payload.
    let offset: Int
    /// Of a large value.
    let checksum: UInt32
  }

  /// Writes a put and returns its length. REQUIRES: room for `maxHeaderBytes` and the key and the value.
  @inline(__always)
  static func store(put key: ByteView, _ value: ByteView, at destination: UnsafeMutableRawPointer) -> Int {
    let isLarge = value.count >= largeValueBytes
    destination.storeBytes(of: isLarge ? largePutKind : EntryKind.put.rawValue, as: UInt8.self)
    var length = 1
    length &+= storeVarint(UInt64(key.count), at: destination + length)
    length &+= storeVarint(UInt64(value.count), at: destination + length)
    if isLarge { length &+= store(checksumOf: value, at: destination + length) }
    (destination + length).copyMemory(from: key.base, byteCount: key.count)
    length &+= key.count
    (destination + length).copyMemory(from: value.base, byteCount: value.count)
    return length &+ value.count
  }

  @inline(never)
  private static func store(checksumOf value: ByteView, at destination: UnsafeMutableRawPointer) -> Int {
    destination.storeBytes(of: csup_crc32c(0, value.base, value.count).littleEndian, as: UInt32.self)
    return 4
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

  /// Appends a value alone. It ends the payload, and so lies in its last `value.count` bytes.
  static func append(value: ByteView, checksum: UInt32, to payload: inout ByteBuffer) {
    payload.append(valueKind)
    payload.append(varint: UInt64(value.count))
    payload.append(fixed: checksum)
    payload.append(value)
  }

  /// Calls `body` for each entry in order, until it returns false. Returns false if the payload is malformed.
  @inline(__always)
  static func forEach<Failure: Error>(
    in payload: ByteView, _ body: (Entry) throws(Failure) -> Bool
  ) throws(Failure) -> Bool {
    var reader = ByteReader(payload)
    while !reader.isAtEnd {
      let offset = payload.count &- reader.rest.count
      guard let kindByte = reader.readFixed(UInt8.self) else { return false }
      guard let kind = EntryKind(rawValue: kindByte) else {
        if kindByte == valueKind, skipValue(&reader) { continue }
        return false
      }
      guard let keyLength = reader.readVarint(), keyLength > 0, keyLength <= UInt64(Limits.maxKeyBytes) else {
        return false
      }
      var valueLength: UInt64 = 0
      var checksum: UInt32 = 0
      if kind != .delete {
        guard let length = reader.readVarint(), length <= UInt64(Limits.maxValueBytes) else { return false }
        valueLength = length
        if kind == .putApart {
          guard length > 0, let stored = reader.readFixed(UInt32.self) else { return false }
          checksum = stored
        }
      }
      guard let key = reader.readBytes(Int(keyLength)), let value = reader.readBytes(Int(valueLength)) else {
        return false
      }
      if !(try body(Entry(kind: kind, key: key, value: value, offset: offset, checksum: checksum))) { return true }
    }
    return true
  }

  @inline(never)
  private static func skipValue(_ reader: inout ByteReader) -> Bool {
    guard let length = reader.readVarint(), length <= UInt64(Limits.maxValueBytes) else { return false }
    return reader.readFixed(UInt32.self) != nil && reader.readBytes(Int(length)) != nil
  }

  /// What a payload's entries come to; nil if it is malformed.
  static func measure(_ payload: ByteView) -> BatchSize? {
    var size = BatchSize()
    let isWhole = forEach(in: payload) { entry in
      size.add(entry.key.count, entry.value.count, isLarge: entry.kind == .putApart)
      return true
    }
    return isWhole ? size : nil
  }
}

/// What the entries of a batch come to.
struct BatchSize {
  private(set) var count = 0
  /// Key and value bytes, without the encoding's own.
  private(set) var keyValueBytes = 0
  private(set) var largeValueCount = 0
  private(set) var largeValueBytes = 0

  @inline(__always)
  mutating func add(_ keyBytes: Int, _ valueBytes: Int, isLarge: Bool) {
    count &+= 1
    keyValueBytes &+= keyBytes &+ valueBytes
    if isLarge {
      largeValueCount &+= 1
      largeValueBytes &+= valueBytes
    }
  }

  /// As `EntryEncoding.store(put:)` writes it.
  @inline(__always)
  mutating func add(_ key: ByteView, _ value: ByteView) {
    add(key.count, value.count, isLarge: value.count >= EntryEncoding.largeValueBytes)
  }

  /// A value alone, which stays in the log whatever is around it, and of which a memtable takes nothing.
  private(set) var isMovedValue = false

  init() {}
  init(movedValueBytes: Int) {
    isMovedValue = true
    (keyValueBytes, largeValueBytes) = (movedValueBytes, movedValueBytes)
  }

  /// What a memtable takes of them: of large values that stay in the log only pointers.
  @inline(__always)
  func memtableBytes(keepsValues: Bool) -> Int {
    keepsValues
      ? keyValueBytes &- largeValueBytes &+ largeValueCount &* ValuePointer.maxEncodedBytes : keyValueBytes
  }
}

/// A batch as it stands in the log, whole.
struct LoggedBatch {
  let payload: ByteView
  /// The log position of the payload's first byte.
  let firstByte: LogPosition
  /// Where it is cut, if it is longer than that.
  let recordBytes: Int
  /// Whether entries point at their large values, rather than have them.
  let keepsValues: Bool
}
