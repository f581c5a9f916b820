internal import CSupport

/// A log segment, file `NNNNNN.log`: a fixed stretch of the endless log.
///
///     offset  size  field
///          0     8  magic "SILTLOG\0"
///          8     4  format version (2; 1 had no large values)
///         12     4  0 if all its blocks were written before it was used, 1 if they were only reserved
///         16    16  database id
///         32     8  segment number N
///         40     8  segment size S in bytes, a multiple of 4096
///         48     4  CRC32C of bytes 0..<48
///         52     -  zeros up to 4096
///       4096     S  log bytes: positions N*S ..< (N+1)*S
///
/// Records (see `RecordFraming`) cross from one segment into the next wherever they meet the end. A segment's blocks
/// are reserved before it is used, and written full with zeros where durable writes are waited for: such a write then
/// changes no metadata. It is renamed to a later number when nothing in it is needed any more. What an earlier life
/// left in it never verifies, because each record's checksum covers its position.
struct LogSegment {
  static let headerBytes = 4096
  static let formatVersion: UInt32 = 2
  private static let magic: UInt64 = 0x0047_4F4C_544C_4953  // "SILTLOG\0", little-endian

  /// `NNNNNN.log`. The name, like the header, says the number.
  static func fileName(_ number: UInt64) -> String { numberedFileName(number, suffix: "log") }
  static func number(fromFileName name: String) -> UInt64? { fileNumber(name, suffix: "log") }

  /// Fills `header` (4096 bytes).
  static func encodeHeader(
    _ header: UnsafeMutableRawBufferPointer, database: DatabaseID, number: UInt64, segmentBytes: UInt64,
    isFilled: Bool = true
  ) {
    header.initializeMemory(as: UInt8.self, repeating: 0)
    header.storeBytes(of: magic.littleEndian, as: UInt64.self)
    header.storeBytes(of: formatVersion.littleEndian, toByteOffset: 8, as: UInt32.self)
    header.storeBytes(of: UInt32(isFilled ? 0 : 1).littleEndian, toByteOffset: 12, as: UInt32.self)
    header.storeBytes(of: database.high.littleEndian, toByteOffset: 16, as: UInt64.self)
    header.storeBytes(of: database.low.littleEndian, toByteOffset: 24, as: UInt64.self)
    header.storeBytes(of: number.littleEndian, toByteOffset: 32, as: UInt64.self)
    header.storeBytes(of: segmentBytes.littleEndian, toByteOffset: 40, as: UInt64.self)
    let checksum = csup_crc32c(0, header.baseAddress!, 48)
    header.storeBytes(of: checksum.littleEndian, toByteOffset: 48, as: UInt32.self)
  }

  /// What a segment's header says.
  struct Identity: Equatable {
    var database: DatabaseID
    var number: UInt64
    var segmentBytes: UInt64
    /// Whether all blocks were written, not only reserved.
    var isFilled = true
  }

  /// Reads a header by itself. Nil if it is all zeros: the file was never finished. Throws for a newer version, or
  /// bytes that do not verify.
  static func describe(_ header: UnsafeRawBufferPointer, file: String) throws(SiltstoneError) -> Identity? {
    guard header.count >= headerBytes else { throw .corrupt("the log segment is shorter than its header", file: file) }
    if header.prefix(headerBytes).allSatisfy({ $0 == 0 }) { return nil }
    func word(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: header.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    guard word(0) == magic else { throw .corrupt("not a log segment: wrong magic number", file: file, offset: 0) }
    let stored = UInt32(littleEndian: header.loadUnaligned(fromByteOffset: 48, as: UInt32.self))
    guard stored == csup_crc32c(0, header.baseAddress!, 48) else {
      throw .corrupt("the log segment's header does not verify", file: file, offset: 48)
    }
    let version = UInt32(truncatingIfNeeded: word(8))
    guard version <= formatVersion else {
      throw SiltstoneError(
        .unsupportedVersion, "log format \(version) is newer than this build's \(formatVersion)", file: file, offset: 8)
    }
    let identity = Identity(
      database: DatabaseID(high: word(16), low: word(24)), number: word(32), segmentBytes: word(40),
      isFilled: word(8) >> 32 == 0)
    guard identity.segmentBytes > 0, identity.segmentBytes <= Limits.maxLogSegmentBytes,
      identity.segmentBytes == StorageAlignment.roundDown(identity.segmentBytes),
      identity.number <= KeyTrailer.maxSequence / identity.segmentBytes
    else { throw .corrupt("the log segment's place in the log makes no sense", file: file, offset: 32) }
    return identity
  }

  /// Whether the header is that of this segment of this database. False if the file holds nothing of it: blank, or a
  /// recycled file whose new header was never written. Throws if it belongs elsewhere.
  static func isSegment(
    _ header: UnsafeRawBufferPointer, file: String, database: DatabaseID, number: UInt64, segmentBytes: UInt64
  ) throws(SiltstoneError) -> Bool {
    guard let identity = try describe(header, file: file) else { return false }
    guard identity.database == database else {
      throw .corrupt("the log segment belongs to another database", file: file, offset: 16)
    }
    guard identity.segmentBytes == segmentBytes else {
      throw .corrupt("the log segment is of another size than the manifest says", file: file, offset: 40)
    }
    return identity.number == number
  }
}
