/// Which versions of a key somebody can still see: the rule that flush and compaction share.
///
/// A snapshot s sees of each key the newest version with a sequence number below s. The snapshots cut the number line
/// into stripes; a version's stripe is the number of snapshots that do *not* see it, those at or below its sequence
/// number. A version is needed if some snapshot sees it and not yet the next newer one, which is to say if its stripe
/// is below the newer one's; and the newest of all is always needed, by the readers to come.
///
/// Entries are shown to the rule in internal-key order, each key's newest version first.
struct RetentionRule: ~Copyable {
  private let snapshots: UnsafeMutablePointer<LogPosition>
  private let count: Int
  private var key = ByteBuffer()
  private var hasKey = false
  private var newerStripe = 0
  /// Whether the entry shown last is of another key than the one before it.
  private(set) var startsKey = false
  /// Whether every snapshot sees the entry shown last, or something newer: no older version of its key is then needed,
  /// and its sequence number says nothing any more.
  private(set) var isSeenByAll = false

  /// REQUIRES: ascending.
  init(snapshots positions: [LogPosition]) {
    assert(zip(positions, positions.dropFirst()).allSatisfy { $0 <= $1 })
    count = positions.count
    snapshots = .allocate(capacity: max(count, 1))
    for (index, position) in positions.enumerated() { (snapshots + index).initialize(to: position) }
  }

  deinit { snapshots.deallocate() }

  /// Shows the rule the next entry; true if the entry must be kept.
  @inline(__always)
  mutating func keeps(_ entryKey: ByteView, _ trailer: KeyTrailer) -> Bool {
    let stripe = count == 0 ? 0 : stripe(of: trailer.sequence)
    isSeenByAll = stripe == 0
    startsKey = !hasKey || !entryKey.equals(key.view)
    let isNeeded = startsKey || stripe < newerStripe
    newerStripe = stripe
    if startsKey {
      key.removeAll()
      key.append(entryKey)
      hasKey = true
    }
    return isNeeded
  }

  /// The number of snapshots at or below `sequence`.
  private func stripe(of sequence: LogPosition) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low &+ high) &>> 1
      if snapshots[middle] <= sequence { low = middle &+ 1 } else { high = middle }
    }
    return low
  }
}
