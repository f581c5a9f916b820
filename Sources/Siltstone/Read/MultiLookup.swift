internal import Synchronization

/// Looks many keys up in one view, with the disk reads of all of them overlapped.
///
/// In rounds: every key that is not settled is looked up in what is cached; the blocks that the lookups miss are read
/// together; then comes the next round, in which each lookup gets one block further. A lookup needs three blocks a
/// table at the most - filter, index, data - and most are in memory, so there are few rounds.
struct MultiLookup: ~Copyable {
  private let view: ReadView
  private let position: LogPosition
  private let values: ValueReader
  private let queue: any IOQueue
  private var batch: BlockBatch
  /// Blocks read from disk.
  private(set) var blocksRead = 0

  /// After so many rounds the cache must be throwing out what was just read: the rest is read one by one.
  private static let maxRounds = 24

  init(_ view: ReadView, at position: LogPosition, _ queue: any IOQueue, _ values: ValueReader) {
    self.view = view
    self.position = position
    self.values = values
    self.queue = queue
    batch = BlockBatch(queue)
  }

  /// Calls `found` with the index and the value of each key that has one, in no particular order.
  mutating func run(
    _ keys: [ByteView], _ found: (Int, ByteView) -> Void, _ looked: (LookupProbes) -> Void
  ) throws(SiltstoneError) {
    var unsettled = Array(keys.indices)
    var apart: [(index: Int, pointer: [UInt8])] = []
    var round = 0
    while !unsettled.isEmpty {
      var missing: [MissingBlock] = []
      var next: [Int] = []
      for index in unsettled {
        var result = LookupResult()
        result.mayReadDisk = round >= MultiLookup.maxRounds
        var observer = Unobserved()
        do throws(SiltstoneError) {
          try view.lookUp(keys[index], at: position, into: &result, &observer)
          looked(LookupProbes(result))
          if result.isApart { apart.append((index, result.value.copied())) }
          if result.outcome == .found, !result.isApart { found(index, result.value) }
        } catch {
          guard error.code == .wouldReadDisk, let block = result.missing else { throw error }
          missing.append(block)
          next.append(index)
        }
      }
      if !missing.isEmpty { blocksRead += try batch.load(missing) }
      unsettled = next
      round += 1
    }
    try fetch(apart, found)
  }

  /// Values that lie apart: those that are in memory, then the others together.
  private mutating func fetch(
    _ apart: [(index: Int, pointer: [UInt8])], _ found: (Int, ByteView) -> Void
  ) throws(SiltstoneError) {
    var indices: [Int] = []
    var pointers: [ValuePointer] = []
    for (index, encoded) in apart {
      do throws(SiltstoneError) {
        try encoded.withView { (pointer) throws(SiltstoneError) in
          let value = try values.value(pointer, mayReadDisk: false)
          found(index, value.bytes)
        }
      } catch {
        guard error.code == .wouldReadDisk, let pointer = encoded.withView({ ValuePointer($0) }) else { throw error }
        indices.append(index)
        pointers.append(pointer)
      }
    }
    if pointers.isEmpty { return }
    var batch = ValueBatch(values, queue)
    try batch.read(pointers) { (place, value) throws(SiltstoneError) in
      found(indices[place], value)
      values.keep(value, pointers[place])
    }
    blocksRead += pointers.count
  }
}

/// Queues for reads that overlap, used one at a time and kept for the next. Thread-safe.
final class ReadQueues: Sendable {
  /// Deep enough for a device's full rate of random reads.
  private static let depth = 32
  /// Idle rings cost memory in the kernel.
  private static let maxIdle = 4

  private let storage: any Storage
  /// A queue in here belongs to nobody.
  private struct Idle: @unchecked Sendable { let queue: any IOQueue }
  private let idle = Mutex<[Idle]>([])

  init(_ storage: any Storage) { self.storage = storage }

  /// Runs `body` with a queue of its own, on which it leaves nothing outstanding.
  func withQueue<Result>(
    _ body: (any IOQueue) throws(SiltstoneError) -> Result
  ) throws(SiltstoneError) -> Result {
    let queue: any IOQueue
    if let kept = idle.withLock({ $0.popLast() }) {
      queue = kept.queue
    } else {
      queue = try storage.makeIOQueue(depth: ReadQueues.depth)
    }
    defer {
      let returned = Idle(queue: queue)
      idle.withLock { idle in
        // One with something outstanding is broken, and ends here.
        if idle.count < ReadQueues.maxIdle, returned.queue.outstanding == 0 { idle.append(returned) }
      }
    }
    return try body(queue)
  }
}
