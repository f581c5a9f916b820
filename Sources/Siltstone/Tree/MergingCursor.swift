/// Walks several cursors as one, in internal-key order, both ways. REQUIRES: no two sources hold the same internal key,
/// which the tree guarantees: a sequence number is given out once.
///
/// A tree of losers: its leaves are the sources, each inner node remembers the source that lost there, and the winner
/// of all stands at the top. To step, only the winner moves, and plays again on its one way up: log2(n) comparisons,
/// most of them of two cached integers. No entry is copied, and nothing is allocated after `init`.
struct MergingCursor<Source: EntryCursor & ~Copyable>: ~Copyable, EntryCursor {
  /// A source's current entry, as far as comparing needs it.
  private struct Head {
    /// The key's prefix; flipped when going backward, so that smaller is always first. The largest when there is none.
    var rank: UInt64
    var key: ByteView
    var trailer: KeyTrailer
    var isLive: Bool
  }

  private let sources: UnsafeMutablePointer<Source>
  private let count: Int
  private let heads: UnsafeMutablePointer<Head>
  /// `losers[0]` is the winner; the node `n` has the children `2n` and `2n + 1`, and the source `s` is the leaf
  /// `count + s`.
  private let losers: UnsafeMutablePointer<Int>
  /// Leading bytes that all keys share: comparing them would tell nothing.
  private let sharedPrefixBytes: Int
  private var isForward = true
  private(set) var isValid = false

  /// Takes over `sources`: both what is initialized there and the memory, which came from `allocate`.
  /// `sharedPrefixBytes` is how many leading bytes every key of every source has in common; 0 is always right.
  init(taking sources: UnsafeMutablePointer<Source>, count: Int, sharedPrefixBytes: Int = 0) {
    self.sources = sources
    self.count = count
    self.sharedPrefixBytes = sharedPrefixBytes
    heads = .allocate(capacity: max(count, 1))
    heads.initialize(
      repeating: Head(rank: .max, key: .empty, trailer: .oldest, isLive: false), count: max(count, 1))
    losers = .allocate(capacity: max(count, 1))
    losers.initialize(repeating: 0, count: max(count, 1))
  }

  deinit {
    sources.deinitialize(count: count)
    sources.deallocate()
    heads.deallocate()
    losers.deallocate()
  }

  @inline(__always) var key: ByteView { heads[losers[0]].key }
  @inline(__always) var trailer: KeyTrailer { heads[losers[0]].trailer }
  @inline(__always) var value: ByteView { sources[losers[0]].value }

  // MARK: - Moving

  mutating func seekToFirst() throws(SiltstoneError) {
    begin(forward: true)
    for index in 0..<count { try sources[index].seekToFirst() }
    rebuild()
  }

  mutating func seekToLast() throws(SiltstoneError) {
    begin(forward: false)
    for index in 0..<count { try sources[index].seekToLast() }
    rebuild()
  }

  mutating func seek(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    begin(forward: true)
    for index in 0..<count { try sources[index].seek(key, trailer) }
    rebuild()
  }

  mutating func seekBefore(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    begin(forward: false)
    for index in 0..<count { try sources[index].seekBefore(key, trailer) }
    rebuild()
  }

  @inline(__always)
  mutating func next() throws(SiltstoneError) {
    assert(isValid)
    guard isForward else { return try turnForward() }
    isValid = false
    let winner = losers[0]
    try sources[winner].next()
    replay(winner)
  }

  @inline(__always)
  mutating func previous() throws(SiltstoneError) {
    assert(isValid)
    if isForward { return try turnBackward() }
    isValid = false
    let winner = losers[0]
    try sources[winner].previous()
    replay(winner)
  }

  /// Going backward, the other sources stand before the current entry: they must pass it. The current key is the
  /// winner's, so the winner moves last.
  @inline(never)
  private mutating func turnForward() throws(SiltstoneError) {
    let winner = losers[0]
    let head = heads[winner]
    begin(forward: true)
    for index in 0..<count where index != winner { try sources[index].seek(head.key, head.trailer) }
    try sources[winner].next()
    rebuild()
  }

  @inline(never)
  private mutating func turnBackward() throws(SiltstoneError) {
    let winner = losers[0]
    let head = heads[winner]
    begin(forward: false)
    for index in 0..<count where index != winner { try sources[index].seekBefore(head.key, head.trailer) }
    try sources[winner].previous()
    rebuild()
  }

  private mutating func begin(forward: Bool) {
    isValid = false
    isForward = forward
  }

  // MARK: - The tree

  /// Lets every source play. Until its rival arrives, a contestant waits at its node.
  private mutating func rebuild() {
    for index in 0..<count { refresh(index) }
    let nobody = -1
    for node in 0..<count { losers[node] = nobody }
    for index in 0..<count {
      var contestant = index
      var node = (index + count) / 2
      while node > 0, losers[node] != nobody {
        if precedes(losers[node], contestant) { swap(&losers[node], &contestant) }
        node /= 2
      }
      losers[node] = contestant
    }
    isValid = count > 0 && heads[losers[0]].isLive
    if count == 0 { losers[0] = 0 }
  }

  /// Lets the source that won, and then moved, play again.
  @inline(__always)
  private mutating func replay(_ moved: Int) {
    refresh(moved)
    var winner = moved
    var node = (moved &+ count) &>> 1
    while node > 0 {
      let rival = losers[node]
      if precedes(rival, winner) {
        losers[node] = winner
        winner = rival
      }
      node &>>= 1
    }
    losers[0] = winner
    isValid = heads[winner].isLive
  }

  @inline(__always)
  private func refresh(_ index: Int) {
    guard sources[index].isValid else {
      heads[index].rank = .max
      heads[index].isLive = false
      return
    }
    let key = sources[index].key
    let prefix = key.dropFirst(min(sharedPrefixBytes, key.count)).bigEndianPrefix
    heads[index] = Head(
      rank: isForward ? prefix : ~prefix, key: key, trailer: sources[index].trailer, isLive: true)
  }

  @inline(__always)
  private func precedes(_ left: Int, _ right: Int) -> Bool {
    let (leftRank, rightRank) = (heads[left].rank, heads[right].rank)
    if leftRank != rightRank { return leftRank < rightRank }
    return precedesInFull(heads + left, heads + right)
  }

  @inline(never)
  private func precedesInFull(_ left: UnsafeMutablePointer<Head>, _ right: UnsafeMutablePointer<Head>) -> Bool {
    guard left.pointee.isLive, right.pointee.isLive else { return left.pointee.isLive }
    let order = compareInternal(
      left.pointee.key, left.pointee.trailer, right.pointee.key, right.pointee.trailer)
    return isForward ? order < 0 : order > 0
  }
}
