internal import CSupport

/// Walks what a reader at one position sees: for each user key its newest version below the position, if that is a
/// put. Both ways, within bounds, over one view, which it pins.
///
/// Going forward it stands in the merge on the entry it shows. Going backward the merge meets a key's oldest version
/// first, so the newest visible one is known only when the merge has left the key: the entry is then shown from a
/// copy, and the merge stands before it.
struct VisibleCursor: ~Copyable {
  private enum Direction { case forward, backward }

  private let view: ReadView
  private let position: LogPosition
  /// The bounds' bytes: views into one buffer, since the upper bound is looked at for every entry.
  private let bounds: ByteBuffer
  private let lower: ByteView?
  private let upper: ByteView?
  private var merge: MergingCursor<ViewSource>
  private var direction = Direction.forward
  private(set) var isValid = false
  /// Forward: the user key that was passed last. Backward: the key shown.
  private var savedKey = ByteBuffer()
  private var savedValue = ByteBuffer()
  private var savedTrailer = KeyTrailer.oldest
  private let values: ValueReader
  /// A value that was fetched from the log: the last that was asked for.
  private let fetched = FetchedValue()
  private let forks = csup_fork_count()

  /// - Parameters:
  ///   - lower: the first key that may be shown.
  ///   - upper: the first key behind the last that may be shown.
  init(_ view: ReadView, at position: LogPosition, _ values: ValueReader, lower: [UInt8]?, upper: [UInt8]?) {
    self.view = view
    self.position = position
    self.values = values
    let (lowerBytes, upperBytes) = (lower?.count ?? 0, upper?.count ?? 0)
    var bounds = ByteBuffer(capacityBytes: lowerBytes + upperBytes)
    lower?.withView { bounds.append($0) }
    upper?.withView { bounds.append($0) }
    self.lower = lower == nil ? nil : bounds.view.prefix(lowerBytes)
    self.upper = upper == nil ? nil : bounds.view.dropFirst(lowerBytes)
    self.bounds = bounds
    let runs = view.version.levels.flatMap(\.runs)
    let count = 1 + view.sealed.count + runs.count
    let sources = UnsafeMutablePointer<ViewSource>.allocate(capacity: count)
    sources.initialize(to: ViewSource(view.active))
    for (index, memtable) in view.sealed.enumerated() { (sources + 1 + index).initialize(to: ViewSource(memtable)) }
    for (index, run) in runs.enumerated() {
      (sources + 1 + view.sealed.count + index).initialize(to: ViewSource(run))
    }
    merge = MergingCursor(taking: sources, count: count)
  }

  /// REQUIRES: `isValid`. Valid until the cursor moves.
  var key: ByteView { direction == .forward ? merge.key : savedKey.view }
  /// A value that lies apart from its key is fetched when it is asked for. REQUIRES: `isValid`. Valid until the cursor
  /// moves.
  @inline(__always)
  func value() throws(SiltstoneError) -> ByteView {
    let (value, trailer) =
      direction == .forward ? (merge.value, merge.trailer) : (savedValue.view, savedTrailer)
    return trailer.isApart ? try fetched.get(value, values) : value
  }

  mutating func seekToFirst() throws(SiltstoneError) {
    try checkProcess()
    if let lower { return try seek(lower) }
    begin(.forward)
    try merge.seekToFirst()
    try settleForward(skippingSaved: false)
  }

  mutating func seekToLast() throws(SiltstoneError) {
    try checkProcess()
    if let upper { return try seekBefore(upper) }
    begin(.backward)
    try merge.seekToLast()
    try settleBackward()
  }

  /// Moves to the first visible key at or after `key`.
  mutating func seek(_ key: ByteView) throws(SiltstoneError) {
    try checkProcess()
    begin(.forward)
    var key = key
    if let lower, lower.compare(key) > 0 { key = lower }
    try merge.seek(key, .newest)
    try settleForward(skippingSaved: false)
  }

  /// Moves to the last visible key before `key`.
  mutating func seekBefore(_ key: ByteView) throws(SiltstoneError) {
    try checkProcess()
    begin(.backward)
    var key = key
    if let upper, upper.compare(key) < 0 { key = upper }
    try merge.seekBefore(key, .newest)
    try settleBackward()
  }

  /// REQUIRES: `isValid`.
  mutating func next() throws(SiltstoneError) {
    precondition(isValid, "the cursor stands on no entry")
    try checkProcess()
    isValid = false  // and so it stays if a move throws
    if direction == .backward {
      // The merge stands before the key shown; go to its first version, and past all of them.
      begin(.forward)
      try merge.seek(savedKey.view, .newest)
    } else {
      save(merge.key)
      try merge.next()
    }
    try settleForward(skippingSaved: true)
  }

  /// REQUIRES: `isValid`.
  mutating func previous() throws(SiltstoneError) {
    precondition(isValid, "the cursor stands on no entry")
    try checkProcess()
    isValid = false
    if direction == .forward {
      save(merge.key)
      begin(.backward)
      try merge.seekBefore(savedKey.view, .newest)
    }
    try settleBackward()
  }

  private mutating func begin(_ direction: Direction) {
    self.direction = direction
    isValid = false
  }

  /// In a child of fork the memtables are not mapped.
  @inline(__always)
  private func checkProcess() throws(SiltstoneError) {
    if forks != csup_fork_count() {
      throw SiltstoneError(.forked, "the cursor belongs to the parent of this process")
    }
  }

  private mutating func save(_ key: ByteView) {
    savedKey.removeAll()
    savedKey.append(key)
  }

  /// From where the merge stands, forward to the first entry to show. With `skippingSaved`, versions of the saved key
  /// are passed over.
  private mutating func settleForward(skippingSaved: Bool) throws(SiltstoneError) {
    var skipping = skippingSaved
    while merge.isValid {
      let key = merge.key
      if let upper, key.compare(upper) >= 0 { return }
      let trailer = merge.trailer
      if trailer.sequence < position, !(skipping && key.equals(savedKey.view)) {
        if trailer.isPut {
          isValid = true
          return
        }
        save(key)  // deleted: older versions of it are hidden
        skipping = true
      }
      try merge.next()
    }
  }

  /// From where the merge stands, backward to the first key to show, which is copied.
  private mutating func settleBackward() throws(SiltstoneError) {
    while merge.isValid {
      if let lower, merge.key.compare(lower) < 0 { return }
      save(merge.key)
      var found = false
      // Versions arrive oldest first: the last one below the position is the one to show.
      while merge.isValid, merge.key.equals(savedKey.view) {
        if merge.trailer.sequence < position {
          found = merge.trailer.isPut
          if found {
            savedValue.removeAll()
            savedValue.append(merge.value)
            savedTrailer = merge.trailer
          }
        }
        try merge.previous()
      }
      if found {
        isValid = true
        return
      }
    }
  }
}

/// Holds the value that a cursor has fetched from the log, for as long as it stands there.
private final class FetchedValue {
  private var position: LogPosition?
  private var block: BlockReference?

  func get(_ pointer: ByteView, _ values: ValueReader) throws(SiltstoneError) -> ByteView {
    let wanted = ValuePointer(pointer)?.position
    if wanted == nil || wanted != position {
      position = nil
      block = try values.value(pointer)
      position = wanted
    }
    switch block {
    case .some(let block): return block.bytes
    case nil: return .empty
    }
  }
}
