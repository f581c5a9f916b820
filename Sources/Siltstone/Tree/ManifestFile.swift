internal import CSupport

/// A manifest, file `MANIFEST-NNNNNN`: the history of the tree since some moment.
///
///     offset  size  field
///          0     8  magic "SILTMANI"
///          8     4  format version (1)
///         12     4  zero
///         16    16  database id
///         32     8  manifest number N
///         40    20  zero
///         60     4  CRC32C of bytes 0..<60
///         64     -  records
///
/// All integers are little-endian. Records have the framing of the log (see `RecordFraming`), with the record's offset
/// in this file as its position. The payload is a `VersionEdit`; one that is larger than a record may be is cut into
/// records that continue one another. The first edit makes the whole state out of nothing.
///
/// **Marks.** When an edit's records have been synced, a mark is written behind them: a record without payload. It is
/// synced only by what comes next. A mark, or the beginning of any edit, therefore proves that everything before it
/// was once on stable media.
///
/// **What a record that does not verify means.** An edit is written only after the one before it was synced. So if
/// anything that begins behind the bad record verifies - a mark, or an edit's first record - the bad record was
/// acknowledged, and its bytes have been damaged since: that is corruption. If nothing does, the bad record is what a
/// crash left of an edit that was being written, of whose blocks any may have reached the disk and any not, and which
/// nobody was told to be done. It is cut off. Only records that continue others do not count as proof: they may belong
/// to the same torn edit. (An edit that was acknowledged just before a power cut, its mark still in memory, and whose
/// bytes were damaged thereafter, is taken for torn. The log still starts where the edit's predecessor says, so
/// recovery meets the segments that are gone.)
///
/// The first edit is beyond doubt: CURRENT never names a manifest whose first edit was not synced.
enum ManifestFile {
  static let headerBytes = 64
  static let formatVersion: UInt32 = 1
  private static let magic: UInt64 = 0x494E_414D_544C_4953  // "SILTMANI", little-endian
  private static let prefix = "MANIFEST-"

  static func name(_ number: UInt64) -> String {
    let digits = String(number)
    return prefix + String(repeating: "0", count: max(0, 6 - digits.utf8.count)) + digits
  }

  /// The number in a manifest's name, or nil if it is not one.
  static func number(fromName fileName: String) -> UInt64? {
    guard fileName.hasPrefix(prefix), let number = UInt64(fileName.dropFirst(prefix.utf8.count)),
      number <= Limits.maxFileNumber, name(number) == fileName
    else { return nil }
    return number
  }

  // MARK: - Writing

  static func appendHeader(_ database: DatabaseID, number: UInt64, to buffer: inout ByteBuffer) {
    let start = buffer.count
    buffer.append(fixed: magic)
    buffer.append(fixed: formatVersion)
    buffer.append(fixed: UInt32(0))
    buffer.append(fixed: database.high)
    buffer.append(fixed: database.low)
    buffer.append(fixed: number)
    while buffer.count < start + headerBytes - 4 { buffer.append(UInt8(0)) }
    buffer.append(fixed: csup_crc32c(0, buffer.base + start, headerBytes - 4))
  }

  /// Appends an edit as one or more records, the first of which will stand at `position`.
  static func append(
    _ edit: VersionEdit, at position: UInt64, to buffer: inout ByteBuffer,
    maxPayloadBytes: Int = RecordFraming.maxPayloadBytes
  ) {
    var encoded = ByteBuffer(capacityBytes: 4096)
    edit.encode(into: &encoded)
    precondition(encoded.count > 0, "an empty edit would be a mark")
    var rest = encoded.view
    var position = position
    while rest.count > 0 {
      let payload = rest.prefix(min(rest.count, maxPayloadBytes))
      let isFirst = rest.count == encoded.count
      rest = rest.dropFirst(payload.count)
      let header = RecordFraming.Header(
        payloadBytes: payload.count, entryCount: isFirst ? 1 : 0, continues: rest.count > 0,
        payloadChecksum: csup_crc32c(0, payload.base, payload.count), isContinuation: !isFirst)
      RecordFraming.encode(
        header, position: position, at: buffer.appendUninitialized(RecordFraming.headerBytes))
      buffer.append(payload)
      position += UInt64(header.recordBytes)
    }
  }

  static func appendMark(at position: UInt64, to buffer: inout ByteBuffer) {
    let mark = RecordFraming.Header(
      payloadBytes: 0, entryCount: 0, continues: false, payloadChecksum: csup_crc32c(0, buffer.base, 0))
    RecordFraming.encode(mark, position: position, at: buffer.appendUninitialized(RecordFraming.headerBytes))
  }

  // MARK: - Reading

  /// Checks the header of `bytes`, and returns the database it belongs to.
  static func checkHeader(_ bytes: ByteView, file: String) throws(SiltstoneError) -> DatabaseID {
    var reader = ByteReader(bytes)
    guard bytes.count >= headerBytes, let storedMagic = reader.readFixed(UInt64.self),
      let version = reader.readFixed(UInt32.self), reader.readFixed(UInt32.self) != nil,
      let high = reader.readFixed(UInt64.self), let low = reader.readFixed(UInt64.self),
      let storedNumber = reader.readFixed(UInt64.self)
    else {
      throw .corrupt("the manifest is shorter than its header", file: file, offset: UInt64(bytes.count))
    }
    guard storedMagic == magic else {
      throw .corrupt("not a manifest: wrong magic number", file: file, offset: 0)
    }
    let checksum = bytes.base.loadUnaligned(fromByteOffset: headerBytes - 4, as: UInt32.self)
    guard UInt32(littleEndian: checksum) == csup_crc32c(0, bytes.base, headerBytes - 4) else {
      throw .corrupt("the manifest's header does not verify", file: file, offset: 60)
    }
    guard version <= formatVersion else {
      throw SiltstoneError(
        .unsupportedVersion, "manifest format \(version) is newer than this build's \(formatVersion)",
        file: file,
        offset: 8)
    }
    guard name(storedNumber) == file else {
      throw .corrupt("the header is that of \(name(storedNumber))", file: file, offset: 32)
    }
    return DatabaseID(high: high, low: low)
  }
}
