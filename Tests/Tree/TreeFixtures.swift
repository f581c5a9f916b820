import Synchronization
import Testing

@testable import Siltstone

/// An entry that owns its bytes.
struct OwnedEntry: Equatable, Comparable {
  var key: [UInt8]
  var sequence: LogPosition
  var kind = EntryKind.put
  var value: [UInt8] = []

  var trailer: KeyTrailer { KeyTrailer(sequence, kind) }

  static func < (left: OwnedEntry, right: OwnedEntry) -> Bool {
    left.key.withView { key in
      right.key.withView { compareInternal(key, left.trailer, $0, right.trailer) < 0 }
    }
  }
}

/// A cursor over an array: the simplest that keeps the contract.
struct ArrayCursor: ~Copyable, EntryCursor {
  private let entries: [OwnedEntry]
  private var index = -1
  private var current = ByteBuffer()
  private var keyBytes = 0
  /// Throws after this many moves.
  var movesLeft = Int.max

  init(_ entries: [OwnedEntry]) { self.entries = entries }

  var isValid: Bool { entries.indices.contains(index) }
  var key: ByteView { current.view.prefix(keyBytes) }
  var trailer: KeyTrailer { entries[index].trailer }
  var value: ByteView { current.view.dropFirst(keyBytes) }

  private mutating func go(_ newIndex: Int) throws(SiltstoneError) {
    movesLeft -= 1
    if movesLeft < 0 {
      index = -1
      throw SiltstoneError(.inputOutput, "no more moves")
    }
    index = newIndex
    guard isValid else { return }
    current.removeAll()
    entries[index].key.withView { current.append($0) }
    keyBytes = current.count
    entries[index].value.withView { current.append($0) }
  }

  mutating func seekToFirst() throws(SiltstoneError) { try go(0) }
  mutating func seekToLast() throws(SiltstoneError) { try go(entries.count - 1) }
  mutating func seek(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    try go(firstIndex(key, trailer))
  }
  mutating func seekBefore(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    try go(firstIndex(key, trailer) - 1)
  }
  mutating func next() throws(SiltstoneError) { try go(index + 1) }
  mutating func previous() throws(SiltstoneError) { try go(index - 1) }

  private func firstIndex(_ key: ByteView, _ trailer: KeyTrailer) -> Int {
    entries.firstIndex { entry in
      entry.key.withView { compareInternal($0, entry.trailer, key, trailer) >= 0 }
    } ?? entries.count
  }
}

extension EntryCursor where Self: ~Copyable {
  var owned: OwnedEntry {
    OwnedEntry(
      key: key.copied(), sequence: trailer.sequence, kind: trailer.isPut ? .put : .delete, value: value.copied())
  }

  /// Everything, forward.
  mutating func drain() throws(SiltstoneError) -> [OwnedEntry] {
    var entries: [OwnedEntry] = []
    try seekToFirst()
    while isValid {
      entries.append(owned)
      try next()
    }
    return entries
  }

  /// Walks at random, both ways and with many turns, and compares every step with `reference`, which is sorted.
  mutating func expectWalks(
    like reference: [OwnedEntry], steps: Int, _ generator: inout SeededGenerator
  ) throws(SiltstoneError) {
    var expected = -1
    for step in 0..<steps {
      if isValid, Int.random(in: 0..<10, using: &generator) < 8 {
        if Bool.random(using: &generator) {
          try next()
          expected += 1
        } else {
          try previous()
          expected -= 1
        }
      } else {
        expected = try seekAtRandom(reference, &generator)
      }
      let wanted = reference.indices.contains(expected) ? reference[expected] : nil
      let found = isValid ? owned : nil
      #expect(found == wanted, "step \(step)")
      if found != wanted { return }
    }
  }

  private mutating func seekAtRandom(
    _ reference: [OwnedEntry], _ generator: inout SeededGenerator
  ) throws(SiltstoneError) -> Int {
    switch Int.random(in: 0..<6, using: &generator) {
    case 0:
      try seekToFirst()
      return 0
    case 1:
      try seekToLast()
      return reference.count - 1
    case let kind:
      var target = OwnedEntry(key: generator.bytes(length: 0...4, alphabet: 97...100), sequence: 7)
      if let known = reference.randomElement(using: &generator), Bool.random(using: &generator) { target = known }
      let index = reference.firstIndex { $0 >= target } ?? reference.count
      if kind < 4 {
        try target.key.withView { (key) throws(SiltstoneError) in try seek(key, target.trailer) }
        return index
      }
      try target.key.withView { (key) throws(SiltstoneError) in try seekBefore(key, target.trailer) }
      return index - 1
    }
  }
}

/// Makes real tables in a directory of its own, and versions of them.
final class Workshop: Sendable {
  private let directory = TemporaryDirectory()
  let storage: any Storage
  let cache = BlockCache(capacityBytes: 4 << 20)
  let reaper: TableReaper
  private let pins = GenerationPins(nil)
  private let generation = Atomic<UInt64>(2)
  private let numbers = Atomic<UInt64>(1)

  init(_ wrap: (any Storage) -> any Storage = { $0 }) throws {
    storage = wrap(try DiskStorage(path: directory.path, create: false, backend: .plain))
    reaper = TableReaper(storage: storage, cache: cache)
  }

  var path: String { directory.path }

  func takeNumber() -> UInt64 { numbers.add(1, ordering: .relaxed).oldValue }

  /// Writes `entries`, which are sorted, as one table.
  func writeTable(_ entries: [OwnedEntry], _ settings: TableSettings = TableSettings()) throws -> TableMetadata {
    var writer = try TableWriter(storage: storage, number: takeNumber(), settings: settings)
    for entry in entries {
      try entry.key.withView { (key) throws(SiltstoneError) in
        try entry.value.withView { (value) throws(SiltstoneError) in try writer.add(key, entry.trailer, value) }
      }
    }
    return try writer.finish()
  }

  func open(_ metadata: TableMetadata) throws -> Table {
    try Table(storage: storage, metadata: metadata, cache: cache)
  }

  func openVersion(_ layout: TreeLayout) throws -> Version {
    try Version.open(layout, storage: storage, cache: cache, pin: try pins.hold(generation.load(ordering: .relaxed)))
  }

  /// The version after `edit`, in a generation of its own.
  func apply(_ edit: VersionEdit, to version: Version, opened: [Table] = []) throws -> Version {
    var layout = version.layout
    try layout.apply(edit)
    let next = generation.add(2, ordering: .relaxed).newValue
    let new = version.becoming(layout, opened: opened, pin: try pins.hold(next))
    reaper.note(new.tableNumbers.filter { !version.has($0) }, bornIn: next)
    reaper.condemn(version.tableNumbers.filter { !new.has($0) }, endedBy: next)
    return new
  }

  /// Deletes what no version names that is left.
  @discardableResult
  func reap() throws -> Int { try reaper.reap { !pins.holds(any: $0) } }

  func context(
    snapshots: [LogPosition] = [], targetTableBytes: UInt64 = 1 << 20, cancellation: Cancellation = Cancellation()
  ) -> JobContext {
    JobContext(
      storage: storage, snapshots: snapshots, targetTableBytes: targetTableBytes,
      nextFileNumber: { self.takeNumber() }, cancellation: cancellation)
  }
}

/// A table that exists only on paper. Keys are numbers.
func paperTable(
  _ number: UInt64, _ smallest: Int, _ largest: Int, dataBytes: UInt64 = 1 << 20, tombstones: UInt64 = 0,
  largestSequence: UInt64 = 100
) -> TableMetadata {
  let entries = max(1, dataBytes / 109)
  return TableMetadata(
    number: number, sizeBytes: dataBytes, entryCount: max(entries, tombstones), tombstoneCount: tombstones,
    keyBytes: entries * 16, valueBytes: entries * 84, smallestKey: paperKey(smallest),
    largestKey: paperKey(largest), smallestSequence: min(1, largestSequence), largestSequence: largestSequence,
    compression: .none)
}

func paperKey(_ number: Int) -> [UInt8] { withUnsafeBytes(of: UInt32(number).bigEndian) { Array($0) } }

/// A layout from levels of runs of tables; runs newest first, with ids that descend from 1000 through the levels.
func paperLayout(_ levels: [[[TableMetadata]]]) throws -> TreeLayout {
  var edit = VersionEdit()
  var id: UInt64 = 1000
  for (number, level) in levels.enumerated() {
    for run in level {
      for table in run { edit.add(table, level: number, run: id) }
      id -= 1
    }
  }
  var layout = TreeLayout()
  try layout.apply(edit)
  return layout
}
