import CSupport
import Testing

@testable import Siltstone

/// Arenas that something has scribbled over. What is found in them does not matter; that nothing outside is touched
/// does, that everything ends, and that what cannot be is said to be damaged. A touch outside ends the whole process.
@Suite struct MemtableDamageTests {
  static let entries = MemtableTests.randomEntries(900, seed: 11)

  static func filled(_ size: Int = 64 << 10) -> GuardedArena {
    let arena = GuardedArena(size: size)
    arena.create(common: Array("user".utf8))
    for entry in entries { precondition(arena.insert(entry)) }
    return arena
  }

  /// Offsets of words that steer: all nodes, which level 0 and the levels above lead to, and the header.
  static func scribble(_ arena: GuardedArena, _ random: inout SeededGenerator) {
    let used = csup_memtable_used(arena.table) <= arena.size ? csup_memtable_used(arena.table) : arena.size
    let end = Bool.random(using: &random) ? 48 : max(used, 64)
    func word(below end: Int) -> Int { Int.random(in: 0..<end / 4, using: &random) * 4 }
    let at = word(below: end)
    switch Int.random(in: 0..<7, using: &random) {
    case 0: arena.bytes[at] ^= UInt8.random(in: 1...255, using: &random)
    case 1: arena.bytes.storeBytes(of: UInt32.random(in: 0 ... .max, using: &random), toByteOffset: at, as: UInt32.self)
    case 2:
      let other = arena.bytes.load(fromByteOffset: word(below: arena.size), as: UInt32.self)
      arena.bytes.storeBytes(of: other, toByteOffset: at, as: UInt32.self)
    case 3:
      arena.bytes.storeBytes(of: UInt32(word(below: arena.size) & ~7), toByteOffset: at, as: UInt32.self)
    case 4:
      let extreme = [0, 1, 15, .max, UInt32(arena.size), UInt32(arena.size - 8), 168].randomElement(using: &random)!
      arena.bytes.storeBytes(of: extreme, toByteOffset: at, as: UInt32.self)
    case 5:
      let length = min(arena.size - at, Int.random(in: 1...512, using: &random))
      arena.bytes[at..<at + length].withMemoryRebound(to: UInt8.self) { $0.update(repeating: 0) }
    default:
      let from = word(below: arena.size - 216)
      let to = min(at, arena.size - 216)
      arena.bytes.copyBytesInside(from: from, to: to, count: 216)
    }
  }

  /// Everything a reader can do; returns whether any of it met damage.
  static func read(_ arena: GuardedArena, _ random: inout SeededGenerator) -> Bool {
    var isDamaged = false
    for _ in 0..<8 {
      let probe = entries.randomElement(using: &random)!
      isDamaged = arena.get(probe.key, .max).isDamaged || isDamaged
      var cursor = arena.cursor()
      for isForward in [true, false, true] {
        var isValid =
          isForward
          ? csup_memtable_cursor_seek(&cursor, probe.key, UInt32(probe.key.count), probe.trailer)
          : csup_memtable_cursor_seek_before(&cursor, probe.key, UInt32(probe.key.count), probe.trailer)
        for _ in 0..<20 where isValid {
          isValid =
            Bool.random(using: &random) == isForward
            ? csup_memtable_cursor_next(&cursor) : csup_memtable_cursor_previous(&cursor)
        }
        isDamaged = cursor.damaged || isDamaged
      }
    }
    for reverse in [false, true] {
      var touched: UInt64 = 0
      let isBroken = arena.walk(reverse: reverse) { entry in
        if entry.key_length > 0 { touched += UInt64(entry.key[0]) + UInt64(entry.key[Int(entry.key_length) - 1]) }
        if entry.value_length > 0 { touched += UInt64(entry.value[Int(entry.value_length) - 1]) }
      }
      isDamaged = isBroken || isDamaged
    }
    return isDamaged
  }

  @Test(arguments: [1, 4, 40])
  func scribblingLeadsNobodyOutside(scribbles: Int) throws {
    let sound = Self.filled()
    let arena = GuardedArena(size: sound.size)
    var random = SeededGenerator(seed: UInt64(scribbles))
    var damaged = 0
    let rounds = 400
    for _ in 0..<rounds {
      arena.bytes.copyMemory(from: UnsafeRawBufferPointer(sound.bytes))
      for _ in 0..<scribbles { Self.scribble(arena, &random) }
      if Self.read(arena, &random) { damaged += 1 }
      // Inserters neither, nor who cleans up after them.
      if Bool.random(using: &random) { csup_memtable_repair(arena.table) }
      for entry in MemtableTests.randomEntries(20, seed: random.next()) { _ = arena.insert(entry) }
      _ = arena.insert(all: MemtableTests.randomEntries(20, seed: random.next()))
      csup_memtable_repair(arena.table)
      _ = Self.read(arena, &random)
    }
    #expect(damaged > rounds / (scribbles == 1 ? 20 : 8) && damaged < rounds, "\(damaged) of \(rounds)")
  }

  @Test func scribblingMeanwhileLeadsNobodyOutside() async throws {
    let arena = Self.filled()
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        var random = SeededGenerator(seed: 1)
        let sound = Self.filled()
        while !Task.isCancelled {
          for _ in 0..<50 { Self.scribble(arena, &random) }
          arena.bytes.copyMemory(from: UnsafeRawBufferPointer(sound.bytes))
        }
      }
      group.addTask {
        var random = SeededGenerator(seed: 2)
        for round in 0..<100 {
          _ = Self.read(arena, &random)
          for entry in MemtableTests.randomEntries(5, seed: UInt64(round)) { _ = arena.insert(entry) }
        }
      }
      await group.next()
      group.cancelAll()
    }
  }

  /// Nothing of these can be read, and all of it says so.
  @Test(arguments: [0, 0xFF, 0xA8] as [UInt8])
  func anArenaOfOneByteIsDamaged(byte: UInt8) throws {
    let arena = GuardedArena(size: 16 << 10)
    arena.bytes.withMemoryRebound(to: UInt8.self) { $0.update(repeating: byte) }
    #expect(arena.get([1], .max).isDamaged && arena.get([1], .max).entry == nil)
    #expect(arena.entries() == nil && arena.entries(reverse: true) == nil)
    #expect(!arena.insert(Self.entries[0]))
    #expect(csup_memtable_capacity(arena.table) == 0)
    csup_memtable_repair(arena.table)
  }

  /// The layout that MemtableFormat.md draws, by which single fields are made wrong here.
  @Test func singleFieldsThatCannotBe() throws {
    let first = 168  // the first node of level 0
    let (next, low, entry) = (16, 24, 152)
    for (field, value) in [
      (next, 8), (next, 1 << 20), (next, 172), (entry, 0), (entry, 8), (entry, 1 << 20), (low + 4, 3),
    ] as [(Int, UInt32)] {
      let arena = GuardedArena(size: 16 << 10)
      arena.create()
      for number in 0..<15 as Range<UInt8> {
        #expect(arena.insert(.init(key: [number], trailer: 1, value: [number])))
      }
      arena.bytes.storeBytes(of: value, toByteOffset: first + field, as: UInt32.self)
      let isOfItsEntry = field == entry
      #expect(arena.entries() == nil, "\(field) \(value)")
      #expect(arena.get([isOfItsEntry ? 0 : 99], .max).isDamaged, "\(field) \(value)")
    }
  }

  @Test func lengthsThatReachOutside() throws {
    let arena = GuardedArena(size: 16 << 10)
    arena.create()
    #expect(arena.insert(.init(key: [7], trailer: 1, value: [7])))
    let lengths = 168 + 216 + 8
    for (offset, value) in [(0, UInt32.max), (4, UInt32.max), (0, 16 << 10), (4, 16 << 10)] {
      let sound = arena.bytes.load(fromByteOffset: lengths + offset, as: UInt32.self)
      arena.bytes.storeBytes(of: value, toByteOffset: lengths + offset, as: UInt32.self)
      #expect(arena.entries() == nil && arena.get([7], .max).isDamaged)
      arena.bytes.storeBytes(of: sound, toByteOffset: lengths + offset, as: UInt32.self)
    }
    #expect(arena.entries()?.count == 1)
    // The header of an entry just fits at the end, its key does not.
    let last = arena.size - 16
    arena.bytes.storeBytes(of: 1, toByteOffset: last + 8, as: UInt32.self)
    arena.bytes.storeBytes(of: UInt32(last), toByteOffset: 168 + 152, as: UInt32.self)
    #expect(arena.entries() == nil && arena.get([7], .max).isDamaged)
  }

  /// A link that leads back: the walk goes round, and ends.
  @Test func linksThatGoRound() throws {
    let arena = GuardedArena(size: 16 << 10)
    arena.create()
    for number in 0..<100 as Range<UInt8> { #expect(arena.insert(.init(key: [number], trailer: 1, value: []))) }
    arena.bytes.storeBytes(of: 168, toByteOffset: 168 + 16, as: UInt32.self)
    #expect(arena.entries() == nil)
  }

  @Test func whatWasScribbledOverIsMadeAnew() throws {
    let arena = GuardedArena(size: 64 << 10)
    var random = SeededGenerator(seed: 5)
    for round in 0..<5 {
      for index in arena.bytes.indices { arena.bytes[index] = UInt8.random(in: 0...255, using: &random) }
      arena.create()
      let entries = MemtableTests.randomEntries(600, seed: UInt64(round))
      for entry in entries { #expect(arena.insert(entry)) }
      #expect(arena.entries() == MemtableTests.sorted(entries))
      #expect(arena.entries(reverse: true) == MemtableTests.sorted(entries).reversed())
    }
  }

  @Test func theCapacityGrowsAndNeverShrinks() throws {
    let arena = GuardedArena(size: 64 << 10)
    arena.create(capacity: 8 << 10)
    var accepted: [MemtableTests.Entry] = []
    for capacity in [8 << 10, 9 << 10, 40 << 10, 64 << 10] {
      csup_memtable_grow(arena.table, capacity)
      csup_memtable_grow(arena.table, capacity / 2)
      #expect(csup_memtable_capacity(arena.table) == capacity)
      for entry in Self.entries[accepted.count...] {
        if !arena.insert(entry) { break }
        accepted.append(entry)
      }
      #expect(csup_memtable_used(arena.table) <= capacity)
      #expect(arena.entries() == MemtableTests.sorted(accepted))
    }
    #expect(accepted.count > 500)
    // Nobody can be made to write outside by a wrong capacity, but by its owner, who knows what stands reserved.
    arena.bytes.storeBytes(of: 1 << 30, as: UInt32.self)
    #expect(csup_memtable_capacity(arena.table) == 0 && !arena.insert(Self.entries.last!))
    csup_memtable_grow(arena.table, arena.size)
    #expect(csup_memtable_capacity(arena.table) == arena.size)
  }
}

extension UnsafeMutableRawBufferPointer {
  fileprivate func copyBytesInside(from: Int, to: Int, count: Int) {
    (baseAddress! + to).copyMemory(from: baseAddress! + from, byteCount: count)
  }
}
