internal import CSupport

/// The framing shared by the log and the manifest: what makes a stream of records recoverable.
///
///     offset  size  field
///          0     4  payload length in bytes
///          4     3  number of entries of the whole batch, if this is its first record (2^24 - 1 stands for more)
///          7     1  flags: bit 0 = the batch continues in the next record, bit 1 = it began in an earlier one,
///                   bit 2 = its large values are stored here and nowhere else
///          8     4  CRC32C of the payload
///         12     4  CRC32C of bytes 0..<12 followed by the record's own position (64 bits)
///         16     -  payload
///
/// All integers are little-endian. The position in the header checksum is what makes recycling safe: old bytes at
/// the same place of a reused segment were written for another position and never verify. Only that last checksum
/// must be computed once the position is known; the payload's is taken before any lock.
enum RecordFraming {
  static let headerBytes = 16
  /// A payload of 16 MiB at most. A larger batch is cut into records that continue one another; the bound keeps a
  /// hostile length from asking for memory.
  static let maxPayloadBytes = 16 << 20
  static let maxEntryCount = (1 << 24) - 1

  struct Header: Equatable {
    var payloadBytes: Int
    var entryCount: Int
    var continues: Bool
    var payloadChecksum: UInt32
    /// Not the batch's first record. A first record where a continuation was expected says that the earlier batch
    /// was given up half way, and never was.
    var isContinuation = false
    /// The batch's large values stay in the log: its entries point at them.
    var keepsValues = false

    /// Header and payload.
    var recordBytes: Int { headerBytes + payloadBytes }
  }

  private static let continuesFlag: UInt32 = 1 << 24
  private static let continuationFlag: UInt32 = 1 << 25
  private static let keepsValuesFlag: UInt32 = 1 << 26

  /// Writes the 16 header bytes for a record at `position`.
  @inline(__always)
  static func encode(_ header: Header, position: UInt64, at destination: UnsafeMutableRawPointer) {
    assert(header.payloadBytes <= maxPayloadBytes && header.entryCount <= maxEntryCount)
    destination.storeBytes(of: UInt32(truncatingIfNeeded: header.payloadBytes).littleEndian, as: UInt32.self)
    let countAndFlags =
      UInt32(truncatingIfNeeded: header.entryCount) | (header.continues ? continuesFlag : 0)
      | (header.isContinuation ? continuationFlag : 0) | (header.keepsValues ? keepsValuesFlag : 0)
    destination.storeBytes(of: countAndFlags.littleEndian, toByteOffset: 4, as: UInt32.self)
    destination.storeBytes(of: header.payloadChecksum.littleEndian, toByteOffset: 8, as: UInt32.self)
    destination.storeBytes(
      of: headerChecksum(destination, position).littleEndian, toByteOffset: 12, as: UInt32.self)
  }

  /// The header at `source`, or nil if these are not the header bytes of a record at `position`.
  /// REQUIRES: 16 readable bytes.
  static func decode(_ source: UnsafeRawPointer, position: UInt64) -> Header? {
    let stored = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
    guard stored == headerChecksum(source, position) else { return nil }
    let length = UInt32(littleEndian: source.loadUnaligned(as: UInt32.self))
    let countAndFlags = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    guard length <= maxPayloadBytes, countAndFlags >> 27 == 0 else { return nil }
    return Header(
      payloadBytes: Int(length), entryCount: Int(countAndFlags & 0xFF_FFFF),
      continues: countAndFlags & continuesFlag != 0,
      payloadChecksum: UInt32(littleEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt32.self)),
      isContinuation: countAndFlags & continuationFlag != 0, keepsValues: countAndFlags & keepsValuesFlag != 0)
  }

  @inline(__always)
  private static func headerChecksum(_ header: UnsafeRawPointer, _ position: UInt64) -> UInt32 {
    var littleEndianPosition = position.littleEndian
    return csup_crc32c(csup_crc32c(0, header, 12), &littleEndianPosition, 8)
  }
}
