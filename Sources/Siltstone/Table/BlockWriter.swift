internal import CSupport

/// Puts blocks into a table's file: compresses them where that pays, frames and checksums them.
/// The frame is drawn at the head of StoredBlock.swift.
struct BlockWriter: ~Copyable {
  private var file: TableFileWriter
  /// A block is gathered here to be compressed, and compressed to `compressed`.
  private var gathered = ByteBuffer()
  private var compressed = ByteBuffer()
  private var compressor = BlockCompressor()
  private var frame = ByteBuffer(capacityBytes: 64)

  init(file: consuming TableFileWriter) { self.file = file }

  /// The offset at which the next block will lie.
  var position: UInt64 { file.position }

  /// Stores a sealed block.
  mutating func write(
    _ block: borrowing BlockBuilder, _ compression: Compression
  ) throws(SiltstoneError) -> BlockHandle {
    if compression != .none {
      gathered.removeAll()
      gathered.append(block.keyArea)
      gathered.append(block.valueArea)
      gathered.append(block.tailArea)
      if compressor.compress(gathered.view, compression, into: &compressed) {
        let offset = file.position
        let checksum = try append(compressed.view, 0)
        return try finish(offset, compression, rawBytes: gathered.count, checksum)
      }
    }
    // As it is: straight from the builder's three areas, without gathering them first.
    let offset = file.position
    var checksum = try append(block.keyArea, 0)
    checksum = try append(block.valueArea, checksum)
    checksum = try append(block.tailArea, checksum)
    return try finish(offset, .none, rawBytes: Int(file.position - offset), checksum)
  }

  /// Stores a payload that is no block of entries, uncompressed.
  mutating func write(_ payload: ByteView) throws(SiltstoneError) -> BlockHandle {
    let offset = file.position
    let checksum = try append(payload, 0)
    return try finish(offset, .none, rawBytes: payload.count, checksum)
  }

  /// Ends the file with `footer`, syncs and closes it.
  mutating func finish(_ footer: Footer) throws(SiltstoneError) {
    gathered.removeAll()
    footer.encode(into: &gathered)
    try file.append(gathered.view)
    try file.finish()
  }

  mutating func abandon() { file.abandon() }

  /// Appends a piece of a payload, and returns the payload's checksum so far.
  private mutating func append(_ piece: ByteView, _ checksum: UInt32) throws(SiltstoneError) -> UInt32 {
    try file.append(piece)
    return csup_crc32c(checksum, piece.base, piece.count)
  }

  private mutating func finish(
    _ offset: UInt64, _ codec: Compression, rawBytes: Int, _ payloadChecksum: UInt32
  ) throws(SiltstoneError) -> BlockHandle {
    frame.removeAll()
    let checksum = StoredBlock.encodeFrame(
      codec: codec, rawBytes: rawBytes, payloadChecksum: payloadChecksum,
      at: frame.appendUninitialized(StoredBlock.frameBytes))
    try file.append(frame.view)
    return BlockHandle(offset: offset, sizeBytes: Int(file.position - offset), checksum: checksum)
  }
}
