internal import CSupport

/// How the file comes to be, what is found in it, and how it is left.
extension SharedState {
  /// What an earlier life left behind, if it left anything that this one can trust.
  struct Remains {
    var reserved: LogPosition
    var drained: LogPosition
    var durable: LogPosition
    /// The ring's bytes are those that its last user wrote: the machine has not restarted since.
    var ringIsLive: Bool
    /// Closed in good order.
    var clean: Bool
    /// A log write or sync had failed: what the files hold from `durable` on is uncertain.
    var failed: Bool
  }

  /// Maps SHARED, making it if it is missing or was half made, and says what was in it. The caller holds the database's
  /// exclusive lock. Nothing is changed in a whole file until `begin`. With a `FrozenStorage` it is a copy that is
  /// mapped, and no file is made.
  ///
  /// - Parameter ringBytes: for a new file; an existing one keeps its own size, since its ring may hold what no log
  ///   file does.
  static func attach(
    storage: any Storage, database: DatabaseID, ringBytes: UInt64
  ) throws(SiltstoneError) -> (SharedState, Remains?) {
    precondition(isPossible(ringBytes: ringBytes))
    let ringBytes = try existingRingBytes(storage) ?? ringBytes
    let mapping = try storage.map(fileName, sizeBytes: fileBytes(ringBytes: ringBytes))
    let state = SharedState(mapping: mapping, ringBytes: ringBytes, isWritable: !mapping.isPrivate)
    return (state, try state.remains(of: database))
  }

  /// Maps the SHARED of a database that others have open. The caller keeps them from all leaving meanwhile, or from
  /// being gone before they are known to be there.
  static func join(_ storage: any Storage, isWritable: Bool) throws(SiltstoneError) -> SharedState {
    guard let ringBytes = try existingRingBytes(storage) else {
      throw damaged("processes have the database open, but it was never begun")
    }
    let sizeBytes = fileBytes(ringBytes: ringBytes)
    let mapping =
      isWritable
      ? try storage.map(fileName, sizeBytes: sizeBytes) : try storage.mapReadOnly(fileName, sizeBytes: sizeBytes)
    let state = SharedState(mapping: mapping, ringBytes: ringBytes, isWritable: isWritable)
    let head = state.header
    guard head.pointee.version == CSUP_SHARED_VERSION, head.pointee.layout == csup_shared_layout() else {
      throw SiltstoneError(
        .unsupportedVersion, "processes of another build have the database open, and lay shared memory out differently",
        file: fileName)
    }
    guard BootID.isCurrent(DatabaseID(head.pointee.boot)) else {
      throw damaged("processes have the database open, but it is of another run of the machine")
    }
    return state
  }

  /// Whether there is nobody to join, although the lock on a slot is held: a process has died while it recovered the
  /// database, or the last one has left it in order. Read from the file, since a header in the making is not there to
  /// be mapped. REQUIRES: the lock of opening, and that the file exists.
  static func isAbandoned(_ storage: any Storage) throws(SiltstoneError) -> Bool {
    let bytes = AlignedMemory(sizeBytes: StorageAlignment.bytes)
    defer { withExtendedLifetime(bytes) {} }
    let count = try storage.open(fileName, .readBuffered).read(into: bytes.buffer, at: 0)
    let head = bytes.base.assumingMemoryBound(to: csup_shared.self)
    return count < bytes.sizeBytes || csup_load32(head.pointer(to: \.recovering)!) != Recovery.done
      || head.pointee.clean == 1
  }

  /// Whose database it is.
  var database: DatabaseID { DatabaseID(header.pointee.database) }
  var segmentBytes: UInt64 { header.pointee.segment_bytes }

  private static func isPossible(ringBytes: UInt64) -> Bool {
    ringBytes >= 1 << 16 && ringBytes <= 1 << 30 && ringBytes & (ringBytes - 1) == 0
  }

  /// The ring size that SHARED says it has; nil if there is none, or if it was never begun: made but not named yet, all
  /// zeros, or with its magic number taken back while `begin` was at it. Anything else that does not verify is damage,
  /// and must not pass for absence: the ring may hold acknowledged writes that no log file does.
  private static func existingRingBytes(_ storage: any Storage) throws(SiltstoneError) -> UInt64? {
    guard try storage.exists(fileName) else { return nil }
    let file = try storage.open(fileName, .readBuffered)
    let bytes = AlignedMemory(sizeBytes: StorageAlignment.bytes)
    defer { withExtendedLifetime(bytes) {} }
    let count = try file.read(into: bytes.buffer, at: 0)
    let head = bytes.base.assumingMemoryBound(to: csup_shared.self)
    if head.pointee.magic == 0, try wasNeverBegun(file, head) { return nil }
    if head.pointee.magic == 0 { head.pointee.magic = CSUP_SHARED_MAGIC }  // `begin` was all but done
    guard count == bytes.sizeBytes, head.pointee.magic == CSUP_SHARED_MAGIC,
      head.pointee.checksum == csup_crc32c(0, head, Int(CSUP_SHARED_IDENTITY_BYTES))
    else { throw damaged("its header does not verify") }
    if try isOfOlderVersion(head) { return nil }
    let ringBytes = head.pointee.ring_bytes
    guard isPossible(ringBytes: ringBytes), try file.sizeBytes() == UInt64(fileBytes(ringBytes: ringBytes)) else {
      throw damaged("it is not as long as its header says")
    }
    return ringBytes
  }

  /// Whether another version has made it, and it holds nothing that is still wanted: the file is made anew then.
  private static func isOfOlderVersion(_ head: UnsafeMutablePointer<csup_shared>) throws(SiltstoneError) -> Bool {
    let version = head.pointee.version
    if version == CSUP_SHARED_VERSION { return false }
    let mayHoldTail = BootID.isCurrent(DatabaseID(head.pointee.boot)) && head.pointee.clean != 1
    if version < CSUP_SHARED_VERSION, !mayHoldTail { return true }
    throw SiltstoneError(
      .unsupportedVersion,
      version > CSUP_SHARED_VERSION
        ? "shared state \(version) is newer than this build's \(CSUP_SHARED_VERSION)"
        : "a process of an older build, with shared state \(version), has the database open, or died with it",
      file: fileName, offset: 8)
  }

  private static func damaged(_ what: String) -> SiltstoneError {
    .corrupt(
      "the shared state cannot be used: \(what). Writes that were staged, and not synced, when the database was last"
        + " open may be in it and nowhere else; where those may be lost, remove the file",
      file: fileName, offset: 0)
  }

  /// Whether a header without its magic number stands for a file that nobody ever used: one that is all zeros, or one
  /// whose header `begin` was about to write, which it does only when the log files hold everything. A header of
  /// zeros over a ring that was written to is damage.
  private static func wasNeverBegun(
    _ file: any StorageFile, _ head: UnsafeMutablePointer<csup_shared>
  ) throws(SiltstoneError) -> Bool {
    var named = head.pointee
    named.magic = CSUP_SHARED_MAGIC
    if named.checksum == csup_crc32c(0, &named, Int(CSUP_SHARED_IDENTITY_BYTES)) { return false }
    if named.version != 0 { return true }
    // Recovery puts the block in which the log ends into the ring before it begins the header: one block says nothing.
    var usedBlocks = 0
    let piece = AlignedMemory(sizeBytes: StorageAlignment.bytes)
    defer { withExtendedLifetime(piece) {} }
    var offset = UInt64(CSUP_SHARED_HEADER_BYTES)
    while try file.read(into: piece.buffer, at: offset) == piece.sizeBytes {
      if piece.buffer.contains(where: { $0 != 0 }) { usedBlocks += 1 }
      if usedBlocks > 1 { throw damaged("its header is gone, but its ring was in use") }
      offset += UInt64(piece.sizeBytes)
    }
    return true
  }

  /// The watermarks of the last user, if there was one, and they are this database's and of this layout. What cannot be
  /// used is passed over only where the files are sure to hold all that there is.
  private func remains(of database: DatabaseID) throws(SiltstoneError) -> Remains? {
    let head = header.pointee
    if head.magic != CSUP_SHARED_MAGIC { return nil }
    let isLive = BootID.isCurrent(DatabaseID(head.boot))
    let mayHoldTail = isLive && head.clean != 1
    guard head.version == CSUP_SHARED_VERSION, head.layout == csup_shared_layout(),
      DatabaseID(head.database) == database
    else {
      if mayHoldTail { throw SharedState.damaged("it is another database's, or another build's") }
      return nil
    }
    let remains = Remains(
      reserved: csup_load(words.reserved), drained: csup_load(words.drained),
      durable: csup_load(words.durable),
      ringIsLive: isLive, clean: head.clean == 1, failed: csup_load32(words.failed) != 0)
    // `durable` was true whenever it was stored, so it binds even after a power cut; the rest must at least agree. A
    // power cut can leave words of different moments beside each other, the death of a process cannot.
    guard remains.reserved <= KeyTrailer.maxSequence, remains.durable <= remains.drained,
      remains.drained <= remains.reserved, remains.reserved - remains.drained <= ringBytes,
      csup_load(words.published) <= remains.reserved
    else {
      if mayHoldTail { throw SharedState.damaged("its watermarks contradict one another") }
      return nil
    }
    return remains
  }

  /// Clears what only lives as long as its users. REQUIRES: as `attach`; and there are no other users.
  ///
  /// - Parameter remains: what `attach` has found. The locks of a life of this same boot go on: a thread that was about
  ///   to take one when its engine was closed may still do so.
  func reset(_ remains: Remains? = nil) {
    csup_shared_reset(header, remains?.ringIsLive ?? false)
    if !isPrivate { return }
    // What is read is the last life's, and so is the generation under which it is marked: a later life then keeps the
    // tables for it, but none of its own memtables.
    csup_store(words.generation, generation - 2)
    endRecovery()  // which nobody waits for
  }

  /// Makes the header this process's, with all watermarks at their recovered places. `endRecovery` lets others in.
  func begin(
    database: DatabaseID, segmentBytes: UInt64, end: LogPosition, drained: LogPosition, durable: LogPosition
  ) throws(SiltstoneError) {
    assert(durable <= drained && drained <= end && end - drained <= ringBytes)
    var head = csup_shared()
    head.version = UInt32(CSUP_SHARED_VERSION)
    head.layout = csup_shared_layout()
    head.database = database.tuple
    head.boot = BootID.current().tuple
    head.ring_bytes = ringBytes
    head.segment_bytes = segmentBytes
    head.magic = CSUP_SHARED_MAGIC
    head.checksum = csup_crc32c(0, &head, Int(CSUP_SHARED_IDENTITY_BYTES))
    let isNew = header.pointee.checksum != head.checksum || header.pointee.magic != head.magic
    if isNew {
      // A new header. What the old one knew is in the log files by now, so nothing hangs on it: it loses its magic
      // number first and gets it back last, for a header in the making must not look like a damaged one.
      csup_store(words.magic, 0)
      header.pointee.version = head.version
      header.pointee.layout = head.layout
      header.pointee.database = head.database
      header.pointee.boot = head.boot
      header.pointee.ring_bytes = head.ring_bytes
      header.pointee.segment_bytes = head.segment_bytes
      header.pointee.checksum = head.checksum
    }
    // An old header of this same boot may stand for a ring that is not drained: it stays valid at every instruction.
    header.pointee.clean = 0
    setDrained(drained)
    setDurable(durable)
    csup_store32(words.failed, 0)
    csup_store32(words.drainWaiters, 0)
    // In this order: a reader who outlived the last life still has its memtables, perhaps with parts of a batch in
    // them, and must not see the new position while it does.
    csup_store32(header.pointer(to: \.recovering)!, Recovery.readable)
    // What the ring holds that is not drained may be values.
    setValuesEnd(end)
    csup_store(words.valueShare, SharedState.evenShare)
    setPublished(end)
    setReserved(end)
    csup_store(words.magic, head.magic)
    // Before the ring is used: a power cut could otherwise leave pages of the ring and a header of zeros, which is what
    // damage looks like.
    if isNew { try syncHeader() }
  }

  /// Marks an orderly end: the log file holds everything.
  func end() throws(SiltstoneError) {
    header.pointee.clean = 1
    try syncHeader()
  }

  /// The ring needs none: what it holds and no file does is not looked at after a power cut.
  private func syncHeader() throws(SiltstoneError) { try mapping.sync(upTo: Int(CSUP_SHARED_HEADER_BYTES)) }
}
