internal import CSupport

/// The last 64 bytes of a table, of the same size and with the same end in every version of the format.
///
///     offset  size  field
///          0     8  top-level index: offset
///          8     4    its stored size
///         12     4    its CRC32C
///         16     8  properties: offset
///         24     4    their stored size
///         28     4    their CRC32C
///         32     8  number of the table
///         40     8  size of the whole file
///         48     4  version of the format: 1, or 2 if values of the table lie in the log
///         52     4  CRC32C of bytes 0..<52
///         56     8  magic: "siltTabl"
///
/// All integers are little-endian. The file as a whole:
///
///     data blocks and, after those it describes, each filter partition and index partition; in key order
///     top-level index
///     properties
///     footer
struct Footer: Equatable {
  static let sizeBytes = 64
  static let currentVersion: UInt32 = 2
  /// Of a table that holds all its values itself, as the first version of the format had it.
  static let plainVersion: UInt32 = 1
  static let magic: UInt64 = 0x6C62_6154_746C_6973

  var topIndex: BlockHandle
  var properties: BlockHandle
  var number: UInt64
  var fileBytes: UInt64
  var version = Footer.plainVersion

  func encode(into buffer: inout ByteBuffer) {
    let start = buffer.count
    for handle in [topIndex, properties] {
      buffer.append(fixed: handle.offset)
      buffer.append(fixed: UInt32(handle.sizeBytes))
      buffer.append(fixed: handle.checksum)
    }
    buffer.append(fixed: number)
    buffer.append(fixed: fileBytes)
    buffer.append(fixed: version)
    buffer.append(fixed: csup_crc32c(0, buffer.base + start, buffer.count - start))
    buffer.append(fixed: Footer.magic)
    assert(buffer.count - start == Footer.sizeBytes)
  }

  /// The footer in `bytes`, the last of a file of `fileBytes`.
  static func decode(_ bytes: ByteView, fileBytes: UInt64, file: String) throws(SiltstoneError) -> Footer {
    let offset = fileBytes >= UInt64(sizeBytes) ? fileBytes - UInt64(sizeBytes) : 0
    guard bytes.count == sizeBytes else {
      throw .corrupt("the file is too short for a table's footer", file: file, offset: offset)
    }
    var end = ByteReader(bytes.dropFirst(48))
    guard let version = end.readFixed(UInt32.self), let checksum = end.readFixed(UInt32.self),
      end.readFixed(UInt64.self) == magic
    else { throw .corrupt("the file does not end like a table", file: file, offset: offset) }
    guard checksum == csup_crc32c(0, bytes.base, 52) else {
      throw .corrupt("the footer's checksum does not match its bytes", file: file, offset: offset)
    }
    // What the rest means depends on the version.
    guard version <= currentVersion else {
      let message = "the table has format version \(version), this build reads up to \(currentVersion)"
      throw SiltstoneError(.unsupportedVersion, message, file: file, offset: offset)
    }
    var reader = ByteReader(bytes)
    guard version >= plainVersion, let topIndex = readHandle(&reader), let properties = readHandle(&reader),
      let number = reader.readFixed(UInt64.self), let statedBytes = reader.readFixed(UInt64.self),
      statedBytes == fileBytes, topIndex.end <= offset, properties.end <= offset
    else { throw .corrupt("the footer makes no sense", file: file, offset: offset) }
    return Footer(topIndex: topIndex, properties: properties, number: number, fileBytes: fileBytes, version: version)
  }

  private static func readHandle(_ reader: inout ByteReader) -> BlockHandle? {
    guard let offset = reader.readFixed(UInt64.self), let sizeBytes = reader.readFixed(UInt32.self),
      let checksum = reader.readFixed(UInt32.self)
    else { return nil }
    return BlockHandle(offset, UInt64(sizeBytes), checksum)
  }
}
