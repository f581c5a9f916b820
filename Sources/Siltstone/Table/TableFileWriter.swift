/// Appends to a new file through recycled 256 KiB buffers, and writes behind: while one fills, the others are on their
/// way to the disk. One owner; not thread-safe.
///
/// Every write is a whole buffer at an aligned offset, so that it can be direct; `finish` pads the last one and cuts
/// the file to its true size. After a throw the file is worthless, and only `abandon` may follow.
struct TableFileWriter: ~Copyable {
  /// One filling and two in flight: with fewer, the disk idles while a buffer fills.
  private static let bufferCount = 3

  private let storage: any Storage
  private let name: String
  private var file: (any StorageFile)?
  private let queue: any IOQueue
  private var buffers: [UnsafeMutableRawPointer] = []
  /// Buffers that are neither filling nor in flight.
  private var free: [Int] = []
  private var current = 0
  private var fill = 0
  private var submittedBytes: UInt64 = 0

  init(storage: any Storage, name: String) throws(SiltstoneError) {
    let queue = try storage.makeIOQueue(depth: TableFileWriter.bufferCount)
    let file = try storage.open(name, .create)
    self.storage = storage
    self.name = name
    self.queue = queue
    self.file = file
    for index in 0..<TableFileWriter.bufferCount {
      buffers.append(AlignedBufferPool.chunks.take())
      if index != current { free.append(index) }
    }
  }

  deinit { TableFileWriter.release(buffers, after: queue) }

  /// The offset at which the next byte will lie.
  @inline(__always) var position: UInt64 { submittedBytes &+ UInt64(fill) }

  mutating func append(_ bytes: ByteView) throws(SiltstoneError) {
    var rest = bytes
    let chunkBytes = AlignedBufferPool.chunks.bufferBytes
    while rest.count > 0 {
      let piece = min(rest.count, chunkBytes - fill)
      (buffers[current] + fill).copyMemory(from: rest.base, byteCount: piece)
      fill += piece
      rest = rest.dropFirst(piece)
      if fill == chunkBytes { try submit(chunkBytes) }
    }
  }

  /// Everything is written and synced, and the file is closed. The directory is not synced.
  mutating func finish() throws(SiltstoneError) {
    guard let file else { throw SiltstoneError(.closed, "the table was already finished", file: name) }
    let sizeBytes = position
    if fill > 0 {
      let padded = StorageAlignment.roundUp(fill)
      (buffers[current] + fill).initializeMemory(as: UInt8.self, repeating: 0, count: padded - fill)
      try submit(padded)
    }
    while queue.outstanding > 0 { try reap() }
    if submittedBytes != sizeBytes { try file.truncate(to: sizeBytes) }
    try file.sync()
    self.file = nil
    releaseBuffers()
  }

  /// Closes and removes the file. Never fails: a file that stays behind is in no manifest, and is swept up on open.
  mutating func abandon() {
    releaseBuffers()
    file = nil
    try? storage.remove(name)
  }

  private mutating func submit(_ byteCount: Int) throws(SiltstoneError) {
    guard let file else { throw SiltstoneError(.closed, "the table was already finished", file: name) }
    let bytes = UnsafeRawBufferPointer(start: buffers[current], count: byteCount)
    try queue.submitWrite(file, bytes, at: submittedBytes, .none, tag: UInt64(current))
    submittedBytes += UInt64(byteCount)
    fill = 0
    while free.isEmpty { try reap() }
    current = free.removeLast()
  }

  private mutating func reap() throws(SiltstoneError) {
    let completion = try queue.wait()
    if let error = completion.error { throw error }
    free.append(Int(completion.tag))
  }

  private mutating func releaseBuffers() {
    TableFileWriter.release(buffers, after: queue)
    buffers.removeAll()
  }

  /// Gives the buffers back once nothing reads from them any more.
  private static func release(_ buffers: [UnsafeMutableRawPointer], after queue: any IOQueue) {
    do throws(SiltstoneError) {
      while queue.outstanding > 0 { _ = try queue.wait() }
      for buffer in buffers { AlignedBufferPool.chunks.give(buffer) }
    } catch {
      // The queue is broken, and the kernel may still read from the buffers: they are better lost than reused.
    }
  }
}
