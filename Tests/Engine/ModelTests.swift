import Testing

@testable import Siltstone

/// Random operations, checked against a dictionary: the engine must agree with it after every flush, compaction and
/// reopening, at present and at each snapshot, by lookups and by scans both ways.
@Suite struct ModelTests {
  struct Setup: CustomTestStringConvertible, Sendable {
    var seed: UInt64
    var backend = Options.IOBackend.automatic
    var upper = Compression.none
    var bottom = Compression.lz4
    var runsPerLevel: Int?
    var sizeRatio = 4
    /// One value in so many is large.
    var largeEvery = 100

    var options: Options {
      var options = Options.small(backend: backend)
      options.upperCompression = upper
      options.bottomCompression = bottom
      options.runsPerLevel = runsPerLevel
      options.sizeRatio = sizeRatio
      return options
    }
    var testDescription: String { "seed \(seed), runs \(runsPerLevel ?? 0), ratio \(sizeRatio), large 1/\(largeEvery)" }
  }

  static let setups = [
    Setup(seed: 1), Setup(seed: 2, backend: .plain, bottom: .zstd), Setup(seed: 3, upper: .snappy, runsPerLevel: 1),
    Setup(seed: 4, bottom: .none, runsPerLevel: 8, sizeRatio: 8), Setup(seed: 5, upper: .lz4, sizeRatio: 2),
    Setup(seed: 6, largeEvery: 4), Setup(seed: 7, runsPerLevel: 1, largeEvery: 2),
  ]

  typealias Model = [[UInt8]: [UInt8]]

  @Test(arguments: setups)
  func agreesWithADictionary(setup: Setup) throws {
    let directory = TemporaryDirectory()
    var random = SeededGenerator(seed: setup.seed)
    var database = try Database.open(directory.path, options: setup.options)
    var model: Model = [:]
    var snapshots: [(Snapshot, Model)] = []
    for step in 0..<6_000 {
      switch Int.random(in: 0..<1_000, using: &random) {
      case 0..<700: try Self.write(database, &model, &random, largeEvery: setup.largeEvery)
      case 700..<900:
        let key = Self.key(&random)
        #expect(try database.get(key) == model[key], "step \(step)")
      case 900..<985: try Self.checkSeek(database, model, &random)
      case 985..<990: try database.flush()
      case 990..<992: try database.compact(Self.range(&random))
      case 992..<996:
        if snapshots.count < 4 { snapshots.append((try database.snapshot(), model)) }
      case 996..<998:
        if !snapshots.isEmpty {
          let (snapshot, then) = snapshots.remove(at: Int.random(in: 0..<snapshots.count, using: &random))
          try Self.checkScan(then) { (reverse, body) in try snapshot.scan(reverse: reverse, body) }
        }
      default:
        snapshots = []
        try database.close()
        database = try Database.open(directory.path, options: setup.options)
      }
      if step % 1_500 == 1_499 {
        try Self.checkScan(model) { (reverse, body) in try database.scan(reverse: reverse, body) }
      }
    }
    for (snapshot, then) in snapshots {
      try Self.checkScan(then) { (reverse, body) in try snapshot.scan(reverse: reverse, body) }
    }
    snapshots = []
    try database.compact()
    try Self.checkScan(model) { (reverse, body) in try database.scan(reverse: reverse, body) }
    #expect(try database.verify().problems.isEmpty)
    #expect(database.metrics.flushes > 0)
    #expect(database.metrics.levels.reduce(0) { $0 + Int($1.entries) } == model.count)
    try database.close()
    try Self.checkDirectory(directory.path)
  }

  static func key(_ random: inout SeededGenerator) -> [UInt8] {
    Array("key/".utf8) + random.bytes(length: 1...3, alphabet: 97...106)
  }

  static func range(_ random: inout SeededGenerator) -> KeyRange {
    let (a, b) = (key(&random), key(&random))
    return a.lexicographicallyPrecedes(b) ? KeyRange(from: a, to: b) : KeyRange(from: b, to: nil)
  }

  static func write(
    _ database: Database, _ model: inout Model, _ random: inout SeededGenerator, largeEvery: Int
  ) throws {
    var batch = WriteBatch()
    let count = Int.random(in: 0..<20, using: &random) == 0 ? 40 : 1
    for _ in 0..<count {
      let key = key(&random)
      if Int.random(in: 0..<4, using: &random) == 0 {
        try batch.delete(key)
        model[key] = nil
      } else {
        let large = Int.random(in: 0..<largeEvery, using: &random) == 0
        var value = random.bytes(length: large ? 24...24 : 0...120, alphabet: 0...20)
        if large {
          // Where most is large: on both sides of what counts as such, and now and then of several records.
          let isLong = largeEvery == 100 || Int.random(in: 0..<20, using: &random) == 0
          let length = isLong ? 5_000...40_000 : 4_000...4_300
          value += repeatElement(UInt8(count & 0xFF), count: Int.random(in: length, using: &random) - 24)
        }
        try batch.put(key, value)
        model[key] = value
      }
    }
    try database.write(batch, durability: Int.random(in: 0..<50, using: &random) == 0 ? .synced : .staged)
  }

  static func checkSeek(_ database: Database, _ model: Model, _ random: inout SeededGenerator) throws {
    let target = key(&random)
    var cursor = try database.makeCursor()
    try cursor.seek(target)
    let after = model.keys.filter { !$0.lexicographicallyPrecedes(target) }.min { $0.lexicographicallyPrecedes($1) }
    #expect(current(cursor) == after)
    if let after {
      let value = ByteView(try cursor.value).copied()
      #expect(value == model[after])
    }
    try cursor.seekBefore(target)
    let before = model.keys.filter { $0.lexicographicallyPrecedes(target) }.max { $0.lexicographicallyPrecedes($1) }
    #expect(current(cursor) == before)
    if cursor.isValid {
      try cursor.next()
      #expect(current(cursor) == after)
    }
  }

  static func checkScan(
    _ model: Model, _ scan: (Bool, (RawSpan, RawSpan) throws(SiltstoneError) -> Bool) throws -> Void
  ) throws {
    let sorted = model.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    for reverse in [false, true] {
      var seen: [(key: [UInt8], value: [UInt8])] = []
      try scan(reverse) { (key, value) throws(SiltstoneError) in
        seen.append((ByteView(key).copied(), ByteView(value).copied()))
        return true
      }
      let expected = reverse ? sorted.reversed() : sorted
      #expect(seen.map(\.key) == expected.map(\.key))
      #expect(seen.map(\.value) == expected.map(\.value))
    }
  }

  /// Nothing unexplained is left in the directory.
  static func checkDirectory(_ path: String) throws {
    let storage = try DiskStorage(path: path, create: false)
    var manifests = 0
    for name in try storage.list() {
      if ManifestFile.number(fromName: name) != nil { manifests += 1 }
      #expect(
        name == "CURRENT" || name == "SHARED" || ManifestFile.number(fromName: name) != nil
          || TableFile.number(name) != nil || LogSegment.number(fromFileName: name) != nil, "\(name)")
    }
    #expect(manifests == 1)
    var recovered = Manifest.Recovered(fileName: "")
    let named = Set(try Manifest.recover(storage, &recovered).state.layout.tables.map(\.number))
    #expect(Set(try storage.list().compactMap { TableFile.number($0) }) == named)
  }
}
