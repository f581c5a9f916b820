internal import CSupport

/// Reads many values with their reads overlapped, where single reads would wait for one after the other. One owner.
struct ValueBatch: ~Copyable {
  private let values: ValueReader
  private let queue: any IOQueue
  private var bytes = ByteBuffer()

  /// What is read at a time, unless one value alone is larger.
  static let windowBytes = 4 << 20
  /// What one read brings: with what alignment adds it fits a buffer.
  private static let pieceBytes = AlignedBufferPool.chunks.bufferBytes - 2 * StorageAlignment.bytes

  private struct Piece {
    let position: LogPosition
    let count: Int
    let destination: UnsafeMutableRawPointer
    var buffer: UnsafeMutableRawPointer?
  }

  /// REQUIRES: nothing is outstanding on `queue`, which is the batch's own while it lives.
  init(_ values: ValueReader, _ queue: any IOQueue) {
    self.values = values
    self.queue = queue
  }

  /// Calls `body` with the index of each pointer and its value, verified, in order. REQUIRES: as `ValueReader`.
  mutating func read(
    _ pointers: [ValuePointer], _ body: (Int, ByteView) throws(SiltstoneError) -> Void
  ) throws(SiltstoneError) {
    var next = 0
    while next < pointers.count {
      var end = next
      var sum = 0
      while end < pointers.count, end == next || sum + pointers[end].length <= ValueBatch.windowBytes {
        sum += pointers[end].length
        end += 1
      }
      bytes.removeAll()
      let base = bytes.appendUninitialized(sum)
      try load(pointers[next..<end], to: base)
      var value = ByteView(base, sum)
      for index in next..<end {
        let pointer = pointers[index]
        try values.check(value.prefix(pointer.length), pointer)
        try body(index, value.prefix(pointer.length))
        value = value.dropFirst(pointer.length)
      }
      next = end
    }
  }

  private func load(
    _ pointers: ArraySlice<ValuePointer>, to base: UnsafeMutableRawPointer
  ) throws(SiltstoneError) {
    var pieces: [Piece] = []
    var to = base
    for pointer in pointers {
      try pointer.forEachPiece(segmentBytes: values.segmentBytes) { (position, count) throws(SiltstoneError) in
        if values.isDrained(pointer) {
          for offset in stride(from: 0, to: count, by: ValueBatch.pieceBytes) {
            pieces.append(
              Piece(
                position: position + UInt64(offset), count: min(ValueBatch.pieceBytes, count - offset),
                destination: to + offset))
          }
        } else {
          try values.read(position, count, to)
        }
        to += count
      }
    }
    try transfer(&pieces)
  }

  /// Throws the first failure, when all reads have ended.
  private func transfer(_ pieces: inout [Piece]) throws(SiltstoneError) {
    var failure: SiltstoneError?
    var next = 0
    while (failure == nil && next < pieces.count) || queue.outstanding > 0 {
      let mayStart = failure == nil && next < pieces.count && queue.outstanding < queue.depth
      // Only a broken queue throws here. What it was reading into may still be written to, and so is not given back.
      let completion = mayStart ? nil : try queue.wait()
      do throws(SiltstoneError) {
        if let completion {
          try finish(pieces[Int(completion.tag)], completion)
        } else {
          try submit(&pieces[next], tag: UInt64(next))
          next += 1
        }
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  private func submit(_ piece: inout Piece, tag: UInt64) throws(SiltstoneError) {
    let file = try values.file(piece.position / values.segmentBytes)
    let begin = values.offset(of: piece.position)
    let start = StorageAlignment.roundDown(begin)
    let length = StorageAlignment.roundUp(Int(begin - start) + piece.count)
    let buffer = AlignedBufferPool.chunks.take()
    piece.buffer = buffer
    try queue.submitRead(file, into: UnsafeMutableRawBufferPointer(start: buffer, count: length), at: start, tag: tag)
  }

  private func finish(_ piece: Piece, _ completion: IOCompletion) throws(SiltstoneError) {
    guard let buffer = piece.buffer else { return }
    defer { AlignedBufferPool.chunks.give(buffer) }
    if let error = completion.error { throw error }
    let begin = values.offset(of: piece.position)
    let skipped = Int(begin - StorageAlignment.roundDown(begin))
    guard completion.bytesTransferred >= skipped + piece.count else {
      throw .corrupt("the log segment ends inside a value", file: values.fileName(piece.position), offset: begin)
    }
    piece.destination.copyMemory(from: buffer + skipped, byteCount: piece.count)
  }
}
