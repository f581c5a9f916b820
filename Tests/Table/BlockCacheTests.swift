import Glibc
import Testing

@testable import Siltstone

@Suite struct BlockCacheTests {
  /// A block of `count` bytes that tell which block it is.
  static func block(_ id: BlockID, _ count: Int = 1000) -> BlockReference {
    let block = BlockReference(allocating: count)
    _ = block.writableBytes.initializeMemory(as: UInt8.self, repeating: fill(id))
    return block
  }

  static func fill(_ id: BlockID) -> UInt8 { UInt8(truncatingIfNeeded: id.hash >> 8) }

  static func isIntact(_ block: borrowing BlockReference, _ id: BlockID) -> Bool {
    block.bytes.buffer.allSatisfy { $0 == fill(id) }
  }

  static func has(_ cache: BlockCache, _ id: BlockID, _ kind: BlockKind = .data) -> Bool {
    if cache.lookup(id, kind) != nil { return true }
    return false
  }

  static func expectIntact(
    _ block: borrowing BlockReference, _ id: BlockID, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let intact = isIntact(block, id)
    #expect(intact, sourceLocation: sourceLocation)
  }

  @Test func findsWhatWasInserted() throws {
    let cache = BlockCache(capacityBytes: 16 << 20)
    for offset in 0..<2000 {
      let id = BlockID(table: UInt64(offset % 3), offset: UInt64(offset) << 14)
      _ = cache.insert(id, .data, BlockCacheTests.block(id))
    }
    for offset in 0..<2000 {
      let id = BlockID(table: UInt64(offset % 3), offset: UInt64(offset) << 14)
      guard let found = cache.lookup(id, .data) else {
        Issue.record("block \(offset) is gone")
        continue
      }
      BlockCacheTests.expectIntact(found, id)
      let address = UInt(bitPattern: found.bytes.base)
      #expect(address % 64 == 0)
    }
    #expect(!BlockCacheTests.has(cache, BlockID(table: 5, offset: 0), .index))
    let statistics = cache.statistics
    #expect(statistics.data.hits == 2000 && statistics.data.inserts == 2000 && statistics.data.evictions == 0)
    #expect(statistics.index.misses == 1 && statistics.blockCount == 2000)
    #expect(statistics.usageBytes >= 2_000_000)
    cache.eraseTable(1)
    #expect(!BlockCacheTests.has(cache, BlockID(table: 1, offset: 1 << 14)))
    #expect(BlockCacheTests.has(cache, BlockID(table: 2, offset: 2 << 14)))
    cache.eraseTable(0)
    cache.eraseTable(2)
    #expect(cache.usageBytes == 0 && cache.statistics.blockCount == 0)
  }

  @Test func theFirstOfTwoInsertersWins() {
    let cache = BlockCache(capacityBytes: 1 << 20)
    let id = BlockID(table: 1, offset: 2)
    let first = cache.insert(id, .data, BlockCacheTests.block(id))
    let second = cache.insert(id, .data, BlockCacheTests.block(id))
    let (firstBase, secondBase) = (first.bytes.base, second.bytes.base)
    #expect(firstBase == secondBase)
    #expect(cache.statistics.blockCount == 1)
  }

  @Test func obeysItsBudgetWithPins() {
    let capacity = 1 << 20
    let cache = BlockCache(capacityBytes: capacity)
    var random = SeededGenerator(seed: 41)
    let pins = Pins()
    for round in 0..<8000 {
      let id = BlockID(table: 1, offset: UInt64.random(in: 0..<5000, using: &random))
      let size = Int.random(in: 100...8000, using: &random)
      let reference: BlockReference
      if let cached = cache.lookup(id, .data) {
        reference = cached
      } else {
        reference = cache.insert(id, .data, BlockCacheTests.block(id, size))
      }
      BlockCacheTests.expectIntact(reference, id)
      if round % 7 == 0 { pins.add(reference, id) }
      if pins.count > 100 { #expect(pins.removeFirstIsIntact()) }
      #expect(cache.usageBytes <= capacity)
    }
    #expect(cache.statistics.data.evictions > 1000)
    #expect(cache.statistics.data.hits > 100)
    while pins.count > 0 { #expect(pins.removeFirstIsIntact()) }
    cache.setCapacity(100_000)
    #expect(cache.usageBytes <= 100_000)
    cache.setCapacity(0)
    #expect(cache.usageBytes == 0)
  }

  @Test func whatFindsNoRoomBelongsToItsReference() {
    let cache = BlockCache(capacityBytes: 160_000)
    let id = BlockID(table: 1, offset: 1)
    let large = cache.insert(id, .data, BlockCacheTests.block(id, 1 << 20))
    BlockCacheTests.expectIntact(large, id)
    #expect(cache.usageBytes == 0)
    #expect(!BlockCacheTests.has(cache, id))
    // A cache of which everything is pinned.
    let pins = Pins()
    for offset in 0..<1000 {
      let id = BlockID(table: 2, offset: UInt64(offset))
      pins.add(cache.insert(id, .data, BlockCacheTests.block(id)), id)
    }
    #expect(cache.usageBytes <= 160_000)
    #expect(cache.statistics.blockCount > 50)
    while pins.count > 0 { #expect(pins.removeFirstIsIntact()) }
  }

  @Test func keepsIndexesLongerThanAScan() {
    let cache = BlockCache(capacityBytes: 1 << 20)
    for offset in 0..<100 {
      let id = BlockID(table: 1, offset: UInt64(offset))
      _ = cache.insert(id, .index, BlockCacheTests.block(id))
    }
    for offset in 0..<1500 {
      let id = BlockID(table: 2, offset: UInt64(offset))
      _ = cache.insert(id, .data, BlockCacheTests.block(id))
      _ = cache.lookup(BlockID(table: 1, offset: UInt64(offset % 100)), .index)
    }
    let kept = (0..<100).count { BlockCacheTests.has(cache, BlockID(table: 1, offset: UInt64($0)), .index) }
    #expect(kept > 90)
    #expect(cache.statistics.data.evictions > 500)
  }

  @Test func servesManyThreads() {
    let cache = BlockCache(capacityBytes: 256 << 10)
    let outcomes = onTableThreads(4) { thread in
      var random = SeededGenerator(seed: UInt64(thread))
      var intact = 0
      for _ in 0..<5000 {
        let id = BlockID(table: 3, offset: UInt64.random(in: 0..<400, using: &random))
        let kind: BlockKind = id.offset % 10 == 0 ? .filter : .data
        if let cached = cache.lookup(id, kind) {
          intact += BlockCacheTests.isIntact(cached, id) ? 1 : 0
        } else {
          let inserted = cache.insert(id, kind, BlockCacheTests.block(id, 1500))
          intact += BlockCacheTests.isIntact(inserted, id) ? 1 : 0
        }
        if id.offset == 77 { cache.eraseTable(3) }
      }
      return intact
    }
    #expect(outcomes == [5000, 5000, 5000, 5000])
    #expect(cache.usageBytes <= 256 << 10)
    cache.setCapacity(0)
    #expect(cache.usageBytes == 0)
  }
}

/// References to blocks, which an array cannot hold.
private final class Pins {
  private final class Pin {
    let reference: BlockReference
    let id: BlockID
    init(_ reference: consuming BlockReference, _ id: BlockID) {
      self.reference = reference
      self.id = id
    }
  }
  private var pins: [Pin] = []

  var count: Int { pins.count }
  func add(_ reference: consuming BlockReference, _ id: BlockID) { pins.append(Pin(reference, id)) }
  func removeFirstIsIntact() -> Bool {
    let pin = pins.removeFirst()
    return BlockCacheTests.isIntact(pin.reference, pin.id)
  }
}

/// Runs `body` on real threads, all at once, and gathers what each returned.
func onTableThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Int) -> [Int] {
  let jobs = (0..<count).map { ThreadJob(body, $0) }
  let threads = jobs.map { job in
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<ThreadJob>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, Unmanaged.passRetained(job).toOpaque())
    return thread
  }
  for thread in threads { pthread_join(thread, nil) }
  return jobs.map(\.result)
}

/// Written by its thread, read after that was joined.
private final class ThreadJob {
  private let body: (Int) -> Int
  private let index: Int
  private(set) var result = 0

  init(_ body: @escaping @Sendable (Int) -> Int, _ index: Int) {
    self.body = body
    self.index = index
  }

  func run() { result = body(index) }
}
