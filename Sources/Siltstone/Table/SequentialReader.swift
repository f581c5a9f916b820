/// Reads a file's blocks in order, a step ahead: while the blocks of one 256 KiB chunk are decoded, the next is on
/// its way. Knows nothing of the block cache. One owner; not thread-safe.
///
/// A jump, back or far ahead, is allowed and begins a new stream there. After a throw the reader may be used again.
struct SequentialReader: ~Copyable {
  private static let chunkBytes = AlignedBufferPool.chunks.bufferBytes

  private let reader: BlockReader
  private let queue: any IOQueue
  private let buffers: [UnsafeMutableRawPointer]
  /// The chunk that the last block lay in: where it begins in the file, how much of it there is, and its buffer.
  private var chunkStart: UInt64 = 0
  private var chunkCount = 0
  private var chunkBuffer = 0
  /// Whether the chunk after it is being read, into the other buffer.
  private var isNextRequested = false
  /// A block that spans chunks is put together here.
  private var spanning = ByteBuffer(capacityBytes: 4096)
  /// A compressed block is decompressed here.
  private var raw = ByteBuffer(capacityBytes: 4096)

  init(_ reader: BlockReader, storage: any Storage) throws(SiltstoneError) {
    self.reader = reader
    queue = try storage.makeIOQueue(depth: 2)
    buffers = [AlignedBufferPool.chunks.take(), AlignedBufferPool.chunks.take()]
  }

  deinit {
    do throws(SiltstoneError) {
      while queue.outstanding > 0 { _ = try queue.wait() }
      for buffer in buffers { AlignedBufferPool.chunks.give(buffer) }
    } catch {
      // The queue is broken, and the kernel may still write to the buffers: they are better lost than reused.
    }
  }

  /// The block's bytes, checked and decompressed; valid until the next call.
  mutating func read(_ handle: BlockHandle) throws(SiltstoneError) -> ByteView {
    try reader.checkPlace(handle)
    let stored = try StoredBlock.open(try storedBytes(handle), handle, file: reader.file.name)
    if stored.codec == .none { return stored.payload }
    raw.removeAll()
    let destination = raw.appendUninitialized(stored.rawBytes)
    try stored.decompress(
      into: UnsafeMutableRawBufferPointer(start: destination, count: stored.rawBytes), handle,
      file: reader.file.name)
    return raw.view
  }

  /// The same, in memory of its own that can go into the cache.
  mutating func readForCache(_ handle: BlockHandle) throws(SiltstoneError) -> BlockReference {
    try reader.checkPlace(handle)
    let stored = try StoredBlock.open(try storedBytes(handle), handle, file: reader.file.name)
    let block = BlockReference(allocating: stored.rawBytes)
    try stored.decompress(into: block.writableBytes, handle, file: reader.file.name)
    return block
  }

  /// In the chunk's own memory if the block lies within one chunk, as most do.
  private mutating func storedBytes(_ handle: BlockHandle) throws(SiltstoneError) -> ByteView {
    try moveTo(handle.offset)
    let skipped = Int(handle.offset - chunkStart)
    if skipped + handle.sizeBytes <= chunkCount {
      return ByteView(buffers[chunkBuffer] + skipped, handle.sizeBytes)
    }
    spanning.removeAll()
    spanning.append(ByteView(buffers[chunkBuffer] + skipped, chunkCount - skipped))
    while spanning.count < handle.sizeBytes {
      try moveToNextChunk()
      let piece = min(handle.sizeBytes - spanning.count, chunkCount)
      guard piece > 0 else {
        throw .corrupt("the file ends inside a block", file: reader.file.name, offset: handle.offset)
      }
      spanning.append(ByteView(buffers[chunkBuffer], piece))
    }
    return spanning.view
  }

  /// Makes the chunk that holds `offset` the current one.
  private mutating func moveTo(_ offset: UInt64) throws(SiltstoneError) {
    if chunkCount > 0, offset >= chunkStart {
      if offset < chunkStart + UInt64(chunkCount) { return }
      // Into the next chunk: a filter or an index partition lay between, or a block ended with the chunk.
      if offset < chunkStart + UInt64(2 * SequentialReader.chunkBytes) { try moveToNextChunk() }
      if offset >= chunkStart, offset < chunkStart + UInt64(chunkCount) { return }
    }
    try restart(at: StorageAlignment.roundDown(offset))
    guard offset < chunkStart + UInt64(chunkCount) else {
      throw .corrupt("the file ends before a block", file: reader.file.name, offset: offset)
    }
  }

  private mutating func restart(at start: UInt64) throws(SiltstoneError) {
    // Whatever is on its way belongs to the old stream.
    isNextRequested = false
    chunkCount = 0
    while queue.outstanding > 0 { _ = try queue.wait() }
    try request(start, into: 0)
    chunkStart = start
    chunkBuffer = 0
    chunkCount = try receive()
    try requestNext()
  }

  private mutating func moveToNextChunk() throws(SiltstoneError) {
    let start = chunkStart + UInt64(SequentialReader.chunkBytes)
    chunkCount = 0
    guard isNextRequested else {
      throw .corrupt("the file ends inside a block", file: reader.file.name, offset: start)
    }
    isNextRequested = false
    let received = try receive()
    chunkStart = start
    chunkBuffer = 1 - chunkBuffer
    chunkCount = received
    try requestNext()
  }

  private mutating func requestNext() throws(SiltstoneError) {
    let start = chunkStart + UInt64(SequentialReader.chunkBytes)
    guard start < reader.fileBytes else { return }
    try request(start, into: 1 - chunkBuffer)
    isNextRequested = true
  }

  private func request(_ start: UInt64, into buffer: Int) throws(SiltstoneError) {
    // Whole pages up to the file's end, as direct I/O must; a read past the end comes back short.
    let left = StorageAlignment.roundUp(reader.fileBytes - start)
    let count = Int(min(left, UInt64(SequentialReader.chunkBytes)))
    let target = UnsafeMutableRawBufferPointer(start: buffers[buffer], count: count)
    try queue.submitRead(reader.file, into: target, at: start, tag: start)
  }

  private func receive() throws(SiltstoneError) -> Int {
    let completion = try queue.wait()
    if let error = completion.error { throw error }
    return completion.bytesTransferred
  }
}
