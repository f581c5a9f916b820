/// Walks a run in internal-key order, both ways. Opens one table cursor at a time, and only when it gets there. Keeps
/// the run's tables open.
struct RunCursor: ~Copyable, EntryCursor {
  private let run: Run
  private let mode: ReadMode
  /// The table that the cursor in `slot` walks; -1 when the slot is empty.
  private var index = -1
  /// Room for one table cursor. In memory of its own, so that an entry is reached without unwrapping an optional.
  private let slot: UnsafeMutablePointer<TableCursor>

  init(_ run: Run, mode: ReadMode) {
    self.run = run
    self.mode = mode
    slot = .allocate(capacity: 1)
  }

  deinit {
    if index >= 0 { slot.deinitialize(count: 1) }
    slot.deallocate()
  }

  @inline(__always) var isValid: Bool { index >= 0 && slot.pointee.isValid }
  @inline(__always) var key: ByteView { slot.pointee.key }
  @inline(__always) var trailer: KeyTrailer { slot.pointee.trailer }
  @inline(__always) var value: ByteView { slot.pointee.value }

  mutating func seekToFirst() throws(SiltstoneError) {
    guard open(0) else { return }
    try slot.pointee.seekToFirst()
    try settleForward()
  }

  mutating func seekToLast() throws(SiltstoneError) {
    guard open(run.tables.count - 1) else { return }
    try slot.pointee.seekToLast()
    try settleBackward()
  }

  mutating func seek(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    guard open(run.firstIndex(endingAtOrAfter: key)) else { return }
    try slot.pointee.seek(key, trailer)
    try settleForward()
  }

  mutating func seekBefore(_ key: ByteView, _ trailer: KeyTrailer) throws(SiltstoneError) {
    guard open(run.lastIndex(beginningAtOrBefore: key)) else { return }
    try slot.pointee.seekBefore(key, trailer)
    try settleBackward()
  }

  @inline(__always)
  mutating func next() throws(SiltstoneError) {
    try slot.pointee.next()
    if !isValid { try settleForward() }
  }

  @inline(__always)
  mutating func previous() throws(SiltstoneError) {
    try slot.pointee.previous()
    if !isValid { try settleBackward() }
  }

  /// Puts a cursor over this table into the slot. Without such a table the slot is emptied, and false returned.
  private mutating func open(_ newIndex: Int) -> Bool {
    if index == newIndex, index >= 0 { return true }
    if index >= 0 { slot.deinitialize(count: 1) }
    guard run.tables.indices.contains(newIndex) else {
      index = -1
      return false
    }
    slot.initialize(to: run.tables[newIndex].makeCursor(mode))
    index = newIndex
    return true
  }

  /// Past a table's end, goes on at the next table's first entry.
  @inline(never)
  private mutating func settleForward() throws(SiltstoneError) {
    while !isValid, open(index + 1) { try slot.pointee.seekToFirst() }
  }

  /// Before a table's start, goes on at the last entry of the table before.
  @inline(never)
  private mutating func settleBackward() throws(SiltstoneError) {
    while !isValid, open(index - 1) { try slot.pointee.seekToLast() }
  }
}
