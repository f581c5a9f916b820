internal import CSupport

/// A block as it lies in the file, whatever it holds: data, index, filter, properties.
///
///     size   field
///        -   payload, perhaps compressed
///        1   codec: a `Compression` raw value
///        4   length of the payload once decompressed
///        4   CRC32C of everything before it
///
/// All integers are little-endian. The codec stands with the block and not with the table, because a block that
/// would not shrink by an eighth is stored as it is. A stored block refers to nothing outside itself, so that it can
/// be moved to another table without being decoded.
struct StoredBlock {
  static let frameBytes = 9
  /// The largest block: one entry whose key and value are as long as they may be, with room to spare for headers and
  /// for the entries that came before it. Keeps a hostile length from asking for memory.
  static let maxSizeBytes = Limits.maxValueBytes + Limits.maxKeyBytes + (1 << 20)

  let payload: ByteView
  let codec: Compression
  let rawBytes: Int

  /// Checks the frame and both checksums of the block that `handle` points to, and takes it apart.
  /// REQUIRES: `bytes.count == handle.sizeBytes`. The result's views live as long as `bytes`.
  static func open(
    _ bytes: ByteView, _ handle: BlockHandle, file: String
  ) throws(SiltstoneError) -> StoredBlock {
    let payloadBytes = bytes.count - frameBytes
    guard payloadBytes >= 0 else {
      throw .corrupt("a block of \(bytes.count) bytes has no frame", file: file, offset: handle.offset)
    }
    let frame = bytes.base + payloadBytes
    let stored = UInt32(littleEndian: frame.loadUnaligned(fromByteOffset: 5, as: UInt32.self))
    guard stored == csup_crc32c(0, bytes.base, payloadBytes + 5) else {
      throw .corrupt("a block's checksum does not match its bytes", file: file, offset: handle.offset)
    }
    guard stored == handle.checksum else {
      throw .corrupt("a block is intact, but not the one its index names", file: file, offset: handle.offset)
    }
    let rawBytes = UInt32(littleEndian: frame.loadUnaligned(fromByteOffset: 1, as: UInt32.self))
    guard let codec = Compression(rawValue: bytes[payloadBytes]), rawBytes <= maxSizeBytes,
      codec != .none || rawBytes == payloadBytes
    else {
      throw .corrupt("a block's frame makes no sense", file: file, offset: handle.offset)
    }
    return StoredBlock(payload: bytes.prefix(payloadBytes), codec: codec, rawBytes: Int(rawBytes))
  }

  /// Decompresses the payload into `raw`. REQUIRES: `raw.count == rawBytes`.
  func decompress(
    into raw: UnsafeMutableRawBufferPointer, _ handle: BlockHandle, file: String
  ) throws(SiltstoneError) {
    assert(raw.count == rawBytes)
    guard codec.decompress(payload, into: raw) else {
      throw .corrupt("a block does not decompress", file: file, offset: handle.offset)
    }
  }

  /// The nine bytes after the payload whose CRC32C is `payloadChecksum`, and the checksum they end with.
  static func encodeFrame(
    codec: Compression, rawBytes: Int, payloadChecksum: UInt32, at frame: UnsafeMutableRawPointer
  ) -> UInt32 {
    frame.storeBytes(of: codec.rawValue, as: UInt8.self)
    frame.storeBytes(of: UInt32(rawBytes).littleEndian, toByteOffset: 1, as: UInt32.self)
    let checksum = csup_crc32c(payloadChecksum, frame, 5)
    frame.storeBytes(of: checksum.littleEndian, toByteOffset: 5, as: UInt32.self)
    return checksum
  }
}
