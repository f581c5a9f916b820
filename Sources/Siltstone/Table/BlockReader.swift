/// Reads single blocks of one file from the disk, checks them, and decompresses them straight into the memory that the
/// cache will keep. Thread-safe; costs nothing to make.
struct BlockReader {
  let file: any StorageFile
  /// Of the whole file, whatever a handle claims.
  let fileBytes: UInt64

  /// REQUIRES: nothing of `handle`, which may come from a hostile file.
  func read(_ handle: BlockHandle) throws(SiltstoneError) -> BlockReference {
    try checkPlace(handle)
    return try withStoredBytes(at: handle.offset, handle.sizeBytes) { bytes throws(SiltstoneError) in
      try unpack(bytes, handle)
    }
  }

  /// Checks and decompresses a stored block that was read by other means. REQUIRES: `bytes.count == handle.sizeBytes`.
  func unpack(_ bytes: ByteView, _ handle: BlockHandle) throws(SiltstoneError) -> BlockReference {
    let stored = try StoredBlock.open(bytes, handle, file: file.name)
    let block = BlockReference(allocating: stored.rawBytes)
    try stored.decompress(into: block.writableBytes, handle, file: file.name)
    return block
  }

  func readFooter() throws(SiltstoneError) -> Footer {
    guard fileBytes >= UInt64(Footer.sizeBytes) else {
      throw .corrupt("a table of \(fileBytes) bytes has no room for its footer", file: file.name, offset: 0)
    }
    let offset = fileBytes - UInt64(Footer.sizeBytes)
    return try withStoredBytes(at: offset, Footer.sizeBytes) { bytes throws(SiltstoneError) in
      try Footer.decode(bytes, fileBytes: fileBytes, file: file.name)
    }
  }

  /// A handle must point between the file's beginning and its footer.
  func checkPlace(_ handle: BlockHandle) throws(SiltstoneError) {
    guard handle.end + UInt64(Footer.sizeBytes) <= fileBytes else {
      throw .corrupt("a handle points outside the table", file: file.name, offset: handle.offset)
    }
  }

  /// Reads whole pages, as direct I/O must, into a recycled buffer, and hands on the bytes asked for.
  private func withStoredBytes<Result: ~Copyable>(
    at offset: UInt64, _ byteCount: Int, _ body: (ByteView) throws(SiltstoneError) -> Result
  ) throws(SiltstoneError) -> Result {
    let start = StorageAlignment.roundDown(offset)
    let skipped = Int(offset - start)
    let needed = skipped + byteCount
    let buffer = AlignedBufferPool.blocks.buffer(atLeast: StorageAlignment.roundUp(needed))
    let window = UnsafeMutableRawBufferPointer(start: buffer.base, count: StorageAlignment.roundUp(needed))
    guard try file.read(into: window, at: start) >= needed else {
      throw .corrupt("the file ends inside a block", file: file.name, offset: offset)
    }
    return try body(ByteView(buffer.base + skipped, byteCount))
  }
}
