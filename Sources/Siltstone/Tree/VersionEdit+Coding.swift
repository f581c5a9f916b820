/// An edit's bytes are a sequence of fields:
///
///     tag     varint: field number << 1 | critical
///     length  varint
///     value   `length` bytes
///
///     field  critical  value
///         1  yes       creation: format version (32 bits), database id (16 bytes), log segment size (64 bits)
///         2  yes       log start: varint
///         3  yes       next file number: varint
///         4  yes       next run id: varint
///         5  yes       removal: varint table number
///         6  yes       addition: varints level, run, table number, size, entries, tombstones, key bytes, value bytes,
///                      smallest sequence, largest sequence; codec (one byte); smallest and largest key, each with a
///                      varint length; then whatever later versions put there
///         7  yes       addition of a table with values in log segments: the same, and behind it the number of
///                      segments and for each the distance from the number before and the bytes, all varints
///
/// All fixed-width integers are little-endian. Fields 5 to 7 repeat; the others appear at most once. A reader passes
/// over a field that it does not know, unless the field is marked critical: then it must not go on.
extension VersionEdit {
  private enum Field {
    static let creation: UInt64 = 1 << 1 | 1
    static let logStart: UInt64 = 2 << 1 | 1
    static let nextFileNumber: UInt64 = 3 << 1 | 1
    static let nextRunID: UInt64 = 4 << 1 | 1
    static let removal: UInt64 = 5 << 1 | 1
    static let addition: UInt64 = 6 << 1 | 1
    static let additionWithValues: UInt64 = 7 << 1 | 1
  }

  // MARK: - Writing

  func encode(into buffer: inout ByteBuffer) {
    if let creation {
      buffer.append(varint: Field.creation)
      buffer.append(varint: 28)
      buffer.append(fixed: creation.formatVersion)
      buffer.append(fixed: creation.database.high)
      buffer.append(fixed: creation.database.low)
      buffer.append(fixed: creation.logSegmentBytes)
    }
    if let logStart { buffer.append(field: Field.logStart, logStart) }
    if let nextFileNumber { buffer.append(field: Field.nextFileNumber, nextFileNumber) }
    if let nextRunID { buffer.append(field: Field.nextRunID, nextRunID) }
    for number in removals { buffer.append(field: Field.removal, number) }
    var value = ByteBuffer()
    for addition in additions {
      value.removeAll()
      addition.encode(into: &value)
      let hasValues = !addition.table.segmentUse.isEmpty
      buffer.append(varint: hasValues ? Field.additionWithValues : Field.addition)
      buffer.append(lengthPrefixed: value.view)
    }
  }

  // MARK: - Reading

  /// The edit in `bytes`. `file` and `offset` are for the error's sake.
  static func decode(_ bytes: ByteView, file: String, offset: UInt64) throws(SiltstoneError) -> VersionEdit {
    var edit = VersionEdit()
    var reader = ByteReader(bytes)
    while !reader.isAtEnd {
      guard let tag = reader.readVarint(), let value = reader.readLengthPrefixed() else {
        throw .corrupt("an edit ends inside a field", file: file, offset: offset)
      }
      switch try edit.take(tag, value) {
      case .taken: continue
      case .malformed:
        throw .corrupt("field \(tag >> 1) of an edit makes no sense", file: file, offset: offset)
      case .newer:
        throw SiltstoneError(
          .unsupportedVersion,
          "an edit says something (field \(tag >> 1)) that only a newer version understands",
          file: file, offset: offset)
      }
    }
    return edit
  }

  private enum Outcome { case taken, malformed, newer }

  private mutating func take(_ tag: UInt64, _ value: ByteView) throws(SiltstoneError) -> Outcome {
    switch tag {
    case Field.creation:
      guard creation == nil, let decoded = Creation.decode(value) else { return .malformed }
      if decoded.formatVersion > VersionEdit.formatVersion { return .newer }
      creation = decoded
    case Field.logStart: return VersionEdit.takeOnce(value, &logStart)
    case Field.nextFileNumber: return VersionEdit.takeOnce(value, &nextFileNumber)
    case Field.nextRunID: return VersionEdit.takeOnce(value, &nextRunID)
    case Field.removal:
      var number: UInt64?
      if VersionEdit.takeOnce(value, &number) == .malformed { return .malformed }
      if let number { removals.append(number) }
    case Field.addition, Field.additionWithValues:
      guard let addition = Addition.decode(value, hasValues: tag == Field.additionWithValues) else {
        return .malformed
      }
      additions.append(addition)
    default: return tag & 1 == 1 ? .newer : .taken
    }
    return .taken
  }

  private static func takeOnce(_ value: ByteView, _ destination: inout UInt64?) -> Outcome {
    var reader = ByteReader(value)
    guard destination == nil, let number = reader.readVarint(), reader.isAtEnd else { return .malformed }
    destination = number
    return .taken
  }
}

extension VersionEdit.Creation {
  fileprivate static func decode(_ value: ByteView) -> Self? {
    var reader = ByteReader(value)
    guard let formatVersion = reader.readFixed(UInt32.self), let high = reader.readFixed(UInt64.self),
      let low = reader.readFixed(UInt64.self), let logSegmentBytes = reader.readFixed(UInt64.self),
      logSegmentBytes > 0, logSegmentBytes <= Limits.maxLogSegmentBytes,
      logSegmentBytes == StorageAlignment.roundDown(logSegmentBytes)
    else { return nil }
    return Self(
      database: DatabaseID(high: high, low: low), formatVersion: formatVersion,
      logSegmentBytes: logSegmentBytes)
  }
}

extension VersionEdit.Addition {
  fileprivate func encode(into buffer: inout ByteBuffer) {
    for number in [
      UInt64(level), run, table.number, table.sizeBytes, table.entryCount, table.tombstoneCount,
      table.keyBytes,
      table.valueBytes, table.smallestSequence, table.largestSequence,
    ] {
      buffer.append(varint: number)
    }
    buffer.append(table.compression.rawValue)
    table.smallestKey.withView { buffer.append(lengthPrefixed: $0) }
    table.largestKey.withView { buffer.append(lengthPrefixed: $0) }
    if !table.segmentUse.isEmpty { buffer.append(table.segmentUse) }
  }

  fileprivate static func decode(_ value: ByteView, hasValues: Bool) -> Self? {
    var reader = ByteReader(value)
    guard let level = reader.readVarint(), level < TreeLayout.maxLevels, let run = reader.readVarint(),
      let number = reader.readVarint(), let sizeBytes = reader.readVarint(),
      let entryCount = reader.readVarint(),
      let tombstoneCount = reader.readVarint(), let keyBytes = reader.readVarint(),
      let valueBytes = reader.readVarint(), let smallestSequence = reader.readVarint(),
      let largestSequence = reader.readVarint(), largestSequence <= KeyTrailer.maxSequence,
      let codec = reader.readFixed(UInt8.self), let compression = Compression(rawValue: codec),
      let smallestKey = reader.readLengthPrefixed(), smallestKey.count <= Limits.maxKeyBytes,
      let largestKey = reader.readLengthPrefixed(), largestKey.count <= Limits.maxKeyBytes,
      // Sums of these are taken freely, so each must be far below what 64 bits hold.
      max(sizeBytes, entryCount, keyBytes, valueBytes) < 1 << 48
    else { return nil }
    var segmentUse: [SegmentUse] = []
    if hasValues {
      guard let decoded = reader.readSegmentUse(), !decoded.isEmpty else { return nil }
      segmentUse = decoded
    }
    return Self(
      level: Int(level), run: run,
      table: TableMetadata(
        number: number, sizeBytes: sizeBytes, entryCount: entryCount, tombstoneCount: tombstoneCount,
        keyBytes: keyBytes, valueBytes: valueBytes, smallestKey: smallestKey.copied(),
        largestKey: largestKey.copied(), smallestSequence: smallestSequence, largestSequence: largestSequence,
        compression: compression, segmentUse: segmentUse))
  }
}

extension ByteBuffer {
  fileprivate mutating func append(field tag: UInt64, _ value: UInt64) {
    append(varint: tag)
    append(varint: UInt64(varintLength(value)))
    append(varint: value)
  }
}
