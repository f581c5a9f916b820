/// Walks the entries of one block, both ways. Allocates when a key outgrows its buffers, and on the first step back;
/// never for an entry.
///
/// The block's memory belongs to the caller, and must stay until the cursor is reset to another block or destroyed.
/// Nothing here throws: a block whose entries make no sense leaves the cursor `.corrupt`, which the caller, who knows
/// the file, turns into an error.
struct BlockCursor: ~Copyable {
  enum Status { case valid, pastEnd, beforeStart, corrupt }

  private(set) var status = Status.pastEnd
  private var block: BlockView?
  private var entry = BlockEntry(
    offset: 0, shared: 0, unshared: 0, valueBytes: 0, tag: 0, suffixOffset: 0, valueOffset: 0)
  /// The current key: in `forwardKey`, or in the reverse window.
  private var keyBase: UnsafeRawPointer
  private var keyBytes = 0
  private var forwardKey: UnsafeMutableRawPointer
  private var forwardCapacity: Int
  private var window = ReverseWindow()

  /// A suffix of up to 16 bytes is copied as 16 bytes, so that much must always follow the longest key.
  private static let copySlackBytes = 16

  init() {
    forwardCapacity = 256
    forwardKey = .allocate(byteCount: forwardCapacity, alignment: 16)
    keyBase = UnsafeRawPointer(forwardKey)
  }

  deinit { forwardKey.deallocate() }

  /// REQUIRES for these three: `status == .valid`. The views live until the cursor moves.
  @inline(__always) var key: ByteView { ByteView(keyBase, keyBytes) }
  @inline(__always) var trailer: KeyTrailer { entry.trailer }
  @inline(__always) var value: ByteView { block.unsafelyUnwrapped.value(entry) }

  /// Points the cursor at a block, on no entry yet.
  mutating func reset(to newBlock: BlockView) {
    block = newBlock
    status = .pastEnd
    window.deactivate()
  }

  /// Lets go of the block.
  mutating func clear() {
    block = nil
    status = .pastEnd
    window.deactivate()
  }

  mutating func seekToFirst() {
    guard let block else { return }
    window.deactivate()
    keyBytes = 0
    let (offset, valueOffset) = block.restart(0)
    step(block, to: offset, valueOffset)
  }

  mutating func seekToLast() {
    guard let block else { return }
    stepBack(block, before: block.keysEnd)
  }

  /// Moves to the first entry at or after the internal key. REQUIRES: `target` is no view of this cursor's own.
  mutating func seek(_ target: ByteView, _ trailer: KeyTrailer) {
    guard let block else { return }
    window.deactivate()
    switch block.search(target, trailer) {
    case .pastEnd: status = .pastEnd
    case .corrupt: status = .corrupt
    case .found(let found):
      reserveKey(found.keyBytes)
      forwardKey.copyMemory(from: target.base, byteCount: found.shared)
      entry = found
      keyBytes = found.shared
      appendSuffix(block, found)
      status = .valid
    }
  }

  /// REQUIRES: valid.
  @inline(__always)
  mutating func next() {
    assert(status == .valid)
    if window.isActive { leaveWindow() }
    step(block.unsafelyUnwrapped, to: entry.end, entry.valueEnd)
  }

  /// REQUIRES: valid.
  mutating func previous() {
    assert(status == .valid)
    if window.isActive, window.stepDown() {
      showWindow()
    } else if let block {
      stepBack(block, before: entry.offset)
    }
  }

  // MARK: Forward

  @inline(__always)
  private mutating func step(_ block: BlockView, to offset: Int, _ valueOffset: Int) {
    if offset == block.keysEnd {
      status = .pastEnd
      return
    }
    guard let next = block.decode(at: offset, valueOffset: valueOffset), next.shared <= keyBytes else {
      status = .corrupt
      return
    }
    entry = next
    reserveKey(next.keyBytes)
    keyBytes = next.shared
    appendSuffix(block, next)
    status = .valid
  }

  @inline(__always)
  private mutating func appendSuffix(_ block: BlockView, _ entry: BlockEntry) {
    let source = block.base + entry.suffixOffset
    let destination = forwardKey + keyBytes
    if entry.unshared <= BlockCursor.copySlackBytes {
      // Reads past the suffix, but never past the block: at least 24 bytes follow the key area.
      let low = source.loadUnaligned(as: UInt64.self)
      let high = source.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
      destination.storeBytes(of: low, as: UInt64.self)
      destination.storeBytes(of: high, toByteOffset: 8, as: UInt64.self)
    } else {
      destination.copyMemory(from: source, byteCount: entry.unshared)
    }
    keyBase = UnsafeRawPointer(forwardKey)
    keyBytes &+= entry.unshared
  }

  @inline(__always)
  private mutating func reserveKey(_ bytes: Int) {
    if bytes &+ BlockCursor.copySlackBytes > forwardCapacity { growKey(bytes + BlockCursor.copySlackBytes) }
  }

  @inline(never)
  private mutating func growKey(_ needed: Int) {
    let capacity = max(needed, forwardCapacity * 2)
    let grown = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    grown.copyMemory(from: forwardKey, byteCount: forwardCapacity)
    forwardKey.deallocate()
    forwardKey = grown
    forwardCapacity = capacity
  }

  // MARK: Backward

  /// Moves to the last entry that begins before `offset`: decodes the entries from the restart before it once, and
  /// then walks back through what it kept. So a backward scan decodes each entry once.
  private mutating func stepBack(_ block: BlockView, before offset: Int) {
    guard let restart = block.lastRestart(beforeOffset: offset) else {
      status = .beforeStart
      window.deactivate()
      return
    }
    if window.fill(block, from: restart, upTo: offset) {
      showWindow()
    } else {
      status = .corrupt
      window.deactivate()
    }
  }

  private mutating func showWindow() {
    let key = window.currentKey
    entry = window.currentEntry
    keyBase = key.base
    keyBytes = key.count
    status = .valid
  }

  /// Forward again: the next entry is built upon the current key, which must be where `step` expects it.
  @inline(never)
  private mutating func leaveWindow() {
    reserveKey(keyBytes)
    forwardKey.copyMemory(from: keyBase, byteCount: keyBytes)
    keyBase = UnsafeRawPointer(forwardKey)
    window.deactivate()
  }
}
