import CSupport
import Synchronization
import Testing

@testable import Siltstone

/// What a process that may only read marks, and what it does where it cannot.
@Suite struct ReaderPinTests {
  /// Remembers what is marked, and fails on demand.
  final class Marks: FileMarks {
    let marked = Mutex<Set<UInt64>>([])
    let isFailing = Atomic<Bool>(false)

    func set(_ byte: UInt64, _ isSet: Bool) throws(SiltstoneError) {
      if isFailing.load(ordering: .relaxed) { throw SiltstoneError(.outOfMemory, "no more locks") }
      marked.withLock { marked in
        if isSet { marked.insert(byte) } else { marked.remove(byte) }
      }
    }

    var generations: [UInt64] { marked.withLock { $0.map { $0 - SharedState.LockByte.generations }.sorted() } }
  }

  @Test func aGenerationIsMarkedOnceForAllItsPins() throws {
    let marks = Marks()
    let pins = GenerationPins(nil, marks: marks)
    // More than there are words in a slot, in no order.
    let generations = (0..<20).map { UInt64($0 * 7 % 20 + 2) }
    var held = try (generations + generations).map { try pins.hold($0) }
    #expect(marks.generations == generations.sorted())
    held.removeLast(generations.count)
    #expect(marks.generations == generations.sorted(), "one of two is left")
    held.removeAll()
    #expect(marks.generations.isEmpty)
  }

  @Test func aPinThatNobodySeesIsNone() throws {
    let marks = Marks()
    let pins = GenerationPins(nil, marks: marks)
    let first = try pins.pinCurrent { 2 }
    marks.isFailing.store(true, ordering: .relaxed)
    #expect(throws: SiltstoneError.self) { try pins.pinCurrent { 4 } }
    #expect(!pins.holds(any: 3..<5))
    marks.isFailing.store(false, ordering: .relaxed)
    let second = try pins.pinCurrent { 4 }
    #expect(marks.generations == [2, 4])
    withExtendedLifetime((first, second)) {}
  }

  /// Its writer died, or was stopped, while it showed that a memtable is in tables now.
  @Test func aReaderDoesNotWaitForEver() throws {
    let fixture = try SharedFixture()
    _ = try fixture.first.arenas.activate(firstPosition: 1, commonPrefix: [])
    let shared = try SharedState.join(fixture.storage, isWritable: false)
    let reader = try SharedParts(fixture.storage, shared, fixture.database, .readOnly).makeView()
    _ = try fixture.first.arenas.activate(firstPosition: 2, commonPrefix: [])
    csup_store(fixture.first.shared.words.flushed, 2)
    csup_store(fixture.first.shared.words.generation, fixture.first.shared.generation + 1)
    #expect(throws: SiltstoneError.self) { try reader.load() }
    try fixture.close()
  }

  @Test func whoDeletesNothingKeepsNoList() throws {
    let directory = TemporaryDirectory()
    let writer = try Database.open(directory.path, options: .small())
    var options = Options.small()
    options.sharing = .readOnly
    try writer.put("a", "1")
    let reader = try Database.open(directory.path, options: options)
    for round in 0..<4 {
      for number in 0..<500 { try writer.put("key\(number)", "\(round)" + String(repeating: "v", count: 200)) }
      try writer.compact()
      try reader.engine.tree.follow()
    }
    #expect(reader.engine.tree.reaper.condemnedCount == 0)
    try reader.close()
    try writer.close()
    withExtendedLifetime(directory) {}
  }
}
