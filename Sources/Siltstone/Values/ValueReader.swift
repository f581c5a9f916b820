internal import CSupport
internal import Synchronization

/// Reads values that are stored apart from their keys: from the log's ring while it has not been drained so far, then
/// from the segment files, whose bytes stay as they are until no reader's pointers lead to them. Thread-safe.
///
/// REQUIRES for every pointer: it comes from a memtable or a table of a view that the caller holds. The view's pin is
/// what keeps the segment.
final class ValueReader: Sendable {
  let segmentBytes: UInt64
  private let storage: any Storage
  private let shared: SharedState
  private let database: DatabaseID
  private let cache: BlockCache
  /// Segments that were read from.
  private let open = Mutex<[UInt64: any StorageFile]>([:])

  /// Larger values would push too much else out of the cache.
  private static let maxCachedBytes = 64 << 10
  /// As many as leave most of the usual thousand descriptors to others.
  private static let maxOpenFiles = 128

  init(
    storage: any Storage, shared: SharedState, database: DatabaseID, segmentBytes: UInt64, cache: BlockCache
  ) {
    self.storage = storage
    self.shared = shared
    self.database = database
    self.segmentBytes = segmentBytes
    self.cache = cache
  }

  /// The value that the encoded `pointer` leads to, verified.
  ///
  /// - Throws: `.wouldReadDisk` if it may not read the disk and would have to; `.corruption`, with the place, if the
  ///   bytes there are not the value; `.missingFile` if the segment is gone.
  func value(
    _ pointer: ByteView, mayReadDisk: Bool = true, mayCache: Bool = true
  ) throws(SiltstoneError) -> BlockReference {
    guard let pointer = ValuePointer(pointer) else { throw SiltstoneError(.corruption, "a value's pointer is none") }
    let id = BlockID.value(at: pointer.position)
    if mayCache, let cached = cache.lookup(id, .data), cached.bytes.count == pointer.length { return cached }
    let block = BlockReference(allocating: pointer.length)
    try read(pointer, into: block.writableBytes, mayReadDisk)
    try check(block.bytes, pointer)
    return mayCache && pointer.length <= ValueReader.maxCachedBytes ? cache.insert(id, .data, block) : block
  }

  /// Keeps a value that was read in a batch.
  func keep(_ value: ByteView, _ pointer: ValuePointer) {
    if value.count > ValueReader.maxCachedBytes { return }
    let block = BlockReference(allocating: value.count)
    block.writableBytes.copyMemory(from: value.buffer)
    _ = cache.insert(.value(at: pointer.position), .data, block)
  }

  func check(_ value: ByteView, _ pointer: ValuePointer) throws(SiltstoneError) {
    guard csup_crc32c(0, value.base, value.count) == pointer.checksum else {
      throw .corrupt(
        "a value's checksum does not match its \(pointer.length) bytes", file: fileName(pointer.position),
        offset: offset(of: pointer.position))
    }
  }

  /// Lets go of files that no view needs any more; whoever does opens them again.
  func forget(where isForgotten: (UInt64) -> Bool) {
    let files = open.withLock { open in
      let files = open.filter { isForgotten($0.key) }
      for number in files.keys { open[number] = nil }
      return files
    }
    withExtendedLifetime(files) {}  // closed out here
  }

  func isCached(_ pointer: ValuePointer) -> Bool { cache.lookup(.value(at: pointer.position), .data) != nil }
  func isDrained(_ pointer: ValuePointer) -> Bool { shared.drained >= pointer.end }

  func fileName(_ position: LogPosition) -> String { LogSegment.fileName(position / segmentBytes) }

  /// Where in its segment's file a position lies.
  func offset(of position: LogPosition) -> UInt64 { UInt64(LogSegment.headerBytes) + position % segmentBytes }

  // MARK: - Where the bytes are

  private func read(
    _ pointer: ValuePointer, into destination: UnsafeMutableRawBufferPointer, _ mayReadDisk: Bool
  ) throws(SiltstoneError) {
    if !mayReadDisk, shared.drained > pointer.position {
      throw SiltstoneError(.wouldReadDisk, "the value is not in the cache")
    }
    guard var to = destination.baseAddress else { return }
    try pointer.forEachPiece(segmentBytes: segmentBytes) { (position, count) throws(SiltstoneError) in
      try read(position, count, to)
      to += count
    }
  }

  /// The watermark is looked at again after the copy: what it has not passed then, nobody can have overwritten, since
  /// the ring takes new bytes only where the old ones are drained. What it has passed is in the files.
  func read(
    _ position: LogPosition, _ count: Int, _ destination: UnsafeMutableRawPointer
  ) throws(SiltstoneError) {
    let end = position + UInt64(count)
    while true {
      let drained = shared.drained
      if drained >= end { return try readFile(position, count, destination) }
      let inFile = drained > position ? Int(drained - position) : 0
      let ringBegin = position + UInt64(inFile)
      guard UInt64(count - inFile) <= shared.ringBytes else {
        throw SharedState.writtenOver("a value lies behind the end of the log")
      }
      csup_ring_read(shared.ring, shared.ringBytes, ringBegin, destination + inFile, count - inFile)
      csup_fence()
      if shared.drained > ringBegin { continue }
      if inFile > 0 { try readFile(position, inFile, destination) }
      return
    }
  }

  private func readFile(
    _ position: LogPosition, _ count: Int, _ destination: UnsafeMutableRawPointer
  ) throws(SiltstoneError) {
    let file = try file(position / segmentBytes)
    let begin = offset(of: position)
    let start = StorageAlignment.roundDown(begin)
    let skipped = Int(begin - start)
    let length = StorageAlignment.roundUp(skipped + count)
    let buffer = AlignedBufferPool.blocks.buffer(atLeast: length)
    let read = try file.read(into: UnsafeMutableRawBufferPointer(start: buffer.base, count: length), at: start)
    guard read >= skipped + count else {
      throw .corrupt("the log segment ends inside a value", file: file.name, offset: begin)
    }
    destination.copyMemory(from: buffer.base + skipped, byteCount: count)
  }

  func file(_ number: UInt64) throws(SiltstoneError) -> any StorageFile {
    if let file = open.withLock({ $0[number] }) { return file }
    let name = LogSegment.fileName(number)
    let file = try storage.open(name, .read)
    let header = AlignedMemory(sizeBytes: LogSegment.headerBytes)
    defer { withExtendedLifetime(header) {} }
    let length = try file.read(into: header.buffer, at: 0)
    let isSegment = try LogSegment.isSegment(
      UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(header.buffer)[..<length]), file: name,
      database: database, number: number, segmentBytes: segmentBytes)
    guard isSegment else { throw .corrupt("the log segment that holds a value was never begun", file: name) }
    open.withLock { open in
      if open.count >= ValueReader.maxOpenFiles, let other = open.keys.randomElement() { open[other] = nil }
      open[number] = file
    }
    return file
  }
}

extension LookupResult {
  /// Puts the value in the place of its pointer, if that is what was found. REQUIRES: as `ValueReader`.
  @inline(__always)
  mutating func resolve(with values: ValueReader) throws(SiltstoneError) {
    if isApart { try fetch(values) }
  }

  @inline(never)
  private mutating func fetch(_ values: ValueReader) throws(SiltstoneError) {
    let block = try values.value(value, mayReadDisk: mayReadDisk)
    let bytes = block.bytes
    setFound(bytes, trailer, in: block)
  }
}
