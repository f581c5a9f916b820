/// A position in the sorted keys, over one consistent view of the database.
///
/// The view is that of the moment the cursor was made: later writes do not appear, and writers are never blocked. A
/// cursor keeps alive what it reads - a memtable, tables that were compacted away since - so make a new one now and
/// then rather than holding one for hours. One thread at a time.
///
///     var cursor = try database.makeCursor(.prefix("user/"))
///     try cursor.seekToFirst()
///     while cursor.isValid {
///       use(cursor.key, try cursor.value)
///       try cursor.next()
///     }
public struct Cursor: ~Copyable {
  private var base: VisibleCursor

  init(_ base: consuming VisibleCursor) { self.base = base }

  /// Whether the cursor stands on an entry. A new cursor does not: seek first.
  public var isValid: Bool { base.isValid }

  /// The key it stands on, without a copy, until the cursor moves. REQUIRES: `isValid`.
  public var key: RawSpan {
    @_lifetime(borrow self) get {
      precondition(base.isValid, "the cursor stands on no entry")
      let view = base.key
      return _overrideLifetime(RawSpan(_unsafeStart: view.base, byteCount: view.count), borrowing: self)
    }
  }

  /// The value it stands on, without a copy, until the cursor moves. A large one is read from the disk only when it is
  /// asked for. REQUIRES: `isValid`.
  public var value: RawSpan {
    @_lifetime(borrow self) get throws(SiltstoneError) {
      precondition(base.isValid, "the cursor stands on no entry")
      let view = try base.value()
      return _overrideLifetime(RawSpan(_unsafeStart: view.base, byteCount: view.count), borrowing: self)
    }
  }

  /// Moves to the first key of the range.
  public mutating func seekToFirst() throws(SiltstoneError) { try base.seekToFirst() }

  /// Moves to the last key of the range.
  public mutating func seekToLast() throws(SiltstoneError) { try base.seekToLast() }

  /// Moves to the first key at or after `key`.
  public mutating func seek(_ key: RawSpan) throws(SiltstoneError) { try base.seek(ByteView(key)) }

  /// Moves to the first key at or after `key`.
  public mutating func seek<Key: Bytes>(_ key: Key) throws(SiltstoneError) {
    try key.withBytes { (key) throws(SiltstoneError) in try base.seek(ByteView(key)) }
  }

  /// Moves to the last key before `key`.
  public mutating func seekBefore(_ key: RawSpan) throws(SiltstoneError) { try base.seekBefore(ByteView(key)) }

  /// Moves to the last key before `key`.
  public mutating func seekBefore<Key: Bytes>(_ key: Key) throws(SiltstoneError) {
    try key.withBytes { (key) throws(SiltstoneError) in try base.seekBefore(ByteView(key)) }
  }

  /// Moves to the next key. REQUIRES: `isValid`.
  public mutating func next() throws(SiltstoneError) { try base.next() }

  /// Moves to the key before. REQUIRES: `isValid`.
  public mutating func previous() throws(SiltstoneError) { try base.previous() }
}
