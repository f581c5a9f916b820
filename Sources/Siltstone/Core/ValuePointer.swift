/// Where a value lies that is stored apart from its key: in the log, where the commit has put it.
///
///     position   8   log position of the value's first byte
///     length     4   bytes of the value
///     checksum   4   CRC32C of the value
///
/// and, only if headers of records lie between its bytes, since its batch was cut:
///
///     first cut  4   bytes of the value before the first of them
///     record     4   bytes between one and the next
///
/// All integers are little-endian. What is decoded may come from anywhere: it is checked by itself, and the checksum
/// says whether the bytes that it leads to are the value.
struct ValuePointer: Equatable, Sendable {
  let position: LogPosition
  let length: Int
  let checksum: UInt32
  /// Both 0 if the value stands in one piece.
  let firstCut: Int
  let recordBytes: Int

  static let maxEncodedBytes = 24
  private static let wholeBytes = 16
  /// No batch is cut into smaller records: a quarter of the smallest ring.
  private static let minRecordBytes = 16 << 10

  /// The value that begins `offset` bytes into a batch, which is cut into records of `recordBytes`.
  ///
  /// - Parameter firstByte: the position of the batch's first byte.
  @inline(__always)
  init(batch firstByte: LogPosition, recordBytes: Int, offset: Int, length: Int, checksum: UInt32) {
    let (record, inRecord) = offset.quotientAndRemainder(dividingBy: recordBytes)
    let isWhole = recordBytes &- inRecord >= length
    position = firstByte &+ UInt64(offset &+ record &* RecordFraming.headerBytes)
    self.length = length
    self.checksum = checksum
    firstCut = isWhole ? 0 : recordBytes &- inRecord
    self.recordBytes = isWhole ? 0 : recordBytes
  }

  /// The pointer in `bytes`, or nil if that is none.
  init?(_ bytes: ByteView) {
    guard bytes.count == ValuePointer.wholeBytes || bytes.count == ValuePointer.maxEncodedBytes else { return nil }
    func field(_ offset: Int) -> Int {
      Int(UInt32(littleEndian: bytes.base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
    }
    position = UInt64(littleEndian: bytes.base.loadUnaligned(as: UInt64.self))
    length = field(8)
    checksum = UInt32(truncatingIfNeeded: field(12))
    let isWhole = bytes.count == ValuePointer.wholeBytes
    firstCut = isWhole ? 0 : field(16)
    recordBytes = isWhole ? 0 : field(20)
    guard position <= KeyTrailer.maxSequence, length > 0, length <= Limits.maxValueBytes else { return nil }
    if !isWhole {
      guard firstCut > 0, firstCut < length, firstCut <= recordBytes, recordBytes >= ValuePointer.minRecordBytes,
        recordBytes <= RecordFraming.maxPayloadBytes
      else { return nil }
    }
    if end > KeyTrailer.maxSequence { return nil }
  }

  /// Writes the pointer and returns its length. REQUIRES: room for `maxEncodedBytes`.
  @inline(__always)
  func store(at destination: UnsafeMutableRawPointer) -> Int {
    destination.storeBytes(of: position.littleEndian, as: UInt64.self)
    destination.storeBytes(of: UInt32(truncatingIfNeeded: length).littleEndian, toByteOffset: 8, as: UInt32.self)
    destination.storeBytes(of: checksum.littleEndian, toByteOffset: 12, as: UInt32.self)
    if firstCut == 0 { return ValuePointer.wholeBytes }
    destination.storeBytes(of: UInt32(truncatingIfNeeded: firstCut).littleEndian, toByteOffset: 16, as: UInt32.self)
    destination.storeBytes(of: UInt32(truncatingIfNeeded: recordBytes).littleEndian, toByteOffset: 20, as: UInt32.self)
    return ValuePointer.maxEncodedBytes
  }

  /// Behind the value's last byte.
  var end: LogPosition {
    let cuts = firstCut == 0 ? 0 : 1 + (length - firstCut - 1) / recordBytes
    return position + UInt64(length + cuts * RecordFraming.headerBytes)
  }

  /// Calls `body` with each stretch of the log that holds a piece of the value, in order; none of them crosses the end
  /// of a segment.
  @inline(__always)
  func forEachPiece<Failure: Error>(
    segmentBytes: UInt64, _ body: (_ position: LogPosition, _ count: Int) throws(Failure) -> Void
  ) throws(Failure) {
    var (at, left, untilCut) = (position, length, firstCut == 0 ? length : firstCut)
    while left > 0 {
      let inSegment = segmentBytes &- at % segmentBytes
      let count = min(left, untilCut, Int(truncatingIfNeeded: inSegment))
      try body(at, count)
      at &+= UInt64(count)
      left &-= count
      untilCut &-= count
      if untilCut == 0 {
        at &+= UInt64(RecordFraming.headerBytes)
        untilCut = recordBytes
      }
    }
  }
}

/// How much of a log segment a table's values are.
struct SegmentUse: Equatable, Sendable {
  let segment: UInt64
  var bytes: UInt64
}
