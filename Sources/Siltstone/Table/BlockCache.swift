internal import Synchronization

/// Which block: a table's number and an offset in its file. Files are immutable and numbers never reused, so a block
/// once cached is right for ever.
struct BlockID: Equatable {
  var table: UInt64
  var offset: UInt64

  /// A value that stands in the log, at this position: as if the log were a table, of a number that none has.
  static func value(at position: LogPosition) -> BlockID { BlockID(table: .max, offset: position) }

  /// Mixed in all bits; never 0, which marks an empty slot.
  @inline(__always)
  var hash: UInt64 {
    var mixed = (table &* 0x9E37_79B9_7F4A_7C15) ^ offset
    mixed = (mixed ^ mixed &>> 32) &* 0xD6E8_FEB8_6659_FD93
    mixed = (mixed ^ mixed &>> 32) &* 0xD6E8_FEB8_6659_FD93
    return (mixed ^ mixed &>> 32) | 1
  }
}

enum BlockKind: Int, CaseIterable { case data, index, filter }

/// Decompressed blocks under one byte budget: one cache for one database. Thread-safe.
///
/// Sixteen shards by hash, each with its own lock, table, share of the budget and clock. A reader pins what it finds;
/// a pinned block is never freed, and not evicted either, so that `usageBytes` tells the truth. A block that
/// finds no room - larger than a shard's share, or all else pinned - is simply not kept: its reference owns it.
final class BlockCache: @unchecked Sendable {
  // @unchecked: the shards' addresses never change, and each shard locks itself.

  /// 16: with a lock held for some 30 ns, contention stays rare up to the same number of busy cores.
  static let shardCount = 16

  private let shards: UnsafeMutablePointer<BlockCacheShard>

  init(capacityBytes: Int) {
    shards = .allocate(capacity: BlockCache.shardCount)
    for index in 0..<BlockCache.shardCount {
      (shards + index).initialize(to: BlockCacheShard(capacityBytes: capacityBytes / BlockCache.shardCount))
    }
  }

  deinit {
    shards.deinitialize(count: BlockCache.shardCount)
    shards.deallocate()
  }

  @inline(__always)
  private func shard(_ hash: UInt64) -> UnsafeMutablePointer<BlockCacheShard> { shards + Int(hash &>> 60) }

  /// The block, pinned, if it is here.
  func lookup(_ id: BlockID, _ kind: BlockKind) -> BlockReference? {
    let hash = id.hash
    guard let found = shard(hash).pointee.lookup(id, hash, kind) else { return nil }
    return BlockReference(adopting: found)
  }

  /// Keeps `block` for others to find, and returns it; or, if somebody else was quicker, returns theirs.
  func insert(_ id: BlockID, _ kind: BlockKind, _ block: consuming BlockReference) -> BlockReference {
    let hash = id.hash
    guard let earlier = shard(hash).pointee.insert(id, hash, kind, block.block) else { return block }
    return BlockReference(adopting: earlier)
  }

  /// Changes the budget, and evicts down to it as far as pins allow.
  func setCapacity(_ bytes: Int) {
    for index in 0..<BlockCache.shardCount { shards[index].setCapacity(bytes / BlockCache.shardCount) }
  }

  /// Drops every block of a table whose file was deleted. Walks the whole cache: for the rare and slow path only.
  func eraseTable(_ number: UInt64) {
    for index in 0..<BlockCache.shardCount { shards[index].eraseTable(number) }
  }

  /// Bytes of memory that the cached blocks take, with their headers and slots.
  var usageBytes: Int { statistics.usageBytes }

  var statistics: BlockCacheStatistics {
    var sum = BlockCacheStatistics()
    for index in 0..<BlockCache.shardCount { sum.add(shards[index].statistics) }
    return sum
  }
}

/// Counters since the cache was made, and what it holds now.
struct BlockCacheStatistics: Sendable {
  struct Counters: Sendable {
    var hits: UInt64 = 0
    var misses: UInt64 = 0
    var inserts: UInt64 = 0
    var evictions: UInt64 = 0
  }

  var data = Counters()
  var index = Counters()
  var filter = Counters()
  var usageBytes = 0
  var blockCount = 0

  subscript(kind: BlockKind) -> Counters {
    @inline(__always) get {
      switch kind {
      case .data: data
      case .index: index
      case .filter: filter
      }
    }
    @inline(__always) _modify {
      switch kind {
      case .data: yield &data
      case .index: yield &index
      case .filter: yield &filter
      }
    }
  }

  mutating func add(_ other: BlockCacheStatistics) {
    usageBytes += other.usageBytes
    blockCount += other.blockCount
    for kind in BlockKind.allCases {
      self[kind].hits += other[kind].hits
      self[kind].misses += other[kind].misses
      self[kind].inserts += other[kind].inserts
      self[kind].evictions += other[kind].evictions
    }
  }
}
