/// The entries between a restart and some place after it, decoded once and kept with their whole keys, so that a
/// cursor can walk back through them. The memory is kept from one filling to the next.
struct ReverseWindow: ~Copyable {
  private struct Item {
    var entry: BlockEntry
    var keyStart: Int
  }

  private var items: [Item] = []
  private var keys = ByteBuffer(capacityBytes: 64)
  /// The current item, or -1 while the window is not in use.
  private var current = -1

  @inline(__always) var isActive: Bool { current >= 0 }

  mutating func deactivate() { current = -1 }

  /// REQUIRES for these two: active.
  var currentEntry: BlockEntry { items[current].entry }
  var currentKey: ByteView {
    ByteView(keys.base + items[current].keyStart, items[current].entry.keyBytes)
  }

  /// Moves one entry back; false, moving nothing, if this is the window's first. REQUIRES: active.
  mutating func stepDown() -> Bool {
    guard current > 0 else { return false }
    current -= 1
    return true
  }

  /// Decodes from `restart` to the entry that ends at `offset`, and stands on that. False if the entries make no
  /// sense, if none ends there, or if there are more than a restart interval holds: that bounds the memory to 16 keys.
  mutating func fill(_ block: BlockView, from restart: Int, upTo offset: Int) -> Bool {
    keys.removeAll()
    items.removeAll(keepingCapacity: true)
    current = -1
    var (place, valueOffset) = block.restart(restart)
    var previousStart = 0
    var previousBytes = 0
    while place < offset {
      guard items.count < BlockView.dataRestartInterval,
        let entry = block.decode(at: place, valueOffset: valueOffset), entry.shared <= previousBytes
      else { return false }
      let start = keys.count
      let key = keys.appendUninitialized(entry.keyBytes)  // first: it may move the key before
      key.copyMemory(from: keys.base + previousStart, byteCount: entry.shared)
      (key + entry.shared).copyMemory(from: block.base + entry.suffixOffset, byteCount: entry.unshared)
      items.append(Item(entry: entry, keyStart: start))
      (previousStart, previousBytes) = (start, entry.keyBytes)
      place = entry.end
      valueOffset = entry.valueEnd
    }
    guard place == offset, !items.isEmpty else { return false }
    current = items.count - 1
    return true
  }
}

extension BlockView {
  /// The last restart whose entry begins before `offset`, or nil if there is none.
  func lastRestart(beforeOffset offset: Int) -> Int? {
    guard restart(0).keyOffset < offset else { return nil }
    var low = 0
    var high = restartCount
    while high &- low > 1 {
      let middle = (low &+ high) / 2
      if restart(middle).keyOffset < offset { low = middle } else { high = middle }
    }
    return low
  }
}
