import CStores
import CSupport
import Testing

@testable import Siltstone

/// An inserter may die after any of its stores. A child process does the inserts here, instruction by instruction, and
/// after each store a copy of the arena is looked at as a reader would, repaired as the next inserter would, and filled
/// on.
@Suite struct MemtableDeathTests {
  typealias Entry = MemtableTests.Entry
  static let size = 64 << 10

  /// Keys in order, in reverse, at random, and such as the prefixes do not tell apart.
  static func entries(_ kind: Int) -> [Entry] {
    var random = SeededGenerator(seed: UInt64(kind))
    return (0..<300).map { number in
      let digits = withUnsafeBytes(of: UInt16(kind == 1 ? 300 - number : number).bigEndian) { Array($0) }
      let key =
        switch kind {
        case 0, 1: digits
        case 2: random.bytes(length: 1...6, alphabet: 97...100)
        default: Array("all the same".utf8) + random.bytes(length: 2...2)
        }
      return Entry(key: key, trailer: KeyTrailer(UInt64(number + 1), .put).rawValue, value: [])
    }
  }

  @Test(arguments: 0...3)
  func isRepairedAfterEveryStore(kind: Int) throws {
    let entries = Self.entries(kind)
    let (arena, copy) = (GuardedArena(size: Self.size), GuardedArena(size: Self.size))
    arena.create()
    var checked = 0
    var begin = 0
    while begin < entries.count {
      // A step takes its time: all inserts are looked at that make two nodes, some of the others, and a batch.
      let isBatch = begin == 120
      let end = min(begin + (isBatch ? 10 : 1), entries.count)
      copy.bytes.copyMemory(from: UnsafeRawBufferPointer(arena.bytes))
      #expect(copy.insert(all: Array(entries[begin..<end])))
      let nodes = (csup_memtable_used(copy.table) - csup_memtable_used(arena.table)) / 216
      if isBatch || nodes == 2 || begin % (nodes == 1 ? 13 : 97) == 1 {
        guard let count = try Self.dieEverywhere(arena, copy, entries, begin..<end) else { return }
        checked += count
      } else {
        #expect(arena.insert(entries[begin]))
      }
      begin = end
    }
    #expect(checked > 150, "\(checked)")
  }

  /// Inserts some of the entries, and checks what there is after each store. Returns after how many, or nil where no
  /// process may trace another.
  static func dieEverywhere(
    _ arena: GuardedArena, _ copy: GuardedArena, _ entries: [Entry], _ range: Range<Int>
  ) throws -> Int? {
    let limit = 1_000
    let states = UnsafeMutableRawBufferPointer.allocate(byteCount: limit * size, alignment: 16)
    defer { states.deallocate() }
    let count = GuardedArena.withEntries(Array(entries[range])) {
      stores_of_insert(arena.base, size, $0, UInt32($0.count), states.baseAddress, limit)
    }
    if count < 0 { return nil }
    try #require(count > 4 && count < limit - 1)
    let stages = (range.lowerBound...range.upperBound).map { MemtableTests.sorted(Array(entries[..<$0])) }
    let more = entries[range.lowerBound..<min(range.upperBound + 20, entries.count)]
    let all = MemtableTests.sorted(Array(entries[..<more.endIndex]))
    for state in 0..<count {
      copy.bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: states[(state * size)...].prefix(size)))
      try check(copy, stages)
      csup_memtable_repair(copy.table)
      let found = try check(copy, stages)
      let missed = UInt64(found.count) - csup_memtable_count(copy.table)
      #expect(missed <= 1 && csup_memtable_is_empty(copy.table) == found.isEmpty)
      if state % 2 == 0 { #expect(copy.insert(all: Array(more))) }
      for entry in more { #expect(copy.insert(entry)) }
      #expect(copy.entries() == all && csup_memtable_count(copy.table) + missed == all.count)
    }
    #expect(arena.entries() == stages.last, "all was inserted in the end")
    return count
  }

  /// The memtable holds what it held before the inserts, or after some of them, in whatever way it is read.
  @discardableResult
  static func check(_ arena: GuardedArena, _ stages: [[Entry]]) throws -> [Entry] {
    let found = try #require(arena.entries())
    try #require(stages.contains(found))
    try #require(arena.entries(reverse: true) == found.reversed())
    for entry in found {
      let (seen, isDamaged) = arena.get(entry.key, entry.trailer)
      try #require(!isDamaged && seen?.trailer == entry.trailer)
    }
    return found
  }
}
