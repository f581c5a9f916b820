extension Table {
  /// The newest version of `key` with a sequence below `snapshot`, into `result`. `hash` is `KeyHash.of(key)`.
  ///
  /// Top-level index, filter, index partition, data block: each narrows the search to one block of the next, even
  /// where the versions of a key span blocks, since separators are internal keys (see IndexBuilder.swift). Of `result`
  /// only the counters change if nothing is found. After a throw `result` is as it was, but for them.
  func get(
    _ key: ByteView, hash: UInt64, snapshot: LogPosition, into result: inout LookupResult
  ) throws(SiltstoneError) {
    guard snapshot > 0 else { return }  // sees nothing
    let trailer = KeyTrailer.visible(at: snapshot)
    guard let partition = try searchTopIndex(key, trailer) else { return }
    if let filter = partition.filter, try !mayContain(hash, filter, &result) { return }
    guard let handle = try searchPartition(partition.index, key, trailer, &result) else { return }
    try searchDataBlock(handle, key, trailer, &result)
  }

  private func searchTopIndex(
    _ key: ByteView, _ trailer: KeyTrailer
  ) throws(SiltstoneError) -> PartitionHandles? {
    switch topIndex.search(key, trailer) {
    case .pastEnd:
      return nil
    case .found(let entry):
      if let handles = PartitionHandles.decode(topIndex.value(entry)) { return handles }
    case .corrupt:
      break
    }
    throw malformed("the top-level index", footer.topIndex.offset)
  }

  private func mayContain(
    _ hash: UInt64, _ handle: BlockHandle, _ result: inout LookupResult
  ) throws(SiltstoneError) -> Bool {
    let block = try block(handle, .filter, &result)
    guard let filter = FilterPartition(block.bytes) else { throw malformed("a filter", handle.offset) }
    result.filterProbes += 1
    if filter.mayContain(hash) { return true }
    result.filterNegatives += 1
    return false
  }

  private func searchPartition(
    _ handle: BlockHandle, _ key: ByteView, _ trailer: KeyTrailer, _ result: inout LookupResult
  ) throws(SiltstoneError) -> BlockHandle? {
    let block = try block(handle, .index, &result)
    guard let view = BlockView(block.bytes) else { throw malformed("an index partition", handle.offset) }
    switch view.search(key, trailer) {
    case .pastEnd:
      return nil
    case .found(let entry):
      var reader = ByteReader(view.value(entry))
      if let found = BlockHandle.decode(&reader), reader.isAtEnd { return found }
    case .corrupt:
      break
    }
    throw malformed("an index partition", handle.offset)
  }

  private func searchDataBlock(
    _ handle: BlockHandle, _ key: ByteView, _ trailer: KeyTrailer, _ result: inout LookupResult
  ) throws(SiltstoneError) {
    let block = try block(handle, .data, &result)
    guard let view = BlockView(block.bytes) else { throw malformed("a data block", handle.offset) }
    switch view.search(key, trailer) {
    case .pastEnd:
      return
    case .corrupt:
      throw malformed("a data block", handle.offset)
    case .found(let entry):
      // The key is the first `shared` bytes of the one sought, then the suffix.
      guard view.suffix(entry).equals(key.dropFirst(entry.shared)) else { return }
      switch EntryKind(rawValue: entry.trailer.kindByte) {
      case .put, .putApart: result.setFound(view.value(entry), entry.trailer, in: block)
      case .delete: result.setDeleted(entry.trailer)
      case nil: throw malformed("an entry's kind", handle.offset)
      }
    }
  }

  @inline(__always)
  private func block(
    _ handle: BlockHandle, _ kind: BlockKind, _ result: inout LookupResult
  ) throws(SiltstoneError) -> BlockReference {
    if let cached = cache.lookup(BlockID(table: metadata.number, offset: handle.offset), kind) {
      result.cacheHits += 1
      return cached
    }
    guard result.mayReadDisk else {
      result.missing = MissingBlock(table: self, handle: handle, kind: kind)
      throw SiltstoneError(.wouldReadDisk, "the block is not in the cache")
    }
    result.blocksRead += 1
    return try loadBlock(handle, kind)
  }
}
