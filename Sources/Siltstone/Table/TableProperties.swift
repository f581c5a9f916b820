/// What a table says of itself, in a block of its own.
///
/// The block's payload is a run of fields, each a name and a value with a varint length before it. A number's value is
/// one varint, a key's its bytes. A reader takes the names it knows and passes over the others, so that a later version
/// can add some without being a new format.
struct TableProperties: Equatable {
  var entryCount: UInt64 = 0
  var tombstoneCount: UInt64 = 0
  /// Sums of the lengths of user keys and of values, before prefixes were shared and blocks compressed.
  var keyBytes: UInt64 = 0
  var valueBytes: UInt64 = 0
  var smallestSequence: UInt64 = .max
  var largestSequence: UInt64 = 0
  var compressionCode: UInt64 = 0
  var dataBlockCount: UInt64 = 0
  var partitionCount: UInt64 = 0
  /// Data blocks before compression, and as stored with their frames.
  var rawDataBytes: UInt64 = 0
  var storedDataBytes: UInt64 = 0
  /// Index partitions, and filter partitions, as stored.
  var indexBytes: UInt64 = 0
  var filterBytes: UInt64 = 0
  /// Thousandths of a bit, so that the number is whole.
  var filterMillibitsPerKey: UInt64 = 0
  /// Since 1970.
  var createdSeconds: UInt64 = 0
  var smallestKey: [UInt8] = []
  var largestKey: [UInt8] = []
  /// Log segments that values lie in, ascending.
  var segmentUse: [SegmentUse] = []

  typealias NumberField = WritableKeyPath<TableProperties, UInt64> & Sendable
  typealias KeyField = WritableKeyPath<TableProperties, [UInt8]> & Sendable

  /// Every number with its name in the file, in the file's order.
  static let numbers: [(name: String, field: any NumberField)] = [
    ("entries", \.entryCount), ("tombstones", \.tombstoneCount), ("key-bytes", \.keyBytes),
    ("value-bytes", \.valueBytes), ("smallest-sequence", \.smallestSequence),
    ("largest-sequence", \.largestSequence), ("compression", \.compressionCode),
    ("data-blocks", \.dataBlockCount), ("partitions", \.partitionCount), ("raw-data-bytes", \.rawDataBytes),
    ("stored-data-bytes", \.storedDataBytes), ("index-bytes", \.indexBytes), ("filter-bytes", \.filterBytes),
    ("filter-millibits-per-key", \.filterMillibitsPerKey), ("created-seconds", \.createdSeconds),
  ]
  static let keys: [(name: String, field: any KeyField)] = [
    ("smallest-key", \.smallestKey), ("largest-key", \.largestKey),
  ]

  func encode(into buffer: inout ByteBuffer) {
    for (name, field) in TableProperties.numbers {
      let value = self[keyPath: field]
      buffer.appendName(name)
      buffer.append(varint: UInt64(varintLength(value)))
      buffer.append(varint: value)
    }
    for (name, field) in TableProperties.keys {
      buffer.appendName(name)
      self[keyPath: field].withView { buffer.append(lengthPrefixed: $0) }
    }
    if segmentUse.isEmpty { return }
    var value = ByteBuffer()
    value.append(segmentUse)
    buffer.appendName(TableProperties.segmentUseName)
    buffer.append(lengthPrefixed: value.view)
  }

  private static let segmentUseName = "value-segments"

  /// The properties in `bytes`, or nil if a field makes no sense or is missing.
  static func decode(_ bytes: ByteView) -> TableProperties? {
    var properties = TableProperties()
    var missing = Set(numbers.map(\.name) + keys.map(\.name))
    var reader = ByteReader(bytes)
    while !reader.isAtEnd {
      guard let nameBytes = reader.readLengthPrefixed(), let value = reader.readLengthPrefixed() else {
        return nil
      }
      let name = String(decoding: nameBytes.buffer, as: UTF8.self)
      if name == segmentUseName {
        var uses = ByteReader(value)
        guard properties.segmentUse.isEmpty, let segmentUse = uses.readSegmentUse(), uses.isAtEnd else { return nil }
        properties.segmentUse = segmentUse
        continue
      }
      guard missing.remove(name) != nil else { continue }
      if let (_, field) = numbers.first(where: { $0.name == name }) {
        var digits = ByteReader(value)
        guard let number = digits.readVarint(), digits.isAtEnd else { return nil }
        properties[keyPath: field] = number
      } else if let (_, field) = keys.first(where: { $0.name == name }) {
        properties[keyPath: field] = value.copied()
      }
    }
    return missing.isEmpty ? properties : nil
  }
}

extension ByteBuffer {
  fileprivate mutating func appendName(_ name: String) {
    append(varint: UInt64(name.utf8.count))
    for byte in name.utf8 { append(byte) }
  }
}
