/// Where a stored block lies, and which bytes it must be. Held by the block's parent: the checksum here and the one in
/// the block's own frame must both match, so that a block which is intact but stale, or belongs elsewhere, is caught.
///
///     varint   offset of the block in the file
///     varint   its stored size in bytes, frame included
///     4        its CRC32C, little-endian
struct BlockHandle: Equatable {
  var offset: UInt64
  var sizeBytes: Int
  var checksum: UInt32

  var end: UInt64 { offset + UInt64(sizeBytes) }

  func encode(into buffer: inout ByteBuffer) {
    buffer.append(varint: offset)
    buffer.append(varint: UInt64(sizeBytes))
    buffer.append(fixed: checksum)
  }

  /// The next handle in `reader`, or nil where the bytes make no sense.
  static func decode(_ reader: inout ByteReader) -> BlockHandle? {
    guard let offset = reader.readVarint(), let sizeBytes = reader.readVarint(),
      let checksum = reader.readFixed(UInt32.self)
    else { return nil }
    return BlockHandle(offset, sizeBytes, checksum)
  }

  init(offset: UInt64, sizeBytes: Int, checksum: UInt32) {
    self.offset = offset
    self.sizeBytes = sizeBytes
    self.checksum = checksum
  }

  /// A handle out of hostile numbers: nil unless its end is a number, and its size one that a block can have.
  init?(_ offset: UInt64, _ sizeBytes: UInt64, _ checksum: UInt32) {
    guard sizeBytes <= UInt64(StoredBlock.maxSizeBytes), offset <= UInt64(Int64.max) - sizeBytes
    else { return nil }
    self.init(offset: offset, sizeBytes: Int(sizeBytes), checksum: checksum)
  }
}

/// What the top-level index holds for one partition: the handle of the index partition, then that of its filter
/// (absent where the table was built without one).
struct PartitionHandles: Equatable {
  var index: BlockHandle
  var filter: BlockHandle?

  func encode(into buffer: inout ByteBuffer) {
    index.encode(into: &buffer)
    filter?.encode(into: &buffer)
  }

  static func decode(_ bytes: ByteView) -> PartitionHandles? {
    var reader = ByteReader(bytes)
    guard let index = BlockHandle.decode(&reader) else { return nil }
    if reader.isAtEnd { return PartitionHandles(index: index, filter: nil) }
    guard let filter = BlockHandle.decode(&reader), reader.isAtEnd else { return nil }
    return PartitionHandles(index: index, filter: filter)
  }
}
