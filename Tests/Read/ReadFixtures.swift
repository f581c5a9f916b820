@testable import Siltstone

/// A view of memtables alone, made by hand: what a reader at some position must see of it is easily told.
struct MemtableView {
  /// Oldest first; each list becomes a memtable, the last one the active one.
  let entries: [[OwnedEntry]]
  let view: ReadView
  /// Of a log in which there is nothing.
  let values: ValueReader

  init(_ entries: [[OwnedEntry]], directory: TemporaryDirectory) throws {
    self.entries = entries
    let storage = try DiskStorage(path: directory.path, create: false, backend: .plain)
    let cache = BlockCache(capacityBytes: 1 << 20)
    let pin = try GenerationPins(nil).hold(2)
    let database = DatabaseID(high: 1, low: 2)
    let shared = try SharedState.attach(storage: storage, database: database, ringBytes: 1 << 16).0
    values = ValueReader(
      storage: storage, shared: shared, database: database, segmentBytes: 1 << 16, cache: cache)
    let version = try Version.open(TreeLayout(), storage: storage, cache: cache, pin: pin)
    var memtables: [Memtable] = []
    for list in entries {
      let first = list.map(\.sequence).min() ?? 0
      let memtable = Memtable(try AnonymousMemory(sizeBytes: 1 << 20), firstPosition: first)
      for entry in list {
        let fits = entry.key.withView { key in
          entry.value.withView { memtable.insert(key, entry.trailer, $0) }
        }
        precondition(fits)
      }
      memtables.append(memtable)
    }
    let active = memtables.removeLast()
    view = ReadView(active: active, sealed: memtables.reversed(), version: version)
  }

  /// What a read at `position` sees, in key order.
  func visible(at position: LogPosition, lower: [UInt8]? = nil, upper: [UInt8]? = nil) -> [(
    key: [UInt8], value: [UInt8]
  )] {
    var newest: [[UInt8]: OwnedEntry] = [:]
    for entry in entries.joined() where entry.sequence < position {
      if entry.sequence >= newest[entry.key]?.sequence ?? 0 { newest[entry.key] = entry }
    }
    return newest.values.filter { $0.kind == .put }
      .filter { lower == nil || !$0.key.lexicographicallyPrecedes(lower!) }
      .filter { upper == nil || $0.key.lexicographicallyPrecedes(upper!) }
      .sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) }
  }

  /// A few hundred operations on few keys, spread over three memtables.
  static func random(seed: UInt64) -> [[OwnedEntry]] {
    var random = SeededGenerator(seed: seed)
    var position: LogPosition = 1
    return (0..<3).map { _ in
      (0..<150).map { _ in
        position += UInt64.random(in: 1...20, using: &random)
        let isPut = Int.random(in: 0..<3, using: &random) > 0
        return OwnedEntry(
          key: random.bytes(length: 1...3, alphabet: 97...100), sequence: position, kind: isPut ? .put : .delete,
          value: isPut ? random.bytes(length: 0...12) : [])
      }
    }
  }
}
