/// Builds one block after another in the same memory. The format is drawn at the head of BlockFormat.swift.
struct BlockBuilder: ~Copyable {
  private var keys: ByteBuffer
  private var values: ByteBuffer
  /// Restarts while the block grows; once sealed, the block's trailer as well.
  private var tail = ByteBuffer(capacityBytes: 4096)
  private let restartInterval: Int
  private var entriesUntilRestart = 0
  private var restartCount = 0
  private(set) var entryCount = 0
  /// The last key added. Outlives `reset`, so that the writer can compare keys across blocks.
  private(set) var lastKey = ByteBuffer(capacityBytes: 256)
  private(set) var lastTrailer = KeyTrailer.newest

  init(restartInterval: Int, expectedBytes: Int) {
    self.restartInterval = restartInterval
    keys = ByteBuffer(capacityBytes: expectedBytes)
    values = ByteBuffer(capacityBytes: expectedBytes)
  }

  var isEmpty: Bool { entryCount == 0 }

  /// The block's size if it were sealed now.
  @inline(__always) var sizeBytes: Int { keys.count &+ values.count &+ tail.count &+ BlockView.trailerBytes }

  /// Appends an entry, and returns whether its user key differs from the one before it (in this block or the last).
  /// REQUIRES: internal-key order within the block; key and value within `Limits`.
  @inline(__always)
  @discardableResult
  mutating func add(_ key: ByteView, _ trailer: KeyTrailer, _ value: ByteView) -> Bool {
    assert(isEmpty || compareInternal(lastKey.view, lastTrailer, key, trailer) < 0, "entries out of order")
    let common = lastKey.view.commonPrefixLength(key)
    let isNewKey = common != key.count || common != lastKey.count
    var shared = common
    if entriesUntilRestart == 0 {
      startRestart()
      shared = 0
    }
    entriesUntilRestart &-= 1
    entryCount &+= 1
    appendEntry(shared, key.dropFirst(shared), value.count, BlockEntry.tag(trailer))
    values.append(value)
    lastKey.truncate(to: common)
    let changed = key.dropFirst(common)
    lastKey.append(upTo: changed.count) { end in
      end.copyShort(changed)
      return changed.count
    }
    lastTrailer = trailer
    return isNewKey
  }

  private mutating func startRestart() {
    tail.append(fixed: UInt32(keys.count))
    tail.append(fixed: UInt32(values.count))
    restartCount += 1
    entriesUntilRestart = restartInterval
  }

  @inline(__always)
  private mutating func appendEntry(_ shared: Int, _ suffix: ByteView, _ valueBytes: Int, _ tag: UInt64) {
    // Four varints, of ten bytes at most each.
    keys.append(upTo: 40 &+ suffix.count) { header in
      var length = 3
      if shared | suffix.count | valueBytes < 0x80 {
        let lengths = UInt32(truncatingIfNeeded: shared | suffix.count &<< 8 | valueBytes &<< 16)
        header.storeBytes(of: lengths.littleEndian, as: UInt32.self)
      } else {
        length = storeVarint(UInt64(shared), at: header)
        length &+= storeVarint(UInt64(suffix.count), at: header + length)
        length &+= storeVarint(UInt64(valueBytes), at: header + length)
      }
      length &+= storeVarint(tag, at: header + length)
      (header + length).copyShort(suffix)
      return length &+ suffix.count
    }
  }

  /// Completes the block. Its bytes are then `keyArea`, `valueArea` and `tailArea`, in this order, until `reset`.
  /// REQUIRES: not empty.
  mutating func seal() {
    assert(!isEmpty)
    tail.append(fixed: UInt32(keys.count))
    tail.append(fixed: UInt32(values.count))
    tail.append(fixed: UInt32(restartCount))
    tail.append(fixed: UInt32(entryCount))
  }

  /// REQUIRES for these: sealed.
  var sealedBytes: Int { keys.count + values.count + tail.count }
  var keyArea: ByteView { keys.view }
  var valueArea: ByteView { values.view }
  var tailArea: ByteView { tail.view }

  /// Begins the next block, in the memory of the last one.
  mutating func reset() {
    keys.removeAll()
    values.removeAll()
    tail.removeAll()
    entriesUntilRestart = 0
    restartCount = 0
    entryCount = 0
  }
}

extension UnsafeMutableRawPointer {
  /// Copies what is seldom longer than 16 bytes: two loads that may overlap, instead of a call that costs more than the
  /// copy.
  @inline(__always)
  fileprivate func copyShort(_ bytes: ByteView) {
    let (source, count) = (bytes.base, bytes.count)
    if count > 16 {
      copyMemory(from: source, byteCount: count)
    } else if count >= 8 {
      let head = source.loadUnaligned(as: UInt64.self)
      let tail = source.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
      storeBytes(of: head, as: UInt64.self)
      storeBytes(of: tail, toByteOffset: count &- 8, as: UInt64.self)
    } else if count >= 4 {
      let head = source.loadUnaligned(as: UInt32.self)
      let tail = source.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
      storeBytes(of: head, as: UInt32.self)
      storeBytes(of: tail, toByteOffset: count &- 4, as: UInt32.self)
    } else if count > 0 {
      // First, middle and last: all of them.
      let (middle, last) = (bytes[count &>> 1], bytes[count &- 1])
      storeBytes(of: bytes[0], as: UInt8.self)
      storeBytes(of: middle, toByteOffset: count &>> 1, as: UInt8.self)
      storeBytes(of: last, toByteOffset: count &- 1, as: UInt8.self)
    }
  }
}
