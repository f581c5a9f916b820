internal import Synchronization

/// One sixteenth of the block cache: an open-addressing table under a lock, with a clock for eviction.
///
/// The clock's hand walks over the table itself. A block has credits, which a hit restores and the hand takes one by
/// one; the hand evicts the first block without credit that nobody pins. Index and filter blocks have more credits
/// than data blocks, since each serves hundreds of those; a data block begins with none, so that one scan does not
/// wash out what is read again and again.
struct BlockCacheShard: ~Copyable {
  struct Slot {
    /// 0 if empty.
    var hash: UInt64
    var block: UnsafeMutablePointer<CachedBlock>?
  }

  private static let dataCredit: UInt8 = 1
  private static let metadataCredit: UInt8 = 3

  private let state: Mutex<State>

  init(capacityBytes: Int) { state = Mutex(State(capacityBytes: capacityBytes)) }

  /// A pointer out of the lock. What it points to is pinned for the receiver.
  private struct Pinned: @unchecked Sendable { let block: UnsafeMutablePointer<CachedBlock> }

  /// The block with one more reference, which the caller adopts.
  func lookup(_ id: BlockID, _ hash: UInt64, _ kind: BlockKind) -> UnsafeMutablePointer<CachedBlock>? {
    let pinned: Pinned? = state.withLock { state in
      guard let block = state.find(id, hash) else {
        state.statistics[kind].misses &+= 1
        return nil
      }
      state.statistics[kind].hits &+= 1
      block.pointee.credit = kind == .data ? BlockCacheShard.dataCredit : BlockCacheShard.metadataCredit
      block.pointee.references.add(1, ordering: .relaxed)
      return Pinned(block: block)
    }
    return pinned?.block
  }

  /// Adds `block`, if it finds room. Returns nil, or the block that was there already, with one more reference, which
  /// the caller adopts. REQUIRES: the caller holds a reference to `block`.
  func insert(
    _ id: BlockID, _ hash: UInt64, _ kind: BlockKind, _ block: UnsafeMutablePointer<CachedBlock>
  ) -> UnsafeMutablePointer<CachedBlock>? {
    let candidate = Pinned(block: block)
    let earlier: Pinned? = state.withLock { state in
      if let earlier = state.find(id, hash) {
        earlier.pointee.references.add(1, ordering: .relaxed)
        return Pinned(block: earlier)
      }
      guard state.makeRoom(candidate.block.pointee.chargeBytes) else { return nil }
      candidate.block.pointee.id = id
      candidate.block.pointee.kind = kind
      candidate.block.pointee.credit = kind == .data ? 0 : BlockCacheShard.metadataCredit
      candidate.block.pointee.references.add(1, ordering: .relaxed)
      state.add(candidate.block, hash)
      state.statistics[kind].inserts &+= 1
      return nil
    }
    return earlier?.block
  }

  func setCapacity(_ bytes: Int) {
    state.withLock { state in
      state.capacityBytes = bytes
      _ = state.makeRoom(0)
    }
  }

  func eraseTable(_ number: UInt64) {
    state.withLock { state in
      var index = 0
      while index < state.slotCount {
        // Removing may move another block into this slot, which is then looked at next.
        if let block = state.slots[index].block, block.pointee.id.table == number {
          state.remove(at: index)
        } else {
          index += 1
        }
      }
    }
  }

  var statistics: BlockCacheStatistics { state.withLock { $0.statistics } }
}

extension BlockCacheShard {
  /// What the lock guards.
  private struct State: ~Copyable {
    var capacityBytes: Int
    var statistics = BlockCacheStatistics()
    /// A power of two, at most half of them in use, so that probing is short.
    private(set) var slotCount = 64
    private(set) var slots: UnsafeMutablePointer<Slot>
    private var hand = 0

    init(capacityBytes: Int) {
      self.capacityBytes = capacityBytes
      slots = State.allocate(slotCount)
    }

    deinit {
      for index in 0..<slotCount { if let block = slots[index].block { CachedBlock.release(block) } }
      slots.deallocate()
    }

    private static func allocate(_ count: Int) -> UnsafeMutablePointer<Slot> {
      let slots = UnsafeMutablePointer<Slot>.allocate(capacity: count)
      slots.initialize(repeating: Slot(hash: 0, block: nil), count: count)
      return slots
    }

    @inline(__always)
    func find(_ id: BlockID, _ hash: UInt64) -> UnsafeMutablePointer<CachedBlock>? {
      var index = Int(truncatingIfNeeded: hash) & (slotCount &- 1)
      while slots[index].hash != 0 {
        if slots[index].hash == hash, let block = slots[index].block, block.pointee.id == id { return block }
        index = (index &+ 1) & (slotCount &- 1)
      }
      return nil
    }

    /// REQUIRES: not in the table; the cache's reference is counted.
    mutating func add(_ block: UnsafeMutablePointer<CachedBlock>, _ hash: UInt64) {
      if (statistics.blockCount + 1) * 2 > slotCount { grow() }
      place(Slot(hash: hash, block: block))
      statistics.blockCount += 1
      statistics.usageBytes += block.pointee.chargeBytes
    }

    private func place(_ slot: Slot) {
      var index = Int(truncatingIfNeeded: slot.hash) & (slotCount - 1)
      while slots[index].hash != 0 { index = (index + 1) & (slotCount - 1) }
      slots[index] = slot
    }

    private mutating func grow() {
      let (old, oldCount) = (slots, slotCount)
      slotCount *= 2
      slots = State.allocate(slotCount)
      for index in 0..<oldCount where old[index].hash != 0 { place(old[index]) }
      old.deallocate()
    }

    /// Takes a block out and lets go of it. Later slots of the same cluster move up, so that no marker stays behind.
    mutating func remove(at index: Int) {
      guard let block = slots[index].block else { return }
      statistics.blockCount -= 1
      statistics.usageBytes -= block.pointee.chargeBytes
      var hole = index
      var next = (index + 1) & (slotCount - 1)
      while slots[next].hash != 0 {
        let home = Int(truncatingIfNeeded: slots[next].hash) & (slotCount - 1)
        // A slot may fill the hole if the hole lies between its home and itself, going round.
        if (next - home) & (slotCount - 1) >= (next - hole) & (slotCount - 1) {
          slots[hole] = slots[next]
          hole = next
        }
        next = (next + 1) & (slotCount - 1)
      }
      slots[hole] = Slot(hash: 0, block: nil)
      CachedBlock.release(block)
    }

    /// Evicts until `chargeBytes` more fit the budget. False if they cannot.
    mutating func makeRoom(_ chargeBytes: Int) -> Bool {
      if statistics.usageBytes + chargeBytes <= capacityBytes { return true }
      if chargeBytes > capacityBytes { return false }
      // After as many rounds as there are credits, whatever is left is pinned.
      var stepsLeft = slotCount * (Int(BlockCacheShard.metadataCredit) + 2)
      while statistics.usageBytes + chargeBytes > capacityBytes {
        guard stepsLeft > 0 else { return false }
        stepsLeft -= 1
        hand = (hand + 1) & (slotCount - 1)
        guard let block = slots[hand].block else { continue }
        if block.pointee.references.load(ordering: .acquiring) > 1 { continue }
        if block.pointee.credit > 0 {
          block.pointee.credit -= 1
        } else {
          statistics[block.pointee.kind].evictions &+= 1
          remove(at: hand)
        }
      }
      return true
    }
  }
}
