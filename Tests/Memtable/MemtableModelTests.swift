import CSupport
import Testing

@testable import Siltstone

/// Random operations, one after the other, against a sorted array.
@Suite struct MemtableModelTests {
  typealias Entry = MemtableTests.Entry

  static func isBefore(_ a: Entry, _ b: Entry) -> Bool {
    a.key == b.key ? a.trailer > b.trailer : a.key.lexicographicallyPrecedes(b.key)
  }

  static func position(_ entry: Entry, in sorted: [Entry]) -> Int {
    var (low, high) = (0, sorted.count)
    while low < high {
      let middle = (low + high) / 2
      if isBefore(sorted[middle], entry) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func agreesWithASortedArray(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let arena = GuardedArena(size: 1 << 20)
    arena.create(common: seed % 2 == 0 ? Array("user".utf8) : [])
    let fresh = MemtableTests.randomEntries(3_000, seed: seed)
    let probes = MemtableTests.randomEntries(3_000, seed: seed + 100)
    var sorted: [Entry] = []
    var number = 0
    while number < fresh.count {
      // One by one, or several at once.
      let batch = Array(fresh[number...].prefix([1, 1, 1, 2, 7, 30].randomElement(using: &random)!))
      #expect(batch.count == 1 ? arena.insert(batch[0]) : arena.insert(all: batch))
      for entry in batch { sorted.insert(entry, at: Self.position(entry, in: sorted)) }
      for probe in probes[number..<number + batch.count] {
        let place = Self.position(probe, in: sorted)
        let newest = place < sorted.count && sorted[place].key == probe.key ? sorted[place] : nil
        let (found, isDamaged) = arena.get(probe.key, probe.trailer)
        #expect(found.map { GuardedArena.entry($0) } == newest && !isDamaged)
        if Int.random(in: 0..<10, using: &random) == 0 {
          try zigzag(arena, sorted, from: probe, place, &random)
        }
      }
      number += batch.count
    }
    #expect(arena.entries() == sorted && arena.entries(reverse: true) == sorted.reversed())
  }

  /// Seeks, and goes on at random from there.
  private func zigzag(
    _ arena: GuardedArena, _ sorted: [Entry], from probe: Entry, _ place: Int, _ random: inout SeededGenerator
  ) throws {
    var cursor = arena.cursor()
    let isBefore = Bool.random(using: &random)
    var at = isBefore ? place - 1 : place
    var isValid =
      isBefore
      ? csup_memtable_cursor_seek_before(&cursor, probe.key, UInt32(probe.key.count), probe.trailer)
      : csup_memtable_cursor_seek(&cursor, probe.key, UInt32(probe.key.count), probe.trailer)
    let leaning = Bool.random(using: &random)
    for _ in 0..<60 {
      #expect(isValid == sorted.indices.contains(at) && !cursor.damaged)
      guard isValid else { return }
      try #require(GuardedArena.entry(cursor.entry) == sorted[at])
      let isForward = Int.random(in: 0..<4, using: &random) == 0 ? !leaning : leaning
      at += isForward ? 1 : -1
      isValid = isForward ? csup_memtable_cursor_next(&cursor) : csup_memtable_cursor_previous(&cursor)
    }
  }
}
