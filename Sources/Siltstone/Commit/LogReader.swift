internal import CSupport

/// Reads the log's bytes forward from a record boundary: from the segment files, and, where the ring still holds what
/// was never drained, from there.
struct LogReader: ~Copyable {
  /// One whole record that verified.
  struct Record {
    let header: RecordFraming.Header
    let position: LogPosition
    /// Valid until the next read.
    let payload: ByteView

    var end: LogPosition { position + UInt64(header.recordBytes) }
  }

  private let storage: any Storage
  private let database: DatabaseID
  private let segmentBytes: UInt64
  /// Bytes from here on are in the ring, up to `ringEnd`. With no live ring both are where the files are to end.
  private let ringBegin: LogPosition
  private let ringEnd: LogPosition
  private let shared: SharedState?

  private var buffer = ByteBuffer(capacityBytes: 2 * readBytes)
  /// The log position of the buffer's first byte.
  private var bufferPosition: LogPosition
  /// Where the next record begins.
  private(set) var position: LogPosition
  /// Whether the last record was none because its bytes are not all there, below where they end.
  private(set) var isCutShort = false
  private let chunk = AlignedMemory(sizeBytes: readBytes)
  private var file: (number: UInt64, file: any StorageFile)?

  private static let readBytes = 256 << 10

  /// - Parameters:
  ///   - ring: the live ring and its watermarks, or nil to read files only.
  ///   - end: what is in the files beyond is not looked at.
  init(
    storage: any Storage, database: DatabaseID, segmentBytes: UInt64, from start: LogPosition,
    ring: (shared: SharedState, drained: LogPosition, reserved: LogPosition)?, end: LogPosition = .max
  ) {
    self.storage = storage
    self.database = database
    self.segmentBytes = segmentBytes
    self.shared = ring?.shared
    // A ring that begins before the start holds all that is wanted.
    ringBegin = ring?.drained ?? end
    ringEnd = ring?.reserved ?? end
    position = start
    bufferPosition = start
  }

  /// The next record, or nil where the bytes at `position` are none.
  mutating func next() throws(SiltstoneError) -> Record? {
    guard try ensure(RecordFraming.headerBytes), let header = RecordFraming.decode(current, position: position),
      try ensure(header.recordBytes)
    else { return nil }
    let payload = ByteView(current + RecordFraming.headerBytes, header.payloadBytes)
    guard csup_crc32c(0, payload.base, payload.count) == header.payloadChecksum else { return nil }
    defer { position += UInt64(header.recordBytes) }
    return Record(header: header, position: position, payload: payload)
  }

  private var current: UnsafeRawPointer { buffer.view.base + Int(position - bufferPosition) }

  /// Makes `length` bytes at `position` readable in one piece. False if the log has no more.
  private mutating func ensure(_ length: Int) throws(SiltstoneError) -> Bool {
    while Int(bufferPosition + UInt64(buffer.count) - position) < length {
      if position > bufferPosition { dropConsumed() }
      if !(try fill()) { return false }
    }
    return true
  }

  private mutating func dropConsumed() {
    let rest = buffer.view.dropFirst(Int(position - bufferPosition))
    var fresh = ByteBuffer(capacityBytes: max(2 * LogReader.readBytes, rest.count + LogReader.readBytes))
    fresh.append(rest)
    buffer = fresh
    bufferPosition = position
  }

  private mutating func fill() throws(SiltstoneError) -> Bool {
    let from = bufferPosition + UInt64(buffer.count)
    if from >= ringBegin {
      guard let shared, from < ringEnd else {
        isCutShort = true
        return false
      }
      let length = Int(min(UInt64(LogReader.readBytes), ringEnd - from))
      csup_ring_read(shared.ring, shared.ringBytes, from, buffer.appendUninitialized(length), length)
      return true
    }
    guard let file = try openFile(holding: from) else { return false }
    let inSegment = from % segmentBytes
    let aligned = StorageAlignment.roundDown(inSegment)
    let length = min(LogReader.readBytes, Int(segmentBytes - aligned))
    let read = try file.read(
      into: UnsafeMutableRawBufferPointer(start: chunk.base, count: length),
      at: UInt64(LogSegment.headerBytes) + aligned)
    let skipped = Int(inSegment - aligned)
    let wanted = Int(min(UInt64(max(read - skipped, 0)), ringBegin - from))
    guard wanted > 0 else { return false }
    buffer.append(ByteView(UnsafeRawPointer(chunk.base) + skipped, wanted))
    return true
  }

  /// The segment that holds `position`, or nil if it does not exist or was never begun.
  private mutating func openFile(holding position: LogPosition) throws(SiltstoneError) -> (any StorageFile)? {
    let number = position / segmentBytes
    if let file, file.number == number { return file.file }
    let name = LogSegment.fileName(number)
    guard try storage.exists(name) else { return nil }
    let opened = try storage.open(name, .read)
    let header = AlignedMemory(sizeBytes: LogSegment.headerBytes)
    defer { withExtendedLifetime(header) {} }
    guard try opened.read(into: header.buffer, at: 0) == header.sizeBytes else { return nil }
    let isSegment = try LogSegment.isSegment(
      UnsafeRawBufferPointer(header.buffer), file: name, database: database, number: number,
      segmentBytes: segmentBytes)
    guard isSegment else { return nil }
    file = (number, opened)
    return opened
  }
}
