/// What a point lookup found, and what it took. Reused from lookup to lookup; a lookup that finds nothing allocates
/// nothing.
struct LookupResult: ~Copyable {
  enum Outcome { case notFound, deleted, found }

  private(set) var outcome = Outcome.notFound
  /// The found value. Valid until the result changes or is destroyed: the block it lies in is held here.
  private(set) var value = ByteView.empty
  /// Which version was met: its sequence number and kind. Meaningful unless `.notFound`.
  private(set) var trailer = KeyTrailer.oldest

  // Probes, summed over every table that was asked, for the read trace and the metrics.
  var filterProbes = 0
  var filterNegatives = 0
  /// From disk.
  var blocksRead = 0
  var cacheHits = 0

  /// Whether a block that is not in the cache may be read from the disk. If not, a lookup that needs one throws
  /// `.wouldReadDisk`: for callers that must not block.
  var mayReadDisk = true
  /// The block that was needed when a lookup threw `.wouldReadDisk`.
  var missing: MissingBlock?

  private var block: BlockReference?

  /// Lets go of what was found and zeroes the counters.
  mutating func reset() {
    clear()
    filterProbes = 0
    filterNegatives = 0
    blocksRead = 0
    cacheHits = 0
  }

  /// Lets go of what was found; keeps the counters.
  mutating func clear() {
    outcome = .notFound
    value = .empty
    block = nil
  }

  /// The newest visible version says that the key is gone.
  mutating func setDeleted(_ trailer: KeyTrailer) {
    clear()
    outcome = .deleted
    self.trailer = trailer
  }

  /// `value` lies in memory that the caller keeps valid for as long as the result is used.
  mutating func setFound(_ value: ByteView, _ trailer: KeyTrailer) {
    clear()
    outcome = .found
    self.value = value
    self.trailer = trailer
  }

  /// Whether `value` is a pointer to the value.
  var isApart: Bool { outcome == .found && trailer.isApart }

  /// `value` lies in `block`, which the result now holds.
  mutating func setFound(_ value: ByteView, _ trailer: KeyTrailer, in block: consuming BlockReference) {
    setFound(value, trailer)
    self.block = consume block
  }
}
