internal import CSupport
internal import Glibc
internal import Synchronization

/// The file SHARED, mapped: watermarks, locks, slots, arenas and the log ring, as `csup_shared.h` draws them.
///
/// A thin, typed view; the words mean what they mean to every thread of every process. Whatever is read here is
/// checked where it is used as a length or an offset.
final class SharedState: Sendable {
  static let fileName = "SHARED"
  /// What the locks on single bytes of the file stand for. A process holds each through a descriptor of its own.
  enum LockByte {
    /// Held while a process opens or closes the database: one at a time. Shared by those that open one which nobody has
    /// open, to read it.
    static let opening: UInt64 = 0
    /// Held for as long as the database is open for one process alone.
    static let exclusive: UInt64 = 1
    /// Shared by those that wait for `opening`, so that readers let them pass.
    static let waiting: UInt64 = 2
    static func role(_ role: csup_role) -> UInt64 { 8 + UInt64(role.rawValue) }
    /// Held for as long as the process in that slot lives.
    static func slot(_ index: Int) -> UInt64 { 64 + UInt64(index) }
    /// From here on: held for as long as a process may be at one of the locks in SHARED from that seat.
    static let seats: UInt64 = 256
    /// Marked by a process that may not write: the generations that it reads from ...
    static let generations: UInt64 = 1 << 60
    /// ... and the positions of its snapshots.
    static let positions: UInt64 = 1 << 61
  }

  let mapping: any MappedFile
  /// Whether what others see may be changed: not by a process that only reads.
  let isWritable: Bool
  /// Whether this is a copy of what the last users left, for this process alone. It may do with that what it likes, and
  /// must change nothing else.
  var isPrivate: Bool { mapping.isPrivate }
  /// The header at the mapping's start: identity, constants, and what `words` points at.
  nonisolated(unsafe) let header: UnsafeMutablePointer<csup_shared>
  /// What all writers are held to together.
  nonisolated(unsafe) let pacing: UnsafeMutablePointer<csup_pacing>
  /// The log ring: position p lives at `ring[p % ringBytes]`.
  nonisolated(unsafe) let ring: UnsafeMutablePointer<UInt8>
  let ringBytes: UInt64
  /// Who this process is to the locks, from `takeSeat` on.
  nonisolated(unsafe) let locker: UnsafeMutablePointer<csup_locker>
  let seat = Mutex<LockSeat?>(nil)
  /// How often a lock was not to be had at once.
  let refusals = Atomic<UInt32>(0)

  /// The changing words, each at its place in the mapping.
  struct Words: @unchecked Sendable {  // into memory that is made for sharing; all access is atomic
    let magic, reserved, published, valuesEnd, valueShare, drained, durable, prepared: UnsafeMutablePointer<UInt64>
    let active, generation, manifestEnd, logStart, flushed: UnsafeMutablePointer<UInt64>
    let nextTable, nextRun, nextArena, arenaPlan, movedFloor: UnsafeMutablePointer<UInt64>
    let drainSequence, drainWaiters, syncedWaits, failed, logWanted: UnsafeMutablePointer<UInt32>
    let changes, changeWaiters, manifestUncertain, flushFailed, upkeep, processes: UnsafeMutablePointer<UInt32>
    let commitLock, drainLock, manifestLock, segmentsLock: UnsafeMutablePointer<csup_lock>

    init(_ header: UnsafeMutablePointer<csup_shared>) {
      magic = header.pointer(to: \.magic)!
      reserved = header.pointer(to: \.reserved)!
      published = header.pointer(to: \.published)!
      valuesEnd = header.pointer(to: \.values_end)!
      valueShare = header.pointer(to: \.value_share)!
      drained = header.pointer(to: \.drained)!
      durable = header.pointer(to: \.durable)!
      prepared = header.pointer(to: \.prepared)!
      active = header.pointer(to: \.active)!
      generation = header.pointer(to: \.generation)!
      manifestEnd = header.pointer(to: \.manifest_end)!
      logStart = header.pointer(to: \.log_start)!
      flushed = header.pointer(to: \.flushed)!
      nextTable = header.pointer(to: \.next_table)!
      nextRun = header.pointer(to: \.next_run)!
      nextArena = header.pointer(to: \.next_arena)!
      arenaPlan = header.pointer(to: \.arena_plan)!
      movedFloor = header.pointer(to: \.moved_floor)!
      drainSequence = header.pointer(to: \.drain_sequence)!
      drainWaiters = header.pointer(to: \.drain_waiters)!
      syncedWaits = header.pointer(to: \.synced_waits)!
      failed = header.pointer(to: \.failed)!
      logWanted = header.pointer(to: \.log_wanted)!
      changes = header.pointer(to: \.changes)!
      changeWaiters = header.pointer(to: \.change_waiters)!
      manifestUncertain = header.pointer(to: \.manifest_uncertain)!
      flushFailed = header.pointer(to: \.flush_failed)!
      upkeep = header.pointer(to: \.upkeep)!
      processes = header.pointer(to: \.processes)!
      commitLock = header.pointer(to: \.commit_lock)!
      drainLock = header.pointer(to: \.drain_lock)!
      manifestLock = header.pointer(to: \.manifest_lock)!
      segmentsLock = header.pointer(to: \.segments_lock)!
    }
  }
  let words: Words

  init(mapping: any MappedFile, ringBytes: UInt64, isWritable: Bool) {
    self.mapping = mapping
    self.isWritable = isWritable
    header = mapping.base.assumingMemoryBound(to: csup_shared.self)
    words = Words(header)
    pacing = header.pointer(to: \.pacing)!
    ring = (mapping.base + Int(CSUP_SHARED_HEADER_BYTES)).assumingMemoryBound(to: UInt8.self)
    self.ringBytes = ringBytes
    locker = .allocate(capacity: 1)
    locker.initialize(to: csup_locker())
  }

  deinit { locker.deallocate() }

  /// Faults in the ring's pages for these positions, changing nothing. REQUIRES: no more than the ring has.
  func touchRing(_ positions: Range<LogPosition>) {
    var begin = StorageAlignment.roundDown(positions.lowerBound)
    while begin < positions.upperBound {
      let lap = begin / ringBytes * ringBytes
      let end = min(StorageAlignment.roundUp(positions.upperBound), lap + ringBytes)
      let offset = Int(CSUP_SHARED_HEADER_BYTES) - Int(lap)
      mapping.populate(Int(begin) + offset..<Int(end) + offset)
      begin = end
    }
  }

  static func fileBytes(ringBytes: UInt64) -> Int { Int(CSUP_SHARED_HEADER_BYTES) + Int(ringBytes) }
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
  /// Everything from here on that is reserved is in tables as soon as its memtable is flushed. Before it lie values
  /// that are in the log and nowhere else.
  @inline(__always) var valuesEnd: LogPosition { csup_load(words.valuesEnd) }
  /// The errno that ended writing, or 0.
  @inline(__always) var failed: Int32 { Int32(bitPattern: csup_load32(words.failed)) }

  /// `reserved`, if it can be. REQUIRES: the commit lock or the drain lock, so that one of the two words that are
  /// compared stays as it is.
  func logEnd() throws(SiltstoneError) -> LogPosition {
    let drained = drained
    let end = reserved
    guard drained <= end, end <= KeyTrailer.maxSequence, end - drained <= ringBytes else {
      throw SharedState.writtenOver("its watermarks contradict one another")
    }
    return end
  }

  /// Checks the two words that say which segments of the log are in use, before any file is made, renamed or removed on
  /// their word. REQUIRES: the lock of the segments, so that `prepared` stays as it is.
  func checkSegments(_ segmentBytes: UInt64) throws(SiltstoneError) {
    let (start, ready) = (logStart, prepared)  // before the words that they could be overtaken by
    let (published, reserved) = (published, min(reserved, KeyTrailer.maxSequence))
    // The largest batch, a segment to spare, and as much again.
    let farthest = reserved + 2 * (UInt64(Limits.maxBatchBytes) + 2 * segmentBytes)
    guard start <= published, start / segmentBytes <= ready / segmentBytes, ready % segmentBytes == 0,
      reserved / segmentBytes <= ready / segmentBytes, ready <= farthest
    else { throw SharedState.writtenOver("what it says of the log's segments cannot be") }
  }

  /// What participants keep does not hold.
  static func writtenOver(_ what: String) -> SiltstoneError {
    .corrupt(
      "\(what): some process has written over the shared state; close the database in all processes and reopen it",
      file: fileName)
  }

  /// REQUIRES: the commit lock.
  @inline(__always) func setReserved(_ position: LogPosition) { csup_store(words.reserved, position) }
  /// REQUIRES: the commit lock.
  @inline(__always) func setPublished(_ position: LogPosition) { csup_store(words.published, position) }
  /// REQUIRES: the commit lock, and that `reserved` has not passed the value.
  @inline(__always) func setValuesEnd(_ position: LogPosition) { csup_store(words.valuesEnd, position) }
  /// REQUIRES: the drain lock.
  func setDrained(_ position: LogPosition) { csup_store(words.drained, position) }
  /// REQUIRES: the drain lock.
  func setDurable(_ position: LogPosition) { csup_store(words.durable, position) }
  func setPrepared(_ position: LogPosition) { csup_store(words.prepared, position) }
  func setFailed(_ errno: Int32) { csup_store32(words.failed, UInt32(bitPattern: errno == 0 ? EIO : errno)) }
}

// MARK: - Large values

extension SharedState {
  /// Half of the log's bytes.
  static let evenShare: UInt64 = 1 << 31

  /// How much of the log's latest bytes will be large values, in 2^32, behind a batch of `bytes` of which `large` are:
  /// a mean over about 2^`windowBits` bytes, in which the latest count most. REQUIRES: the commit lock.
  @inline(__always)
  func valueShare(behind bytes: UInt64, large: UInt64, windowBits: UInt64) -> UInt64 {
    let share = min(csup_load(words.valueShare), 2 * SharedState.evenShare)
    if bytes &>> windowBits != 0 { return (large << 32) / bytes }
    return share &- (share &* bytes) &>> windowBits &+ (large &<< 32) &>> windowBits
  }

  /// Whether the log grows by large values, for the most part.
  var isMostlyValues: Bool { csup_load(words.valueShare) > SharedState.evenShare }

  /// REQUIRES: the commit lock.
  @inline(__always)
  func setValueShare(_ share: UInt64) {
    if share != csup_load(words.valueShare) { csup_store(words.valueShare, share) }
  }
}

// MARK: - What there is to read from

extension SharedState {
  /// The memtable that fills. Both parts in one word, so that one store puts another in its place.
  struct Active: Equatable {
    var serial: UInt64
    var index: Int
  }
  @inline(__always) var active: Active {
    let word = csup_load(words.active)
    return Active(serial: word &>> 8, index: Int(word & 0xFF))
  }
  /// One load: what a read compares to see whether its view has the memtable that fills.
  @inline(__always) var activeSerial: UInt64 { csup_load(words.active) &>> 8 }
  /// REQUIRES: the commit lock, and an entry of the arena table that is ready.
  func setActive(_ active: Active) { csup_store(words.active, active.serial << 8 | UInt64(active.index)) }

  /// Moves twice with every change of the tree: it is odd while what there is to read from is being changed. Whatever
  /// the word says, no more than a pin can say.
  var generation: UInt64 { csup_load(words.generation) & SharedState.maxGeneration }
  static let maxGeneration: UInt64 = (1 << 48) - 1
  /// The newest memtable that is in tables, with all before it.
  var flushedSerial: UInt64 { csup_load(words.flushed) }
  /// Everything before is in tables.
  var logStart: LogPosition { csup_load(words.logStart) }

  /// How far which manifest counts.
  struct ManifestEnd: Equatable {
    static let offsetBits: UInt64 = 36
    var number: UInt64
    var offset: UInt64
    var word: UInt64 { number << ManifestEnd.offsetBits | offset }
    var isPossible: Bool { number < 1 << (64 - ManifestEnd.offsetBits) && offset < 1 << ManifestEnd.offsetBits }
  }
  var manifestEnd: ManifestEnd {
    let word = csup_load(words.manifestEnd)
    return ManifestEnd(
      number: word >> ManifestEnd.offsetBits, offset: word & ((1 << ManifestEnd.offsetBits) - 1))
  }

  /// What may stand in the manifest behind its end.
  enum ManifestDoubt {
    static let none: UInt32 = 0
    /// What a crash left, before the database was recovered: the next edit goes to a new file.
    static let tail: UInt32 = 1
    /// An edit that nobody has shown. It must be outdone before any file is deleted that it may name or take away.
    static let edit: UInt32 = 2
  }

  /// How far a process is that recovers the database, or died at it.
  enum Recovery {
    static let done: UInt32 = 0
    /// What there is to read from is incomplete.
    static let incomplete: UInt32 = 1
    /// All is there to be read, but nobody may join yet: the log has no place to go on.
    static let readable: UInt32 = 2
  }
  var isRecovering: Bool { csup_load32(header.pointer(to: \.recovering)!) == Recovery.incomplete }

  /// Others may join from now on.
  func endRecovery() { csup_store32(header.pointer(to: \.recovering)!, Recovery.done) }

  /// Tells every process that there is something new to read from, or to do.
  func announceChange() {
    if !isWritable { return }
    _ = csup_add32(words.changes, 1)
    if csup_load32(words.changeWaiters) != 0 { csup_futex_wake_all(words.changes) }
  }

  /// Sleeps until something changes that was not there when `seen` was read, or the time is over.
  func waitForChange(after seen: UInt32, nanoseconds: UInt64) {
    // Who may not write cannot say that it waits, and may not be woken.
    if !isWritable { return csup_futex_wait(words.changes, seen, min(nanoseconds, 20_000_000)) }
    _ = csup_add32(words.changeWaiters, 1)
    csup_futex_wait(words.changes, seen, nanoseconds)
    _ = csup_add32(words.changeWaiters, .max)
  }
  var changes: UInt32 { csup_load32(words.changes) }
}
