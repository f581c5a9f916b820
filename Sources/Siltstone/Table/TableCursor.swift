/// Walks a table's entries in internal-key order, both ways. One owner; not thread-safe. Keeps the table open.
///
/// Three block cursors, one above the other: over the top-level index, over one index partition, over one data block.
/// A step within a data block touches only the last; leaving it moves the ones above.
struct TableCursor: ~Copyable, EntryCursor {
  private let table: Table
  private let mode: ReadMode
  private var top = BlockCursor()
  private var index = BlockCursor()
  private var data = BlockCursor()
  /// What the cursors below walk on; in sequential mode the data block is in `reader`'s memory.
  private var indexBlock: BlockReference?
  private var dataBlock: BlockReference?
  private var reader: SequentialReader?
  /// Which blocks those are, to spare loading them again.
  private var loadedPartition: BlockHandle?
  private var loadedBlock: BlockHandle?
  /// In cached mode: how many blocks in a row, one after the other in the file, were not in the cache, and where the
  /// last of them ends.
  private var missesInARow = 0
  private var lastMissEnd: UInt64 = 0

  /// After four misses in a row a scan is taken for a long one, and reads ahead. That reads up to 512 KiB in vain,
  /// where four single reads have already cost 80.
  private static let missesBeforeReadAhead = 4
  /// Filter and index partitions lie between data blocks, and are no jump.
  private static let maxGapBytes: UInt64 = 128 << 10

  init(_ table: Table, _ mode: ReadMode) {
    self.table = table
    self.mode = mode
    top.reset(to: table.topIndex)
  }

  @inline(__always) var isValid: Bool { data.status == .valid }
  @inline(__always) var key: ByteView { data.key }
  @inline(__always) var trailer: KeyTrailer { data.trailer }
  @inline(__always) var value: ByteView { data.value }

  mutating func seekToFirst() throws(SiltstoneError) {
    top.seekToFirst()
    guard try loadPartition() else { return }
    index.seekToFirst()
    guard try loadBlock() else { return }
    data.seekToFirst()
    try settleForward()
  }

  mutating func seekToLast() throws(SiltstoneError) {
    top.seekToLast()
    guard try loadPartition() else { return }
    index.seekToLast()
    guard try loadBlock() else { return }
    data.seekToLast()
    try settleBackward()
  }

  mutating func seek(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    top.seek(key, trailer)
    guard try loadPartition() else { return }
    index.seek(key, trailer)
    guard try loadBlock() else { return }
    data.seek(key, trailer)
    try settleForward()
  }

  mutating func seekBefore(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    try seek(key, trailer)
    if isValid { try previous() } else { try seekToLast() }
  }

  @inline(__always)
  mutating func next() throws(SiltstoneError) {
    data.next()
    if data.status != .valid { try settleForward() }
  }

  @inline(__always)
  mutating func previous() throws(SiltstoneError) {
    data.previous()
    if data.status != .valid { try settleBackward() }
  }

  // MARK: From block to block

  /// Past a block's end, goes on at the next block's first entry.
  @inline(never)
  private mutating func settleForward() throws(SiltstoneError) {
    while data.status != .valid {
      if data.status == .corrupt { throw dataCorruption() }
      index.next()
      if index.status != .valid {
        if index.status == .corrupt { throw invalidate(indexCorruption()) }
        top.next()
        guard try loadPartition() else { return }
        index.seekToFirst()
      }
      guard try loadBlock() else { return }
      data.seekToFirst()
    }
  }

  /// Before a block's start, goes on at the last entry of the block before.
  @inline(never)
  private mutating func settleBackward() throws(SiltstoneError) {
    while data.status != .valid {
      if data.status == .corrupt { throw dataCorruption() }
      index.previous()
      if index.status != .valid {
        if index.status == .corrupt { throw invalidate(indexCorruption()) }
        top.previous()
        guard try loadPartition() else { return }
        index.seekToLast()
      }
      guard try loadBlock() else { return }
      data.seekToLast()
    }
  }

  /// Loads the partition that `top` stands on. False, leaving the cursor invalid, if `top` stands on none.
  private mutating func loadPartition() throws(SiltstoneError) -> Bool {
    guard top.status == .valid else {
      data.clear()
      loadedBlock = nil
      if top.status == .corrupt { throw table.malformed("the top-level index", table.footer.topIndex.offset) }
      return false
    }
    guard let handle = PartitionHandles.decode(top.value)?.index else {
      throw invalidate(table.malformed("the top-level index", table.footer.topIndex.offset))
    }
    if handle == loadedPartition { return true }
    index.clear()
    loadedPartition = nil
    let block = try readPartition(handle)
    guard let view = BlockView(block.bytes) else {
      throw invalidate(table.malformed("an index partition", handle.offset))
    }
    index.reset(to: view)
    indexBlock = consume block
    loadedPartition = handle
    return true
  }

  private mutating func readPartition(_ handle: BlockHandle) throws(SiltstoneError) -> BlockReference {
    do throws(SiltstoneError) {
      if mode == .sequential { return try table.reader.read(handle) }
      var cacheHit = false
      return try table.block(handle, .index, cacheHit: &cacheHit)
    } catch { throw invalidate(error) }
  }

  /// Loads the data block that `index` stands on. False, leaving the cursor invalid, if `index` stands on none.
  private mutating func loadBlock() throws(SiltstoneError) -> Bool {
    guard index.status == .valid else {
      data.clear()
      loadedBlock = nil
      if index.status == .corrupt { throw indexCorruption() }
      return false
    }
    var handleBytes = ByteReader(index.value)
    guard let handle = BlockHandle.decode(&handleBytes), handleBytes.isAtEnd else {
      throw invalidate(indexCorruption())
    }
    if handle == loadedBlock { return true }
    data.clear()
    loadedBlock = nil
    guard let view = BlockView(try readBlock(handle)) else {
      throw table.malformed("a data block", handle.offset)
    }
    data.reset(to: view)
    loadedBlock = handle
    return true
  }

  /// The block's bytes, which live until the next call.
  private mutating func readBlock(_ handle: BlockHandle) throws(SiltstoneError) -> ByteView {
    switch mode {
    case .sequential:
      try openReader()
      return try reader!.read(handle)
    case .cached:
      let block = try readCachedBlock(handle)
      let bytes = block.bytes
      dataBlock = consume block
      return bytes
    }
  }

  private mutating func openReader() throws(SiltstoneError) {
    if reader == nil { reader = try SequentialReader(table.reader, storage: table.storage) }
  }

  /// Through the cache. A scan that keeps missing it reads ahead, and leaves the blocks in the cache all the same.
  private mutating func readCachedBlock(_ handle: BlockHandle) throws(SiltstoneError) -> BlockReference {
    let id = BlockID(table: table.metadata.number, offset: handle.offset)
    if let cached = table.cache.lookup(id, .data) {
      missesInARow = 0
      return cached
    }
    let follows = handle.offset >= lastMissEnd && handle.offset - lastMissEnd <= TableCursor.maxGapBytes
    missesInARow = follows ? missesInARow + 1 : 1
    lastMissEnd = handle.end
    if missesInARow <= TableCursor.missesBeforeReadAhead {
      return table.cache.insert(id, .data, try table.reader.read(handle))
    }
    try openReader()
    return table.cache.insert(id, .data, try reader!.readForCache(handle))
  }

  // MARK: Errors

  /// After a throw the cursor stands nowhere.
  private mutating func invalidate(_ error: SiltstoneError) -> SiltstoneError {
    data.clear()
    loadedBlock = nil
    return error
  }

  private mutating func dataCorruption() -> SiltstoneError {
    invalidate(table.malformed("a data block", loadedBlock?.offset ?? 0))
  }

  private func indexCorruption() -> SiltstoneError {
    table.malformed("an index partition", loadedPartition?.offset ?? 0)
  }
}
