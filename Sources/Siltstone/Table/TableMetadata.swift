/// What the manifest knows of a table: enough to pick, to place and to open it without reading it.
struct TableMetadata: Sendable, Equatable {
  /// The file is `TableFile.name(number)`. Numbers are never reused while the database lives.
  var number: UInt64
  var sizeBytes: UInt64
  var entryCount: UInt64
  var tombstoneCount: UInt64
  /// Sums of the lengths of user keys and of values.
  var keyBytes: UInt64
  var valueBytes: UInt64
  /// User keys, both contained.
  var smallestKey: [UInt8]
  var largestKey: [UInt8]
  var smallestSequence: LogPosition
  var largestSequence: LogPosition
  var compression: Compression
  /// Log segments that values of the table lie in, ascending; they stay as long as it does.
  var segmentUse: [SegmentUse] = []
}

extension TableMetadata {
  /// Bytes of values in the log.
  var apartBytes: UInt64 { segmentUse.reduce(0) { $0 &+ $1.bytes } }

  /// What a finished table's footer and properties say; nil if the properties name a codec that does not exist.
  init?(_ footer: Footer, _ properties: TableProperties) {
    guard let code = UInt8(exactly: properties.compressionCode), let compression = Compression(rawValue: code)
    else { return nil }
    self.init(
      number: footer.number, sizeBytes: footer.fileBytes, entryCount: properties.entryCount,
      tombstoneCount: properties.tombstoneCount, keyBytes: properties.keyBytes,
      valueBytes: properties.valueBytes,
      smallestKey: properties.smallestKey, largestKey: properties.largestKey,
      smallestSequence: properties.smallestSequence, largestSequence: properties.largestSequence,
      compression: compression, segmentUse: properties.segmentUse)
  }
}

/// How table files are named: `NNNNNN.sst`.
enum TableFile {
  static let suffix = "sst"

  static func name(_ number: UInt64) -> String { numberedFileName(number, suffix: suffix) }

  /// The number in a table file's name, or nil if it is not one.
  static func number(_ name: String) -> UInt64? { fileNumber(name, suffix: suffix) }
}

/// How to build a table.
struct TableSettings: Sendable {
  /// Of a data block, before compression. A search touches a few lines of it, a read fetches it whole.
  var blockSizeBytes = 16 << 10
  var compression: Compression = .none
  /// 0 builds no filter.
  var filterBitsPerKey: Double = 10
  /// Of the log, in which values may lie.
  var logSegmentBytes: UInt64 = Limits.maxLogSegmentBytes
}
