extension Table {
  /// Reads the whole file past the cache and checks all that the format promises: every checksum, that the blocks lie
  /// side by side without a gap, the order of keys, every separator, every restart, that each filter knows its keys,
  /// and that the properties are the sums of what is there. Throws at the first promise broken.
  ///
  /// - Parameters:
  ///   - segmentBytes: the size of the log's segments, in which values may lie.
  ///   - checkValue: called with the pointer to each of those.
  func verify(
    segmentBytes: UInt64 = Limits.maxLogSegmentBytes,
    _ checkValue: (ByteView) throws(SiltstoneError) -> Void = { (_) throws(SiltstoneError) in }
  ) throws(SiltstoneError) {
    var verifier = try TableVerifier(self, segmentBytes: segmentBytes)
    try verifier.run(checkValue)
  }
}

private struct TableVerifier: ~Copyable {
  private let table: Table
  private var reader: SequentialReader
  private var data = BlockCursor()
  private var index = BlockCursor()
  /// The last entry met, and the last separator: all that follows must sort after both.
  private var lastKey = ByteBuffer()
  private var lastTrailer = KeyTrailer.newest
  private var lastSeparator = ByteBuffer()
  private var lastSeparatorTrailer = KeyTrailer.newest
  /// Where the next block must begin.
  private var nextOffset: UInt64 = 0
  private var seen = TableProperties()
  private var segments: SegmentTally

  init(_ table: Table, segmentBytes: UInt64) throws(SiltstoneError) {
    segments = SegmentTally(segmentBytes: segmentBytes)
    self.table = table
    reader = try SequentialReader(table.reader, storage: table.storage)
  }

  mutating func run(_ checkValue: (ByteView) throws(SiltstoneError) -> Void) throws(SiltstoneError) {
    let footer = table.footer
    try require(table.topIndex.isSound, "the top-level index's restarts", footer.topIndex.offset)
    var top = BlockCursor()
    top.reset(to: table.topIndex)
    top.seekToFirst()
    while top.status == .valid {
      guard let handles = PartitionHandles.decode(top.value) else {
        throw table.malformed("the top-level index", footer.topIndex.offset)
      }
      try checkPartition(handles, checkValue)
      let isSame = top.key.equals(lastSeparator.view) && top.trailer == lastSeparatorTrailer
      try require(isSame, "a top-level separator", footer.topIndex.offset)
      top.next()
    }
    try require(top.status == .pastEnd, "the top-level index", footer.topIndex.offset)
    try checkAdjacent(footer.topIndex)
    try checkAdjacent(footer.properties)
    try require(nextOffset + UInt64(Footer.sizeBytes) == footer.fileBytes, "the end of the table", nextOffset)
    try checkProperties()
  }

  private mutating func checkPartition(
    _ handles: PartitionHandles, _ checkValue: (ByteView) throws(SiltstoneError) -> Void
  ) throws(SiltstoneError) {
    let indexBlock = try table.reader.read(handles.index)
    // Without a filter the index block stands in for its memory, and is not looked at.
    let filterBlock = try table.reader.read(handles.filter ?? handles.index)
    let filter = handles.filter == nil ? nil : FilterPartition(filterBlock.bytes)
    try require((filter == nil) == (handles.filter == nil), "a filter", handles.filter?.offset ?? 0)
    guard let view = BlockView(indexBlock.bytes), view.isSound else {
      throw table.malformed("an index partition", handles.index.offset)
    }
    index.reset(to: view)
    index.seekToFirst()
    while index.status == .valid {
      var handleBytes = ByteReader(index.value)
      guard let handle = BlockHandle.decode(&handleBytes), handleBytes.isAtEnd else {
        throw table.malformed("an index partition", handles.index.offset)
      }
      try checkDataBlock(handle, filter, checkValue)
      index.next()
    }
    try require(index.status == .pastEnd, "an index partition", handles.index.offset)
    index.clear()
    if let handle = handles.filter {
      try checkAdjacent(handle)
      seen.filterBytes += UInt64(handle.sizeBytes)
    }
    try checkAdjacent(handles.index)
    seen.indexBytes += UInt64(handles.index.sizeBytes)
    seen.partitionCount += 1
  }

  /// `index` stands on the block's index entry.
  private mutating func checkDataBlock(
    _ handle: BlockHandle, _ filter: FilterPartition?, _ checkValue: (ByteView) throws(SiltstoneError) -> Void
  ) throws(SiltstoneError) {
    try checkAdjacent(handle)
    let bytes = try reader.read(handle)
    guard let view = BlockView(bytes), view.isSound else {
      throw table.malformed("a data block", handle.offset)
    }
    data.reset(to: view)
    data.seekToFirst()
    while data.status == .valid {
      try checkEntry(handle)
      if data.trailer.isApart { try checkValue(data.value) }
      if let filter {
        try require(filter.mayContain(KeyHash.of(data.key)), "a filter that lacks a key", handle.offset)
      }
      data.next()
    }
    try require(data.status == .pastEnd, "a data block", handle.offset)
    data.clear()
    let order = compareInternal(lastKey.view, lastTrailer, index.key, index.trailer)
    try require(order <= 0, "a separator before its block's end", handle.offset)
    lastSeparator.removeAll()
    lastSeparator.append(index.key)
    lastSeparatorTrailer = index.trailer
    seen.dataBlockCount += 1
    seen.rawDataBytes += UInt64(bytes.count)
    seen.storedDataBytes += UInt64(handle.sizeBytes)
  }

  /// `data` stands on the entry.
  private mutating func checkEntry(_ handle: BlockHandle) throws(SiltstoneError) {
    let (key, trailer) = (data.key, data.trailer)
    if seen.entryCount == 0 {
      seen.smallestKey = key.copied()
    } else {
      let order = compareInternal(lastKey.view, lastTrailer, key, trailer)
      try require(order < 0, "the order of entries", handle.offset)
    }
    if seen.dataBlockCount > 0 {
      let order = compareInternal(lastSeparator.view, lastSeparatorTrailer, key, trailer)
      try require(order < 0, "a separator not before the next block", handle.offset)
    }
    try require(EntryKind(rawValue: trailer.kindByte) != nil, "an entry's kind", handle.offset)
    if trailer.isApart {
      guard let pointer = ValuePointer(data.value) else { throw table.malformed("a value's pointer", handle.offset) }
      segments.add(pointer)
    }
    lastKey.removeAll()
    lastKey.append(key)
    lastTrailer = trailer
    seen.entryCount += 1
    if !trailer.isPut { seen.tombstoneCount += 1 }
    seen.keyBytes += UInt64(key.count)
    seen.valueBytes += UInt64(data.value.count)
    seen.smallestSequence = min(seen.smallestSequence, trailer.sequence)
    seen.largestSequence = max(seen.largestSequence, trailer.sequence)
  }

  private mutating func checkAdjacent(_ handle: BlockHandle) throws(SiltstoneError) {
    try require(handle.offset == nextOffset, "a block that does not follow the one before it", handle.offset)
    nextOffset = handle.end
  }

  private mutating func checkProperties() throws(SiltstoneError) {
    seen.largestKey = lastKey.view.copied()
    seen.segmentUse = segments.sorted
    // What the entries cannot tell is taken as stated.
    seen.compressionCode = table.properties.compressionCode
    seen.filterMillibitsPerKey = table.properties.filterMillibitsPerKey
    seen.createdSeconds = table.properties.createdSeconds
    try require(seen == table.properties, "properties that are not the sums", table.footer.properties.offset)
  }

  private func require(_ holds: Bool, _ what: String, _ offset: UInt64) throws(SiltstoneError) {
    if !holds { throw table.malformed(what, offset) }
  }
}

extension BlockView {
  /// Whether the restarts point exactly at the entries that share nothing, at their values, and in order, and whether
  /// there are as many entries as stated. One walk over the headers.
  fileprivate var isSound: Bool {
    var (offset, valueOffset) = (0, keysEnd)
    var restartsMet = 0
    var entriesMet = 0
    while offset != keysEnd {
      guard let entry = decode(at: offset, valueOffset: valueOffset) else { return false }
      if restartsMet < restartCount, restart(restartsMet) == (offset, valueOffset) {
        guard entry.shared == 0 else { return false }
        restartsMet += 1
      }
      (offset, valueOffset) = (entry.end, entry.valueEnd)
      entriesMet += 1
    }
    return restartsMet == restartCount && entriesMet == entryCount && valueOffset == valuesEnd
  }
}
