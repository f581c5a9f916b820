internal import Synchronization

/// A decompressed block in memory: this header, then at `headerBytes` the block itself, in one allocation.
///
/// Counted by hand: one count for the cache while it keeps the block, one for each reference. A count rises from
/// another only under the shard's lock or from a reference that is held, so a block whose count fell to the cache's own
/// one stays there while the lock is held: that is what makes eviction safe without a reader ever locking to let go.
struct CachedBlock: ~Copyable {
  /// One cache line, so that a filter's lines fall on cache lines.
  static let headerBytes = 64

  let references = Atomic<Int>(1)
  let allocation: UnsafeMutableRawPointer
  let byteCount: Int
  // Written before the cache publishes the block; then guarded by the shard's lock.
  var id = BlockID(table: 0, offset: 0)
  var kind = BlockKind.data
  /// How many times the clock's hand still passes this block over.
  var credit: UInt8 = 0

  /// What the block takes from the budget: itself, and two slots of the table, which is at most half full
  /// (and at least a quarter, but for a shrunken one; the difference is under one percent of a 16 KiB block).
  var chargeBytes: Int {
    byteCount + 2 * CachedBlock.headerBytes + 2 * MemoryLayout<BlockCacheShard.Slot>.stride
  }

  static func release(_ block: UnsafeMutablePointer<CachedBlock>) {
    // Releasing: this reader's reads come before the memory is reused. Acquiring: so do everybody else's.
    if block.pointee.references.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
      let allocation = block.pointee.allocation
      block.deinitialize(count: 1)
      allocation.deallocate()
    }
  }
}

/// Holds one block in memory. Whoever has it may read the block's bytes; nobody may write them.
struct BlockReference: ~Copyable, @unchecked Sendable {
  // @unchecked: the bytes are immutable once published, and the count is atomic.
  fileprivate(set) var block: UnsafeMutablePointer<CachedBlock>

  /// Takes over a count that somebody made.
  init(adopting block: UnsafeMutablePointer<CachedBlock>) { self.block = block }

  /// Fresh memory for a block of `byteCount` bytes, in no cache. Blocks are of like sizes and freed as others are
  /// made, so malloc recycles them by itself.
  init(allocating byteCount: Int) {
    let header = CachedBlock.headerBytes
    // Aligned by hand: aligned allocation splits chunks, and fragments the heap.
    let allocation = UnsafeMutableRawPointer.allocate(byteCount: byteCount + 2 * header, alignment: 16)
    let aligned = UnsafeMutableRawPointer(bitPattern: (UInt(bitPattern: allocation) + 63) & ~63) ?? allocation
    block = aligned.bindMemory(to: CachedBlock.self, capacity: 1)
    block.initialize(to: CachedBlock(allocation: allocation, byteCount: byteCount))
    assert(MemoryLayout<CachedBlock>.size <= header)
  }

  deinit { CachedBlock.release(block) }

  /// Valid while this reference lives.
  @inline(__always)
  var bytes: ByteView {
    ByteView(UnsafeRawPointer(block) + CachedBlock.headerBytes, block.pointee.byteCount)
  }

  /// The same bytes, for whoever fills a block that nobody else has seen yet.
  var writableBytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(
      start: UnsafeMutableRawPointer(block) + CachedBlock.headerBytes, count: block.pointee.byteCount)
  }
}
