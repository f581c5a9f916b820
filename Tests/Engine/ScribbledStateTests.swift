import CSupport
import Testing

@testable import Siltstone

/// Another process writes over words of the shared state while this one is at work. It may be told nonsense then, or
/// that something is wrong; but it does not trap, and everything that it calls comes back.
@Suite(.serialized) struct ScribbledStateTests {
  static let words: [@Sendable (SharedState.Words) -> UnsafeMutablePointer<UInt64>] = [
    { $0.reserved }, { $0.published }, { $0.drained }, { $0.durable }, { $0.active }, { $0.generation }, { $0.flushed },
    { $0.arenaPlan }, { $0.manifestEnd }, { $0.nextTable }, { $0.nextRun }, { $0.nextArena }, { $0.prepared },
    { $0.logStart },
  ]

  @Test(arguments: words.indices) func aWordOfTheHeader(_ index: Int) throws {
    let word = Self.words[index]
    for value in [0, 1 << 63, .max - 7] as [UInt64] {
      let directory = TemporaryDirectory()
      let database = try Database.open(directory.path, options: .small())
      for number in 0..<500 { try database.put("key\(number)", String(repeating: "v", count: 100)) }
      csup_store(word(database.engine.shared.words), value)
      exercise(database)
    }
  }

  @Test func wordsOfTheLocks() throws {
    for lock in SharedLock.allCases {
      for value in [1 << 63, .max - 7, 1 << 40 | 5] as [UInt64] {
        let directory = TemporaryDirectory()
        let database = try Database.open(directory.path, options: .small())
        for number in 0..<200 { try database.put("key\(number)", String(repeating: "v", count: 100)) }
        csup_store(&database.engine.shared.words[lock].pointee.word, value)
        if lock == .commit { #expect(throws: SiltstoneError.self) { try database.put("a", "b") } }
        if lock == .drain {
          #expect(throws: SiltstoneError.self) { try database.put("a", "b", durability: .synced) }
        }
        exercise(database)
      }
    }
  }

  /// No segment is made, used again or removed because of a word that cannot be.
  @Test func whichSegmentsAreInUse() throws {
    let fixture = try SharedFixture()
    let shared = fixture.first.shared
    let segments = LogSegments(
      storage: fixture.storage, database: fixture.database, shared: shared, segmentBytes: 1 << 16, fills: true)
    shared.setReserved(70_000)
    shared.setPublished(70_000)
    shared.setPrepared(2 << 16)
    try segments.prepare(upTo: 2 << 16 + 1)
    let names = Set(try fixture.storage.list())
    let scribbles: [(prepared: UInt64, logStart: UInt64)] = [
      (.max, 0), (.max - 65_535, 0), (1 << 40, 0), (0, 0), (3 << 16 + 1, 0), (3 << 16, 70_001), (3 << 16, .max),
      (3 << 16, 1 << 63),
    ]
    for (prepared, logStart) in scribbles {
      csup_store(shared.words.prepared, prepared)
      csup_store(shared.words.logStart, logStart)
      let error = #expect(throws: SiltstoneError.self) { try segments.release([0]) }
      #expect(error?.code == .corruption && error?.file == "SHARED", "\(prepared) \(logStart)")
      if prepared < 4 << 16 { #expect(throws: SiltstoneError.self) { try segments.prepare(upTo: 5 << 16) } }
      #expect(Set(try fixture.storage.list()) == names)
      _ = segments.liveSegmentCount
    }
    csup_store(shared.words.prepared, 3 << 16)
    csup_store(shared.words.logStart, 70_000)
    try segments.release([0])
    try fixture.close()
  }

  @Test func entriesOfTheArenaTable() throws {
    var random = SeededGenerator(seed: 12)
    for _ in 0..<6 {
      let directory = TemporaryDirectory()
      let database = try Database.open(directory.path, options: .small())
      for number in 0..<500 { try database.put("key\(number)", String(repeating: "v", count: 100)) }
      for index in 0..<ArenaTable.count {
        let entry = database.engine.arenas.entry(index)
        let fields: [WritableKeyPath<csup_arena, UInt64>] = [\.first_position, \.size_bytes, \.born, \.retired]
        csup_store(
          entry.pointer(to: fields.randomElement(using: &random)!)!, UInt64.random(in: 0...UInt64.max, using: &random))
        if Bool.random(using: &random) {
          csup_store(entry.pointer(to: \.word)!, UInt64.random(in: 0...UInt64.max, using: &random))
        }
      }
      exercise(database)
    }
  }

  /// Any of these may fail.
  private func exercise(_ database: Database) {
    let engine = database.engine
    defer { try? ArenaTable.removeAll(engine.storage, engine.shared, engine.tree.creation.database) }
    for number in 0..<300 {
      if (try? database.put("key\(number)", String(repeating: "w", count: 500), durability: .staged)) == nil { break }
    }
    _ = try? database.put("synced", "x", durability: .synced)
    _ = try? database.get("key7")
    try? database.scan(.all) { _, _ in true }
    _ = database.metrics
    try? database.close()
  }
}
