import Testing

@testable import Siltstone

extension SeededGenerator {
  /// `count` bytes, each below `limit`.
  mutating func bytes(_ count: Int, below limit: UInt8 = 255) -> [UInt8] {
    var word: UInt64 = 0
    return (0..<count).map { place in
      word = place & 7 == 0 ? next() : word >> 8
      return UInt8(truncatingIfNeeded: word) % limit
    }
  }
}

struct TableTestEntry: Equatable, Comparable, CustomStringConvertible {
  var key: [UInt8]
  var trailer: KeyTrailer
  var value: [UInt8]

  init(_ key: [UInt8], _ sequence: UInt64, _ value: [UInt8]?) {
    self.key = key
    trailer = KeyTrailer(sequence, value == nil ? .delete : .put)
    self.value = value ?? []
  }

  static func < (left: TableTestEntry, right: TableTestEntry) -> Bool {
    left.isBefore(right.key, right.trailer)
  }

  func isBefore(_ otherKey: [UInt8], _ otherTrailer: KeyTrailer) -> Bool {
    if key == otherKey { return trailer.rawValue > otherTrailer.rawValue }
    return key.lexicographicallyPrecedes(otherKey)
  }

  var description: String { "\(key.prefix(24))(\(key.count)) @ \(trailer.rawValue) -> \(value.count) bytes" }
}

/// Entries in internal-key order, of keys that share long and short prefixes, with several versions, deletions, empty
/// values and values of more than 127 bytes.
func makeTableEntries(_ count: Int, seed: UInt64, maxValueBytes: Int = 200) -> [TableTestEntry] {
  var random = SeededGenerator(seed: seed)
  var entries: [TableTestEntry] = []
  var sequence: UInt64 = 1
  while entries.count < count {
    let prefix =
      [[], Array("user:".utf8), [UInt8](repeating: 7, count: 150)].randomElement(using: &random) ?? []
    let key = prefix + random.bytes(Int.random(in: 1...12, using: &random), below: 4)
    for _ in 0..<(Int.random(in: 0..<8, using: &random) == 0 ? 5 : 1) {
      // Sequence numbers of every length a varint can have.
      sequence += UInt64.random(in: 1...3, using: &random) << UInt64.random(in: 0..<40, using: &random)
      let value = random.bytes(Int.random(in: 0...maxValueBytes, using: &random), below: 20)
      entries.append(TableTestEntry(key, sequence, Int.random(in: 0..<10, using: &random) == 0 ? nil : value))
    }
  }
  return entries.sorted()
}

extension EntryCursor where Self: ~Copyable {
  var entry: TableTestEntry {
    TableTestEntry(key.copied(), trailer.sequence, trailer.isPut ? value.copied() : nil)
  }

  /// Checks that the cursor stands on this entry, or on none.
  func expect(_ expected: TableTestEntry?, sourceLocation: SourceLocation = #_sourceLocation) {
    let found = isValid ? entry : nil
    #expect(found == expected, sourceLocation: sourceLocation)
  }

  mutating func expectForward(
    _ expected: [TableTestEntry], sourceLocation: SourceLocation = #_sourceLocation
  ) throws(SiltstoneError) {
    let found = try allForward()
    #expect(found == expected, sourceLocation: sourceLocation)
  }

  mutating func expectBackward(
    _ expected: [TableTestEntry], sourceLocation: SourceLocation = #_sourceLocation
  ) throws(SiltstoneError) {
    let found = try allBackward()
    #expect(found == expected, sourceLocation: sourceLocation)
  }

  mutating func allForward() throws(SiltstoneError) -> [TableTestEntry] {
    var entries: [TableTestEntry] = []
    try seekToFirst()
    while isValid {
      entries.append(entry)
      try next()
    }
    return entries
  }

  mutating func allBackward() throws(SiltstoneError) -> [TableTestEntry] {
    var entries: [TableTestEntry] = []
    try seekToLast()
    while isValid {
      entries.append(entry)
      try previous()
    }
    return entries
  }

  mutating func seek(_ key: [UInt8], _ trailer: KeyTrailer) throws(SiltstoneError) {
    let owned = TableTestBytes(key)
    try seek(owned.view, trailer)
  }

  mutating func seekBefore(_ key: [UInt8], _ trailer: KeyTrailer) throws(SiltstoneError) {
    let owned = TableTestBytes(key)
    try seekBefore(owned.view, trailer)
  }
}

/// A copy of some bytes that is never freed, so that a test may look at it through views for as long as it likes. Of
/// exactly their size, so that a sanitizer sees a read past the end.
struct TableTestBytes {
  let view: ByteView

  init(_ bytes: [UInt8]) {
    let base = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 1)
    bytes.withUnsafeBytes {
      if let source = $0.baseAddress { base.copyMemory(from: source, byteCount: $0.count) }
    }
    view = ByteView(base, bytes.count)
  }
}

/// Writes `entries` to a table, and checks what the writer says of it.
@discardableResult
func buildTable(
  _ storage: any Storage, _ entries: [TableTestEntry], number: UInt64 = 7,
  settings: TableSettings = TableSettings()
) throws -> TableMetadata {
  var writer = try TableWriter(storage: storage, number: number, settings: settings)
  for entry in entries {
    let (key, value) = (TableTestBytes(entry.key), TableTestBytes(entry.value))
    try writer.add(key.view, entry.trailer, value.view)
  }
  let (entryCount, sizeSoFar) = (writer.entryCount, writer.sizeBytesSoFar)
  #expect(entryCount == UInt64(entries.count))
  let metadata = try writer.finish()
  #expect(sizeSoFar > 0)
  #expect(metadata.entryCount == UInt64(entries.count))
  #expect(metadata.tombstoneCount == UInt64(entries.count { !$0.trailer.isPut }))
  #expect(metadata.keyBytes == UInt64(entries.reduce(0) { $0 + $1.key.count }))
  #expect(metadata.valueBytes == UInt64(entries.reduce(0) { $0 + $1.value.count }))
  #expect(metadata.smallestKey == entries.first?.key)
  #expect(metadata.largestKey == entries.last?.key)
  #expect(metadata.smallestSequence == entries.map(\.trailer.sequence).min())
  #expect(metadata.largestSequence == entries.map(\.trailer.sequence).max())
  #expect(metadata.compression == settings.compression)
  return metadata
}

enum TableTestFound: Equatable {
  case notFound, deleted
  case value([UInt8])
}

extension Table {
  func found(_ key: [UInt8], snapshot: LogPosition = KeyTrailer.maxSequence) throws(SiltstoneError)
    -> TableTestFound
  {
    let owned = TableTestBytes(key)
    var result = LookupResult()
    try get(owned.view, hash: KeyHash.of(owned.view), snapshot: snapshot, into: &result)
    switch result.outcome {
    case .notFound: return .notFound
    case .deleted: return .deleted
    case .found: return .value(result.value.copied())
    }
  }
}

/// What a lookup must find.
func expectedFound(_ entries: [TableTestEntry], _ key: [UInt8], snapshot: LogPosition) -> TableTestFound {
  for entry in entries where entry.key == key && entry.trailer.sequence < snapshot {
    return entry.trailer.isPut ? .value(entry.value) : .deleted
  }
  return .notFound
}
