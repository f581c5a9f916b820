internal import CSupport
internal import Synchronization

/// The log's files: which stand ready, which can be used again.
///
/// Segments are prepared ahead of the log's end, by whoever comes first: the holder of the log role in the
/// background, or a committer that would otherwise have to wait. `prepared` in SHARED says where they end: files of
/// higher numbers are spares. A file of a lower number is in use until it is released, if only for the values in it
/// that tables point at; then it becomes a spare, by a rename to a number that nobody has had, or goes. So a number
/// stands for one stretch of the log for ever, and no file that is read is ever renamed. Thread-safe.
final class LogSegments: Sendable {
  let segmentBytes: UInt64
  /// Of the largest power of two that is no larger than a segment.
  var segmentBits: UInt64 { UInt64(63 - segmentBytes.leadingZeroBitCount) }
  private let storage: any Storage
  private let database: DatabaseID
  private let shared: SharedState
  /// What this process has open.
  private let open = Mutex<[UInt64: any StorageFile]>([:])
  /// Whether new segments are written full with zeros, so that a durable write changes no metadata. Worth it only where
  /// somebody waits for durable writes: otherwise most of a segment may never be written at all.
  private let fills: Atomic<Bool>
  /// Of this process's threads one at a time asks for the lock that the processes share; none when it is true.
  private let preparing = Mutex(false)

  /// Zeros in pieces of this size fill a new segment; large enough for full throughput at a few in flight.
  private static let fillBytes = 256 << 10
  /// Keep two used segments to recycle: the one after the current one, and one for a burst. More only costs disk.
  private static let maxSpares = 2

  init(storage: any Storage, database: DatabaseID, shared: SharedState, segmentBytes: UInt64, fills: Bool) {
    self.fills = Atomic(fills)
    self.storage = storage
    self.database = database
    self.shared = shared
    self.segmentBytes = segmentBytes
  }

  /// Says which segments are there already. REQUIRES: nobody else has the database open.
  ///
  /// - Parameters:
  ///   - existing: the numbers of all segment files found in the directory.
  ///   - end: the log's end; the segment that holds it, if it exists, is in use.
  func begin(existing: [UInt64], end: LogPosition) {
    var next = oldest
    while existing.contains(next), next * segmentBytes < end { next += 1 }
    shared.setPrepared(next * segmentBytes)
  }

  /// Says that somebody waits for durable writes.
  func fillFromNowOn() { fills.store(true, ordering: .relaxed) }

  /// Not where values stay in the log, and the log runs ahead of what is durable: such a segment is written once and
  /// then kept, and zeros would double what goes to the disk.
  private var wantsZeros: Bool {
    let (reserved, durable) = (shared.reserved, shared.durable)
    let isStaged = reserved > durable && reserved - durable > segmentBytes / 2
    return fills.load(ordering: .relaxed) && !(shared.isMostlyValues && isStaged)
  }

  /// The oldest segment that still holds something that is not in a table, or that a drain may be writing to or
  /// syncing: none goes back behind `durable`.
  private var oldest: UInt64 { min(shared.logStart, shared.durable) / segmentBytes }
  /// The next segment to prepare.
  private var next: UInt64 { shared.prepared / segmentBytes }

  /// Where in its segment's file a position lies.
  func offset(of position: LogPosition) -> UInt64 { UInt64(LogSegment.headerBytes) + position % segmentBytes }

  /// The file that holds `position`. REQUIRES: it was prepared.
  func file(holding position: LogPosition) throws(SiltstoneError) -> any StorageFile {
    let number = position / segmentBytes
    return try open.withLock { (open) throws(SiltstoneError) in
      if let file = open[number] { return file }
      let file = try storage.open(LogSegment.fileName(number), .readWrite)
      open[number] = file
      return file
    }
  }

  /// Keeps the file open, and none that nothing is written to any more.
  private func keep(_ file: any StorageFile, _ number: UInt64) {
    let oldest = oldest
    open.withLock { open in
      for other in open.keys where other < oldest { open[other] = nil }
      open[number] = file
    }
  }

  /// Runs `body` while no other process makes, renames or removes a segment. What one that died was at is found by
  /// looking at the files.
  private func withLock(_ body: () throws(SiltstoneError) -> Void) throws(SiltstoneError) {
    try preparing.withLock { (hasEnded) throws(SiltstoneError) in
      if hasEnded { throw SiltstoneError(.closed, "the database was closed") }
      try shared.acquire(.segments)
      defer { shared.release(.segments) }
      try shared.checkSegments(segmentBytes)
      try body()
    }
  }

  /// Makes segments ready for every position below `end`. A full disk leaves everything as it was, to be tried again.
  func prepare(upTo end: LogPosition) throws(SiltstoneError) {
    if shared.prepared >= end { return }
    // Not under the lock that a drain takes: filling a segment takes tens of milliseconds.
    try withLock { () throws(SiltstoneError) in
      while shared.prepared < end {
        let number = next
        let file = try prepare(number)
        keep(file, number)
        KillPoint.reach(.segmentPrepared)
        shared.setPrepared((number &+ 1) &* segmentBytes)
      }
    }
  }

  /// The numbers of all files, ascending.
  func existing() throws(SiltstoneError) -> [UInt64] {
    try storage.list().compactMap { LogSegment.number(fromFileName: $0) }.sorted()
  }

  private func prepare(_ number: UInt64) throws(SiltstoneError) -> any StorageFile {
    let name = LogSegment.fileName(number)
    // The file with the right name already is the best spare; any other is renamed.
    let spares = try existing().filter { $0 >= number }
    if let spare = spares.contains(number) ? number : spares.first, spare != number {
      try storage.rename(LogSegment.fileName(spare), to: name)
    }
    if try storage.exists(name) {
      let file = try storage.open(name, .readWrite)
      if let isFilled = try isFilled(file, name), isFilled || !wantsZeros {
        try writeHeader(file, number: number, isFilled: isFilled)
        try storage.syncDirectory()
        return file
      }
      // Half made when the disk filled up or the process died; or without zeros, which could not be written into it now
      // without danger: a process that dies at it may have them on their way still when the file is in use.
      try storage.remove(name)
    }
    return try create(name, number: number)
  }

  /// Whether all blocks of the file were ever written; nil if it was not finished. One that was has its size, and a
  /// header, which is written last. Without that, a process that died while it filled the file may even now have zeros
  /// on their way to it.
  private func isFilled(_ file: any StorageFile, _ name: String) throws(SiltstoneError) -> Bool? {
    guard try file.sizeBytes() == UInt64(LogSegment.headerBytes) + segmentBytes else { return nil }
    let header = AlignedMemory(sizeBytes: LogSegment.headerBytes)
    defer { withExtendedLifetime(header) {} }
    guard try file.read(into: header.buffer, at: 0) == header.sizeBytes else { return nil }
    let identity = try? LogSegment.describe(UnsafeRawBufferPointer(header.buffer), file: name)
    guard let identity = identity ?? nil, identity.database == database, identity.segmentBytes == segmentBytes else {
      return nil
    }
    return identity.isFilled
  }

  private func create(_ name: String, number: UInt64) throws(SiltstoneError) -> any StorageFile {
    let file = try storage.open(name, .create)
    do throws(SiltstoneError) {
      let isReserved = try file.preallocate(UInt64(LogSegment.headerBytes) + segmentBytes)
      let isFilled = !isReserved || wantsZeros
      if isFilled { try fillWithZeros(file) }
      try file.sync()
      try writeHeader(file, number: number, isFilled: isFilled)
      try storage.syncDirectory()
      return file
    } catch {
      try? storage.remove(name)
      throw error
    }
  }

  private func fillWithZeros(_ file: any StorageFile) throws(SiltstoneError) {
    let sizeBytes = UInt64(LogSegment.headerBytes) + segmentBytes
    let zeros = AlignedMemory(sizeBytes: LogSegments.fillBytes)
    defer { withExtendedLifetime(zeros) {} }
    let queue = try storage.makeIOQueue(depth: 4)
    var offset: UInt64 = 0
    var failure: SiltstoneError?
    while (offset < sizeBytes && failure == nil) || queue.outstanding > 0 {
      if offset < sizeBytes, failure == nil, queue.outstanding < queue.depth {
        let length = Int(min(UInt64(zeros.sizeBytes), sizeBytes - offset))
        let piece = UnsafeRawBufferPointer(start: zeros.base, count: length)
        try queue.submitWrite(file, piece, at: offset, .none, tag: 0)
        offset += UInt64(length)
      } else if let error = try queue.wait().error {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  private func writeHeader(_ file: any StorageFile, number: UInt64, isFilled: Bool) throws(SiltstoneError) {
    let header = AlignedMemory(sizeBytes: LogSegment.headerBytes)
    defer { withExtendedLifetime(header) {} }
    LogSegment.encodeHeader(
      header.buffer, database: database, number: number, segmentBytes: segmentBytes, isFilled: isFilled)
    try file.write(UnsafeRawBufferPointer(header.buffer), at: 0, .dataSync)
  }

  /// Gives up segments that nobody reads any more: they are kept to be used again, or go.
  ///
  /// REQUIRES: everything in them is in tables, or in no use at all; no drain comes back to them; and no process reads
  /// from a generation in which a memtable or a table pointed into one.
  func release(_ numbers: [UInt64]) throws(SiltstoneError) {
    if numbers.isEmpty { return }
    try withLock { () throws(SiltstoneError) in
      let existing = try existing()
      var spareCount = existing.count { $0 >= next }
      var last = max(existing.last ?? 0, next &- 1)
      let there = Set(existing)
      open.withLock { open in for number in numbers { open[number] = nil } }
      // Another process may have been quicker.
      for number in numbers where number < next && there.contains(number) {
        if spareCount < LogSegments.maxSpares {
          last += 1
          spareCount += 1
          try storage.rename(LogSegment.fileName(number), to: LogSegment.fileName(last))
        } else {
          try storage.remove(LogSegment.fileName(number))
        }
      }
    }
  }

  /// When this returns, no thread of this process touches the segments' lock any more.
  func end() { preparing.withLock { $0 = true } }

  /// Returns when no write is on its way to the files that hold the log from `start` to `end`, whoever began it. Only
  /// after a process died: its last writes may still be in the device's queue, and must not overtake what is written
  /// now. To reserve blocks that are there already changes nothing, but waits for direct writes in flight.
  func awaitWritesInFlight(from start: LogPosition, to end: LogPosition) throws(SiltstoneError) {
    var position = start
    while position < min(end, shared.prepared) {
      _ = try file(holding: position).preallocate(UInt64(LogSegment.headerBytes) + segmentBytes)
      position = (position / segmentBytes + 1) * segmentBytes
    }
  }

  /// Segments that could not be given up yet, with those made ready ahead.
  var liveSegmentCount: Int {
    let (oldest, next) = (oldest, next)
    return Int(next - min(oldest, next))
  }
}
