internal import CSupport

/// The Bloom filter over the user keys of one index partition: a block of its own, loaded only when asked.
///
///     size         field
///     64 x lines   lines of 512 bits: a key's bits all lie in one, so that a probe costs one cache miss at most
///        4         number of lines
///        4         probes: bits set for each key
///
/// Which line and which bits is defined by CSupport/filter.c, as is the hash. A filter of 10 bits a key answers "maybe"
/// to about 1 % of the absent keys; crowding the bits of a key into one line costs a little of what bits spread over
/// the whole filter would reach (0.9 %), and saves five cache misses.
struct FilterPartition {
  static let trailerBytes = 8
  /// Two slices of seven bit positions are what a hash gives.
  static let maxProbes = 14

  private let lines: UnsafeRawPointer
  private let lineCount: UInt32
  private let probes: UInt32

  /// The filter in `bytes`, or nil if its trailer makes no sense. Lives as long as `bytes`.
  init?(_ bytes: ByteView) {
    let lineBytes = bytes.count - FilterPartition.trailerBytes
    guard lineBytes > 0 else { return nil }
    lines = bytes.base
    lineCount = UInt32(littleEndian: bytes.base.loadUnaligned(fromByteOffset: lineBytes, as: UInt32.self))
    probes = UInt32(littleEndian: bytes.base.loadUnaligned(fromByteOffset: lineBytes + 4, as: UInt32.self))
    guard lineCount > 0, Int(lineCount) * Int(CSUP_FILTER_LINE_BYTES) == lineBytes,
      probes >= 1, probes <= FilterPartition.maxProbes
    else { return nil }
  }

  /// False only if no key with this hash is in the partition.
  @inline(__always)
  func mayContain(_ hash: UInt64) -> Bool { csup_filter_probe(lines, lineCount, probes, hash) != 0 }
}

/// Gathers the hashes of a partition's keys, and makes its filter once their number is known.
struct FilterBuilder: ~Copyable {
  private let bitsPerKey: Double
  private let probes: UInt32
  private var hashes: ByteBuffer
  private var filter = ByteBuffer()

  /// 0 bits build no filter.
  init(bitsPerKey: Double) {
    self.bitsPerKey = bitsPerKey
    // Bits spread evenly want ln 2 = 0.69 probes a bit; in one line they collide more, and 0.6 measures best.
    probes = UInt32(max(1, min(Double(FilterPartition.maxProbes), (bitsPerKey * 0.6).rounded())))
    hashes = ByteBuffer(capacityBytes: 64 << 10)
  }

  private var isEnabled: Bool { bitsPerKey > 0 }
  private var keyCount: Int { hashes.count / 8 }
  /// The filter's size if it were built now.
  var sizeBytes: Int {
    isEnabled ? lineCount * Int(CSUP_FILTER_LINE_BYTES) + FilterPartition.trailerBytes : 0
  }

  private var lineCount: Int { max(1, Int((Double(keyCount) * bitsPerKey / 512).rounded(.up))) }

  @inline(__always)
  mutating func add(_ key: ByteView) {
    if isEnabled { hashes.append(fixed: KeyHash.of(key)) }
  }

  /// The filter of all keys added since the last call, or nil if none is wanted. The view lives until the next call.
  mutating func finish() -> ByteView? {
    guard isEnabled else { return nil }
    let lineCount = lineCount
    filter.removeAll()
    let lines = filter.appendUninitialized(lineCount * Int(CSUP_FILTER_LINE_BYTES))
    lines.initializeMemory(as: UInt8.self, repeating: 0, count: lineCount * Int(CSUP_FILTER_LINE_BYTES))
    csup_filter_add(
      lines, UInt32(lineCount), probes, hashes.view.base.assumingMemoryBound(to: UInt64.self), keyCount)
    filter.append(fixed: UInt32(lineCount))
    filter.append(fixed: probes)
    hashes.removeAll()
    return filter.view
  }
}
