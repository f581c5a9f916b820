internal import CSupport
internal import Glibc

/// The file SHARED, mapped: watermarks, locks, slots and the log ring, as `csup_shared.h` draws them.
///
/// A thin, typed view; the words mean what they mean to every thread of every process. Whatever is read here is
/// checked where it is used as a length or an offset.
final class SharedState: Sendable {
  static let fileName = "SHARED"
  private let mapping: any MappedFile
  /// The header at the mapping's start: identity, constants, and what `words` points at.
  nonisolated(unsafe) private let header: UnsafeMutablePointer<csup_shared>
  /// The log ring: position p lives at `ring[p % ringBytes]`.
  nonisolated(unsafe) let ring: UnsafeMutablePointer<UInt8>
  let ringBytes: UInt64

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

  /// The changing words, each at its place in the mapping.
  struct Words: @unchecked Sendable {  // into memory that is made for sharing; all access is atomic
    let magic, reserved, published, drained, durable, prepared: UnsafeMutablePointer<UInt64>
    let drainSequence, drainWaiters, failed, logWanted: UnsafeMutablePointer<UInt32>
    let commitLock, drainLock: UnsafeMutablePointer<csup_lock>

    init(_ header: UnsafeMutablePointer<csup_shared>) {
      magic = header.pointer(to: \.magic)!
      reserved = header.pointer(to: \.reserved)!
      published = header.pointer(to: \.published)!
      drained = header.pointer(to: \.drained)!
      durable = header.pointer(to: \.durable)!
      prepared = header.pointer(to: \.prepared)!
      drainSequence = header.pointer(to: \.drain_sequence)!
      drainWaiters = header.pointer(to: \.drain_waiters)!
      failed = header.pointer(to: \.failed)!
      logWanted = header.pointer(to: \.log_wanted)!
      commitLock = header.pointer(to: \.commit_lock)!
      drainLock = header.pointer(to: \.drain_lock)!
    }
  }
  let words: Words

  private init(mapping: any MappedFile, ringBytes: UInt64) {
    self.mapping = mapping
    header = mapping.base.assumingMemoryBound(to: csup_shared.self)
    words = Words(header)
    ring = (mapping.base + Int(CSUP_SHARED_HEADER_BYTES)).assumingMemoryBound(to: UInt8.self)
    self.ringBytes = ringBytes
  }

  static func fileBytes(ringBytes: UInt64) -> Int { Int(CSUP_SHARED_HEADER_BYTES) + Int(ringBytes) }

  /// Maps SHARED, making it if it is missing or was half made, and says what was in it. The caller holds the database's
  /// exclusive lock. Nothing is changed in a whole file until `begin`.
  ///
  /// - Parameter ringBytes: for a new file; an existing one keeps its own size, since its ring may hold what no log
  ///   file does.
  static func attach(
    storage: any Storage, database: DatabaseID, ringBytes: UInt64
  ) throws(SiltstoneError) -> (SharedState, Remains?) {
    precondition(isPossible(ringBytes: ringBytes))
    let ringBytes = try existingRingBytes(storage) ?? ringBytes
    let mapping = try storage.map(fileName, sizeBytes: fileBytes(ringBytes: ringBytes))
    let state = SharedState(mapping: mapping, ringBytes: ringBytes)
    return (state, try state.remains(of: database))
  }

  private static func isPossible(ringBytes: UInt64) -> Bool {
    ringBytes >= 1 << 16 && ringBytes <= 1 << 30 && ringBytes & (ringBytes - 1) == 0
  }

  /// The ring size that SHARED says it has; nil if there is none, or if it was never begun: made but not named yet, all
  /// zeros, or with its magic number taken back while `begin` was at it. Anything else that does not verify is damage,
  /// and must not pass for absence: the ring may hold acknowledged writes that no log file does.
  private static func existingRingBytes(_ storage: any Storage) throws(SiltstoneError) -> UInt64? {
    guard try storage.exists(fileName) else { return nil }
    let file = try storage.open(fileName, .readBuffered)
    let bytes = AlignedMemory(sizeBytes: Int(CSUP_SHARED_HEADER_BYTES))
    defer { withExtendedLifetime(bytes) {} }
    let count = try file.read(into: bytes.buffer, at: 0)
    let head = bytes.base.assumingMemoryBound(to: csup_shared.self)
    if head.pointee.magic == 0, try wasNeverBegun(file, head) { return nil }
    if head.pointee.magic == 0 { head.pointee.magic = CSUP_SHARED_MAGIC }  // `begin` was all but done
    guard count == bytes.sizeBytes, head.pointee.magic == CSUP_SHARED_MAGIC,
      head.pointee.checksum == csup_crc32c(0, head, Int(CSUP_SHARED_IDENTITY_BYTES))
    else { throw damaged("its header does not verify") }
    guard head.pointee.version <= CSUP_SHARED_VERSION else {
      throw SiltstoneError(
        .unsupportedVersion, "shared state \(head.pointee.version) is newer than this build's \(CSUP_SHARED_VERSION)",
        file: fileName, offset: 8)
    }
    let ringBytes = head.pointee.ring_bytes
    guard isPossible(ringBytes: ringBytes), try file.sizeBytes() == UInt64(fileBytes(ringBytes: ringBytes)) else {
      throw damaged("it is not as long as its header says")
    }
    return ringBytes
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

  /// Makes the header this process's, with all watermarks at their recovered places.
  func begin(
    database: DatabaseID, segmentBytes: UInt64, end: LogPosition, drained: LogPosition, durable: LogPosition
  ) throws(SiltstoneError) {
    assert(durable <= drained && drained <= end && end - drained <= ringBytes)
    var head = csup_shared()
    head.magic = CSUP_SHARED_MAGIC
    head.version = UInt32(CSUP_SHARED_VERSION)
    head.layout = csup_shared_layout()
    head.database = database.tuple
    head.boot = BootID.current().tuple
    head.ring_bytes = ringBytes
    head.segment_bytes = segmentBytes
    head.checksum = csup_crc32c(0, &head, Int(CSUP_SHARED_IDENTITY_BYTES))
    let isNew = header.pointee.checksum != head.checksum || header.pointee.magic != head.magic
    if isNew {
      // A new header. What the old one knew is in the log files by now, so nothing hangs on it: it loses its magic
      // number first and gets it back last, for a header in the making must not look like a damaged one.
      csup_store(words.magic, 0)
      head.magic = 0
      header.pointee = head
      head.magic = CSUP_SHARED_MAGIC
    }
    // An old header of this same boot may stand for a ring that is not drained: it stays valid at every instruction.
    header.pointee.clean = 0
    setDrained(drained)
    setDurable(durable)
    setPrepared(0)
    csup_store32(words.failed, 0)
    csup_store32(words.drainWaiters, 0)
    setPublished(end)
    setReserved(end)
    guard csup_lock_init(words.commitLock) == 0, csup_lock_init(words.drainLock) == 0 else {
      throw SiltstoneError(.inputOutput, "cannot make robust locks in shared memory", file: SharedState.fileName)
    }
    csup_store(words.magic, head.magic)
    // Before the ring is used: a power cut could otherwise leave pages of the ring and a header of zeros, which is what
    // damage looks like.
    if isNew { try mapping.sync() }
  }

  /// Marks an orderly end: the log file holds everything.
  func end() throws(SiltstoneError) {
    header.pointee.clean = 1
    try mapping.sync()
  }
}

// MARK: - Watermarks

extension SharedState {
  @inline(__always) var reserved: LogPosition { csup_load(words.reserved) }
  /// Everything below is visible to readers.
  @inline(__always) var published: LogPosition { csup_load(words.published) }
  /// Everything below is in the log file.
  @inline(__always) var drained: LogPosition { csup_load(words.drained) }
  /// Everything below is on stable media.
  @inline(__always) var durable: LogPosition { csup_load(words.durable) }
  /// Log segments stand ready for everything below.
  @inline(__always) var prepared: LogPosition { csup_load(words.prepared) }
  /// The errno that ended writing, or 0.
  @inline(__always) var failed: Int32 { Int32(bitPattern: csup_load32(words.failed)) }

  /// REQUIRES: the commit lock.
  @inline(__always) func setReserved(_ position: LogPosition) { csup_store(words.reserved, position) }
  /// REQUIRES: the commit lock.
  @inline(__always) func setPublished(_ position: LogPosition) { csup_store(words.published, position) }
  /// REQUIRES: the drain lock.
  func setDrained(_ position: LogPosition) { csup_store(words.drained, position) }
  /// REQUIRES: the drain lock.
  func setDurable(_ position: LogPosition) { csup_store(words.durable, position) }
  func setPrepared(_ position: LogPosition) { csup_store(words.prepared, position) }
  func setFailed(_ errno: Int32) { csup_store32(words.failed, UInt32(bitPattern: errno == 0 ? EIO : errno)) }
}

// MARK: - For people

extension SharedState {
  /// Describes the file in readable form. Looks at it as a file: mapping it would take part.
  static func dump(_ storage: any Storage, _ emit: (String) -> Void) throws(SiltstoneError) {
    let file = try storage.open(fileName, .readBuffered)
    let bytes = AlignedMemory(sizeBytes: Int(CSUP_SHARED_HEADER_BYTES))
    defer { withExtendedLifetime(bytes) {} }
    guard try file.read(into: bytes.buffer, at: 0) == bytes.sizeBytes else {
      throw .corrupt("the shared state is shorter than its header", file: fileName)
    }
    let head = bytes.base.assumingMemoryBound(to: csup_shared.self)
    if head.pointee.magic == 0 { return emit("SHARED: never used") }
    guard head.pointee.magic == CSUP_SHARED_MAGIC,
      head.pointee.checksum == csup_crc32c(0, head, Int(CSUP_SHARED_IDENTITY_BYTES))
    else {
      throw .corrupt("the shared state's header does not verify", file: fileName, offset: 0)
    }
    emit("shared state of database \(DatabaseID(head.pointee.database)), layout version \(head.pointee.version)")
    emit("ring \(head.pointee.ring_bytes) bytes, log segments \(head.pointee.segment_bytes) bytes")
    let isLive = DatabaseID(head.pointee.boot) == BootID.current()
    emit("written \(isLive ? "since" : "before") the machine started; closed in order: \(head.pointee.clean == 1)")
    emit("reserved  \(head.pointee.reserved)")
    emit("published \(head.pointee.published)")
    emit("drained   \(head.pointee.drained)")
    emit("durable   \(head.pointee.durable)")
    if head.pointee.failed != 0 { emit("writing failed with errno \(head.pointee.failed)") }
  }
}
