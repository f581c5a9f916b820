/// An open, immutable table. Thread-safe.
///
/// The top-level index, a few kilobytes for each gigabyte, stays in memory as long as the table is open; everything
/// else comes through the block cache. The file as a whole is drawn at the head of Footer.swift.
final class Table: Sendable {
  let metadata: TableMetadata
  let properties: TableProperties
  let footer: Footer
  let cache: BlockCache
  let storage: any Storage
  let file: any StorageFile
  private let topIndexBlock: BlockReference
  /// Lives as long as the table.
  nonisolated(unsafe) let topIndex: BlockView

  /// Opens the table that the manifest describes. Throws `.corruption` if the file is another.
  convenience init(storage: any Storage, metadata: TableMetadata, cache: BlockCache) throws(SiltstoneError) {
    let name = TableFile.name(metadata.number)
    let file = try storage.open(name, .read)
    let sizeBytes = try file.sizeBytes()
    guard sizeBytes == metadata.sizeBytes else {
      throw .corrupt("the table has \(sizeBytes) bytes, the manifest says \(metadata.sizeBytes)", file: name)
    }
    try self.init(storage: storage, file: file, sizeBytes: sizeBytes, cache: cache)
    guard self.metadata == metadata else {
      throw .corrupt("the table's own properties disagree with the manifest", file: name)
    }
  }

  /// Opens a table that only its name is known of.
  static func open(storage: any Storage, name: String, cache: BlockCache) throws(SiltstoneError) -> Table {
    let file = try storage.open(name, .read)
    return try Table(storage: storage, file: file, sizeBytes: try file.sizeBytes(), cache: cache)
  }

  private init(
    storage: any Storage, file: any StorageFile, sizeBytes: UInt64, cache: BlockCache
  ) throws(SiltstoneError) {
    let reader = BlockReader(file: file, fileBytes: sizeBytes)
    footer = try reader.readFooter()
    let propertiesBlock = try reader.read(footer.properties)
    guard let properties = TableProperties.decode(propertiesBlock.bytes),
      let metadata = TableMetadata(footer, properties)
    else { throw .corrupt("the properties make no sense", file: file.name, offset: footer.properties.offset) }
    topIndexBlock = try reader.read(footer.topIndex)
    guard let topIndex = BlockView(topIndexBlock.bytes) else {
      throw .corrupt("the top-level index makes no sense", file: file.name, offset: footer.topIndex.offset)
    }
    self.topIndex = topIndex
    self.properties = properties
    self.metadata = metadata
    self.storage = storage
    self.file = file
    self.cache = cache
  }

  /// Reads blocks of this table's file from the disk.
  var reader: BlockReader { BlockReader(file: file, fileBytes: footer.fileBytes) }

  /// A cursor over all entries. It keeps the table open. The first move allocates its buffers.
  func makeCursor(_ mode: ReadMode) -> TableCursor { TableCursor(self, mode) }

  /// The block from the cache, or else from the disk and then kept in the cache.
  @inline(__always)
  func block(
    _ handle: BlockHandle, _ kind: BlockKind, cacheHit: inout Bool
  ) throws(SiltstoneError) -> BlockReference {
    if let cached = cache.lookup(BlockID(table: metadata.number, offset: handle.offset), kind) {
      cacheHit = true
      return cached
    }
    cacheHit = false
    return try loadBlock(handle, kind)
  }

  @inline(never)
  func loadBlock(_ handle: BlockHandle, _ kind: BlockKind) throws(SiltstoneError) -> BlockReference {
    let loaded = try reader.read(handle)
    return cache.insert(BlockID(table: metadata.number, offset: handle.offset), kind, loaded)
  }

  /// A block of this table makes no sense, although its checksum holds.
  func malformed(_ what: String, _ offset: UInt64) -> SiltstoneError {
    .corrupt("\(what) makes no sense", file: file.name, offset: offset)
  }
}

/// How a cursor reads.
enum ReadMode {
  /// Through the block cache: point reads and short scans.
  case cached
  /// Past the cache, ahead of the cursor in pieces of 256 KiB: compaction and verification. Forward is fast, every
  /// other move works.
  case sequential
}
