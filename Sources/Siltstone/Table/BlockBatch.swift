/// A block that a lookup needed and did not find in the cache.
struct MissingBlock {
  let table: Table
  let handle: BlockHandle
  let kind: BlockKind

  var id: BlockID { BlockID(table: table.metadata.number, offset: handle.offset) }
}

/// Reads many blocks into the cache with their reads overlapped: as many device round trips as the queue is deep go on
/// at the same time, where single lookups would wait for one after the other.
struct BlockBatch: ~Copyable {
  private let queue: any IOQueue
  private var slots: [Slot] = []

  private struct Slot {
    var block: MissingBlock
    var buffer: UnsafeMutableRawPointer
    var skipped: Int
  }

  /// REQUIRES: nothing is outstanding on `queue`, which is the batch's own while it lives.
  init(_ queue: any IOQueue) { self.queue = queue }

  /// Reads `blocks`, each once, and returns how many reads that took. Blocks that are too large for a pooled buffer are
  /// left to the lookup that needs them. Throws the first failure, when all reads have ended.
  mutating func load(_ blocks: [MissingBlock]) throws(SiltstoneError) -> Int {
    slots.removeAll(keepingCapacity: true)
    var failure: SiltstoneError?
    var pending = blocks[...]
    while (failure == nil && !pending.isEmpty) || queue.outstanding > 0 {
      let mayStart = failure == nil && !pending.isEmpty && queue.outstanding < queue.depth
      // Only a broken queue throws here. What it was reading into may still be written to, and so is not given back.
      let completion = mayStart ? nil : try queue.wait()
      do throws(SiltstoneError) {
        if let completion { try finish(completion) } else { try submit(pending.removeFirst()) }
      } catch {
        failure = failure ?? error
      }
    }
    for slot in slots { AlignedBufferPool.blocks.give(slot.buffer) }
    if let failure { throw failure }
    return slots.count
  }

  private mutating func submit(_ block: MissingBlock) throws(SiltstoneError) {
    try block.table.reader.checkPlace(block.handle)
    let start = StorageAlignment.roundDown(block.handle.offset)
    let skipped = Int(block.handle.offset - start)
    let length = StorageAlignment.roundUp(skipped + block.handle.sizeBytes)
    guard length <= AlignedBufferPool.blocks.bufferBytes, !slots.contains(where: { $0.block.id == block.id }) else {
      return
    }
    let buffer = AlignedBufferPool.blocks.take()
    slots.append(Slot(block: block, buffer: buffer, skipped: skipped))
    try queue.submitRead(
      block.table.file, into: UnsafeMutableRawBufferPointer(start: buffer, count: length), at: start,
      tag: UInt64(slots.count - 1))
  }

  private func finish(_ completion: IOCompletion) throws(SiltstoneError) {
    if let error = completion.error { throw error }
    let slot = slots[Int(completion.tag)]
    let handle = slot.block.handle
    guard completion.bytesTransferred >= slot.skipped + handle.sizeBytes else {
      throw .corrupt("the file ends inside a block", file: slot.block.table.file.name, offset: handle.offset)
    }
    let bytes = ByteView(slot.buffer + slot.skipped, handle.sizeBytes)
    let block = try slot.block.table.reader.unpack(bytes, handle)
    _ = slot.block.table.cache.insert(slot.block.id, slot.block.kind, block)
  }
}
