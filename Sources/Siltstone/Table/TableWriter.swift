/// Builds one table file. Entries arrive in internal-key order, at least one. One owner; not thread-safe.
///
/// After a throw the only call that may follow is `abandon`. A writer that is dropped without `finish` or `abandon`
/// leaves a partial file behind, which no manifest names.
struct TableWriter: ~Copyable {
  private let number: UInt64
  private let settings: TableSettings
  private var output: BlockWriter
  private var block: BlockBuilder
  private var index = IndexBuilder()
  private var filter: FilterBuilder
  private var properties = TableProperties()
  private var segments: SegmentTally
  /// Whether the filter of the current partition has the current user key.
  private var filterHasLastKey = false

  init(storage: any Storage, number: UInt64, settings: TableSettings) throws(SiltstoneError) {
    self.number = number
    self.settings = settings
    output = BlockWriter(file: try TableFileWriter(storage: storage, name: TableFile.name(number)))
    block = BlockBuilder(
      restartInterval: BlockView.dataRestartInterval, expectedBytes: settings.blockSizeBytes + 1024)
    filter = FilterBuilder(bitsPerKey: settings.filterBitsPerKey)
    segments = SegmentTally(segmentBytes: settings.logSegmentBytes)
    properties.compressionCode = UInt64(settings.compression.rawValue)
    properties.filterMillibitsPerKey = UInt64((max(0, settings.filterBitsPerKey) * 1000).rounded())
    properties.createdSeconds = storage.wallClockSeconds()
  }

  var entryCount: UInt64 { properties.entryCount }

  /// About the size that the file would have if it were finished now and the block in progress did not compress.
  var sizeBytesSoFar: UInt64 {
    output.position + UInt64(block.sizeBytes + index.sizeBytes + filter.sizeBytes)
  }

  /// Appends one entry; its bytes are copied. REQUIRES: internal-key order, key and value within `Limits`.
  @inline(__always)
  mutating func add(_ key: ByteView, _ trailer: KeyTrailer, _ value: ByteView) throws(SiltstoneError) {
    precondition(key.count <= Limits.maxKeyBytes && value.count <= Limits.maxValueBytes)
    // 32 bytes: the entry's header at its longest, and a restart.
    let grown = block.sizeBytes &+ key.count &+ value.count &+ 32
    if grown > settings.blockSizeBytes, !block.isEmpty { try finishDataBlock(next: key) }
    if properties.entryCount == 0 { properties.smallestKey = key.copied() }
    let isNewKey = block.add(key, trailer, value)
    if isNewKey || !filterHasLastKey {
      filter.add(key)
      filterHasLastKey = true
    }
    count(trailer, keyBytes: key.count, valueBytes: value.count)
    if trailer.isApart { try countApart(value) }
  }

  private mutating func countApart(_ value: ByteView) throws(SiltstoneError) {
    guard let pointer = ValuePointer(value) else { throw SiltstoneError(.corruption, "a value's pointer is none") }
    segments.add(pointer)
  }

  @inline(__always)
  private mutating func count(_ trailer: KeyTrailer, keyBytes: Int, valueBytes: Int) {
    properties.entryCount &+= 1
    if trailer.kindByte == EntryKind.delete.rawValue { properties.tombstoneCount &+= 1 }
    properties.keyBytes &+= UInt64(keyBytes)
    properties.valueBytes &+= UInt64(valueBytes)
    properties.smallestSequence = min(properties.smallestSequence, trailer.sequence)
    properties.largestSequence = max(properties.largestSequence, trailer.sequence)
  }

  /// Writes what is left, the index, the properties and the footer, and syncs the file; the directory is the
  /// caller's to sync. REQUIRES: at least one entry.
  mutating func finish() throws(SiltstoneError) -> TableMetadata {
    precondition(entryCount > 0, "a table has at least one entry")
    try finishDataBlock(next: nil)
    let topIndex = try index.finish(&output)
    properties.largestKey = block.lastKey.view.copied()
    properties.segmentUse = segments.sorted
    var encoded = ByteBuffer(capacityBytes: 1024)
    properties.encode(into: &encoded)
    let propertiesHandle = try output.write(encoded.view)
    let footer = Footer(
      topIndex: topIndex, properties: propertiesHandle, number: number,
      fileBytes: output.position + UInt64(Footer.sizeBytes),
      version: properties.segmentUse.isEmpty ? Footer.plainVersion : Footer.currentVersion)
    try output.finish(footer)
    guard let metadata = TableMetadata(footer, properties) else { preconditionFailure("a known codec") }
    return metadata
  }

  /// Closes and removes the file. Nothing may follow.
  mutating func abandon() { output.abandon() }

  /// Writes the block in progress and, where that fills it, the partition. `next` is the user key to come, or nil at
  /// the table's end.
  @inline(never)
  private mutating func finishDataBlock(next: ByteView?) throws(SiltstoneError) {
    block.seal()
    let handle = try output.write(block, settings.compression)
    properties.dataBlockCount += 1
    properties.rawDataBytes += UInt64(block.sealedBytes)
    properties.storedDataBytes += UInt64(handle.sizeBytes)
    index.addBlock(handle, last: block.lastKey.view, block.lastTrailer, next: next)
    block.reset()
    if next == nil || index.isPartitionFull || filter.sizeBytes >= IndexBuilder.filterPartitionBytes {
      try finishPartition()
    }
  }

  private mutating func finishPartition() throws(SiltstoneError) {
    var filterHandle: BlockHandle?
    if let payload = filter.finish() { filterHandle = try output.write(payload) }
    let indexHandle = try index.finishPartition(filter: filterHandle, &output)
    filterHasLastKey = false
    properties.partitionCount += 1
    properties.indexBytes += UInt64(indexHandle.sizeBytes)
    properties.filterBytes += UInt64(filterHandle?.sizeBytes ?? 0)
  }
}
