import Testing

@testable import Siltstone

@Suite struct MemtableTests {
  struct Entry: Equatable {
    var key: [UInt8]
    var trailer: UInt64
    var value: [UInt8]
  }

  static func sorted(_ entries: [Entry]) -> [Entry] {
    entries.sorted { a, b in
      a.key == b.key ? a.trailer > b.trailer : a.key.lexicographicallyPrecedes(b.key)
    }
  }

  static func makeMemtable(bytes: Int = 8 << 20, common: [UInt8] = []) throws -> Memtable {
    Memtable(try AnonymousMemory(sizeBytes: bytes), firstPosition: 1, commonPrefix: common)
  }

  static func insert(_ entry: Entry, into memtable: Memtable) -> Bool {
    entry.key.withView { key in
      entry.value.withView { value in memtable.insert(key, KeyTrailer(rawValue: entry.trailer), value) }
    }
  }

  static func entry(_ cursor: borrowing MemtableCursor) -> Entry {
    Entry(key: cursor.key.copied(), trailer: cursor.trailer.rawValue, value: cursor.value.copied())
  }

  static func forward(_ memtable: Memtable) throws -> [Entry] { try forward(memtable, .max) }
  static func backward(_ memtable: Memtable) throws -> [Entry] { try backward(memtable, .max) }

  static func forward(_ memtable: Memtable, _ limit: Int) throws -> [Entry] {
    var cursor = MemtableCursor(memtable)
    var seen: [Entry] = []
    try cursor.seekToFirst()
    while cursor.isValid, seen.count < limit {
      seen.append(entry(cursor))
      try cursor.next()
    }
    return seen
  }

  static func backward(_ memtable: Memtable, _ limit: Int) throws -> [Entry] {
    var cursor = MemtableCursor(memtable)
    var seen: [Entry] = []
    try cursor.seekToLast()
    while cursor.isValid, seen.count < limit {
      seen.append(entry(cursor))
      try cursor.previous()
    }
    return seen
  }

  /// Keys of every awkward kind: repeated, nested, outside the common prefix on both sides.
  static func randomEntries(_ count: Int, seed: UInt64) -> [Entry] {
    var random = SeededGenerator(seed: seed)
    return (1...count).map { number in
      let prefix: [UInt8] = [[], Array("user".utf8), Array("user/0000".utf8), [0], [255, 255]].randomElement(
        using: &random)!
      let key = prefix + random.bytes(length: 1...12, alphabet: 97...100)
      let kind: EntryKind = Int.random(in: 0..<8, using: &random) == 0 ? .delete : .put
      return Entry(
        key: key, trailer: KeyTrailer(UInt64(number * 7), kind).rawValue,
        value: kind == .put ? random.bytes(length: 0...40) : [])
    }
  }

  @Test(arguments: [[], Array("user".utf8), Array("user/0000".utf8)] as [[UInt8]])
  func holdsEntriesInOrder(common: [UInt8]) throws {
    let memtable = try Self.makeMemtable(common: common)
    let entries = Self.randomEntries(20_000, seed: 1)
    for entry in entries { #expect(Self.insert(entry, into: memtable)) }
    let expected = Self.sorted(entries)
    #expect(memtable.entryCount == UInt64(entries.count))
    #expect(try Self.forward(memtable) == expected)
    #expect(try Self.backward(memtable) == expected.reversed())
  }

  @Test func ascendingAndDescendingInserts() throws {
    for descending in [false, true] {
      let memtable = try Self.makeMemtable()
      let entries = (0..<5_000).map { number in
        Entry(
          key: withUnsafeBytes(of: UInt32(number).bigEndian) { Array($0) }, trailer: UInt64(number + 1) << 8 | 1,
          value: [])
      }
      for entry in descending ? entries.reversed() : entries { #expect(Self.insert(entry, into: memtable)) }
      #expect(try Self.forward(memtable) == entries)
      #expect(try Self.backward(memtable) == entries.reversed())
    }
  }

  /// As the commit pipeline inserts: whole payloads, in order or not, some of them twice.
  @Test(arguments: [true, false])
  func batchesGiveTheSameAsSingleEntries(inOrder: Bool) throws {
    let memtable = try Self.makeMemtable()
    var random = SeededGenerator(seed: 8)
    var entries = Self.randomEntries(20_000, seed: 9)
    if inOrder { entries = Self.sorted(entries) }
    var expected: [Entry] = []
    var position: LogPosition = 1
    while !entries.isEmpty {
      var payload = ByteBuffer()
      let count = min(entries.count, Int.random(in: 1...300, using: &random))
      for entry in entries.prefix(count) {
        let isPut = KeyTrailer(rawValue: entry.trailer).isPut
        let trailer = KeyTrailer(position + UInt64(payload.count), isPut ? .put : .delete)
        entry.key.withView { key in
          entry.value.withView { value in
            if isPut {
              EntryEncoding.append(put: key, value, to: &payload)
            } else {
              EntryEncoding.append(delete: key, to: &payload)
            }
          }
        }
        expected.append(Entry(key: entry.key, trailer: trailer.rawValue, value: isPut ? entry.value : []))
      }
      for _ in 0..<Int.random(in: 1...2, using: &random) {
        #expect(
          memtable.insert(
            LoggedBatch(payload: payload.view, firstByte: position, recordBytes: 1 << 20, keepsValues: false)))
      }
      position += UInt64(payload.count)
      entries.removeFirst(count)
    }
    #expect(memtable.entryCount == UInt64(expected.count))
    #expect(try Self.forward(memtable) == Self.sorted(expected))
    #expect(try Self.backward(memtable) == Self.sorted(expected).reversed())
  }

  @Test func insertingAgainChangesNothing() throws {
    let memtable = try Self.makeMemtable()
    let entries = Self.randomEntries(2_000, seed: 2)
    for entry in entries { #expect(Self.insert(entry, into: memtable)) }
    let used = memtable.usedBytes
    for entry in entries.shuffled() { #expect(Self.insert(entry, into: memtable)) }
    #expect(memtable.usedBytes == used)
    #expect(try Self.forward(memtable) == Self.sorted(entries))
  }

  @Test func seeksAgreeWithASortedArray() throws {
    let memtable = try Self.makeMemtable(common: Array("user".utf8))
    let entries = Self.randomEntries(3_000, seed: 3)
    for entry in entries { #expect(Self.insert(entry, into: memtable)) }
    let sorted = Self.sorted(entries)
    var random = SeededGenerator(seed: 4)
    for probe in Self.randomEntries(3_000, seed: 5) + entries.shuffled(using: &random).prefix(500) {
      let position =
        sorted.firstIndex { entry in
          entry.key == probe.key ? entry.trailer <= probe.trailer : !entry.key.lexicographicallyPrecedes(probe.key)
        } ?? sorted.count
      var cursor = MemtableCursor(memtable)
      try probe.key.withView { try cursor.seek($0, KeyTrailer(rawValue: probe.trailer)) }
      #expect(cursor.isValid == (position < sorted.count))
      if cursor.isValid { #expect(Self.entry(cursor) == sorted[position]) }
      try probe.key.withView { try cursor.seekBefore($0, KeyTrailer(rawValue: probe.trailer)) }
      #expect(cursor.isValid == (position > 0))
      if cursor.isValid { #expect(Self.entry(cursor) == sorted[position - 1]) }
    }
  }

  @Test func getSeesTheNewestVersionBelowTheSnapshot() throws {
    let memtable = try Self.makeMemtable()
    for sequence in stride(from: UInt64(10), through: 100, by: 10) {
      let entry = Entry(key: [1, 2, 3], trailer: KeyTrailer(sequence, .put).rawValue, value: [UInt8(sequence)])
      #expect(Self.insert(entry, into: memtable))
    }
    for snapshot in 0...120 as ClosedRange<UInt64> {
      let found = try [UInt8]([1, 2, 3]).withView { try memtable.get($0, snapshot: snapshot)?.value.copied() }
      let newest = snapshot == 0 ? 0 : min((snapshot - 1) / 10 * 10, 100)
      #expect(found == (newest == 0 ? nil : [UInt8(newest)]))
    }
    #expect(try [UInt8]([1, 2]).withView { try memtable.get($0, snapshot: 1_000) } == nil)
  }

  @Test func aFullArenaRefusesAndKeepsItsContents() throws {
    let memtable = try Self.makeMemtable(bytes: 64 << 10)
    var accepted: [Entry] = []
    for entry in Self.randomEntries(10_000, seed: 6) {
      guard memtable.hasRoom(count: 1, payloadBytes: entry.key.count + entry.value.count) else { break }
      #expect(Self.insert(entry, into: memtable))
      accepted.append(entry)
    }
    #expect(accepted.count > 500 && accepted.count < 10_000)
    while Self.insert(
      Entry(key: [9], trailer: 1 << 40 + UInt64(accepted.count), value: Array(repeating: 1, count: 900)), into: memtable
    ) {
      accepted.append(
        Entry(key: [9], trailer: 1 << 40 + UInt64(accepted.count), value: Array(repeating: 1, count: 900)))
    }
    #expect(memtable.usedBytes <= memtable.capacityBytes)
    #expect(try Self.forward(memtable) == Self.sorted(accepted))
  }

  @Test func theStatedNeedIsEnough() throws {
    for count in [1, 10, 1_000, 20_000] {
      let entries = Self.randomEntries(count, seed: UInt64(count))
      let payload = entries.reduce(0) { $0 + $1.key.count + $1.value.count }
      let capacity = Memtable.capacityNeeded(count: count, payloadBytes: payload)
      let memtable = try Self.makeMemtable(bytes: max(4096, capacity))
      for entry in entries { #expect(Self.insert(entry, into: memtable)) }
    }
  }

  @Test func readersSeeASoundOrderWhileOneInserts() async throws {
    let memtable = try Self.makeMemtable(bytes: 32 << 20)
    let entries = Self.randomEntries(60_000, seed: 7)
    // What was inserted before a reader starts must be seen by it, in order, whatever splits meanwhile.
    let early = Self.sorted(Array(entries.prefix(10_000)))
    for entry in entries.prefix(10_000) { #expect(Self.insert(entry, into: memtable)) }
    let boundary = KeyTrailer(10_000 * 7 + 1, .delete).rawValue
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        entries.dropFirst(10_000).allSatisfy { Self.insert($0, into: memtable) }
      }
      for direction in 0..<2 {
        group.addTask {
          for _ in 0..<8 {
            let seen = (direction == 0 ? try Self.forward(memtable) : try Self.backward(memtable).reversed())
            if seen.filter({ $0.trailer < boundary }) != early || seen != Self.sorted(seen) { return false }
          }
          return true
        }
      }
      for try await succeeded in group { #expect(succeeded) }
    }
    #expect(try Self.forward(memtable) == Self.sorted(entries))
  }
}
