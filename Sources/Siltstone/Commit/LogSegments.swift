internal import Synchronization

/// The log's files: which stand ready, which can be used again.
///
/// Segments are prepared ahead of the log's end, by whoever comes first: the holder of the log role in the
/// background, or a committer that would otherwise have to wait. Thread-safe.
final class LogSegments: Sendable {
  let segmentBytes: UInt64
  private let storage: any Storage
  private let database: DatabaseID
  private let shared: SharedState
  private struct State {
    var open: [UInt64: any StorageFile] = [:]
    /// The next segment to prepare.
    var next: UInt64
    /// The oldest segment that still holds something that is not in a table.
    var oldest: UInt64
    /// Numbers of files that hold nothing needed any more.
    var spares: [UInt64] = []
  }
  private let state: Mutex<State>
  private let preparing = Mutex(())

  /// Zeros in pieces of this size fill a new segment; large enough for full throughput at a few in flight.
  private static let fillBytes = 256 << 10
  /// Keep two used segments to recycle: the one after the current one, and one for a burst. More only costs disk.
  private static let maxSpares = 2

  /// - Parameters:
  ///   - oldest: the segment that holds the oldest position still needed.
  ///   - existing: the numbers of all segment files found in the directory.
  ///   - end: the log's end; the segment that holds it, if it exists, is in use.
  init(
    storage: any Storage, database: DatabaseID, shared: SharedState, segmentBytes: UInt64, existing: [UInt64],
    oldest: UInt64, end: LogPosition
  ) {
    self.storage = storage
    self.database = database
    self.shared = shared
    self.segmentBytes = segmentBytes
    var next = oldest
    while existing.contains(next), next * segmentBytes < end { next += 1 }
    let spares = existing.filter { $0 < oldest || $0 >= next }.sorted()
    state = Mutex(State(next: next, oldest: oldest, spares: spares))
    shared.setPrepared(next * segmentBytes)
  }

  /// The file that holds `position`. REQUIRES: it was prepared.
  func file(holding position: LogPosition) throws(SiltstoneError) -> any StorageFile {
    let number = position / segmentBytes
    return try state.withLock { (state) throws(SiltstoneError) in
      if let file = state.open[number] { return file }
      let file = try storage.open(LogSegment.fileName(number), .readWrite)
      state.open[number] = file
      return file
    }
  }

  /// Makes segments ready for every position below `end`. A full disk leaves everything as it was, to be tried again.
  func prepare(upTo end: LogPosition) throws(SiltstoneError) {
    if shared.prepared >= end { return }
    // One at a time, and not under the lock that a drain takes: filling a segment takes tens of milliseconds.
    try preparing.withLock { (_) throws(SiltstoneError) in
      while shared.prepared < end {
        let number = state.withLock { $0.next }
        let file = try prepare(number)
        state.withLock { state in
          state.open[number] = file
          state.next += 1
        }
        shared.setPrepared((number + 1) * segmentBytes)
      }
    }
  }

  private func prepare(_ number: UInt64) throws(SiltstoneError) -> any StorageFile {
    let name = LogSegment.fileName(number)
    // The file with the right name already is the best spare; any other is renamed.
    let spare = state.withLock { state in
      let index = state.spares.firstIndex(of: number) ?? state.spares.indices.first
      return index.map { state.spares.remove(at: $0) }
    }
    if let spare, spare != number {
      do throws(SiltstoneError) {
        try storage.rename(LogSegment.fileName(spare), to: name)
      } catch {
        state.withLock { $0.spares.append(spare) }
        throw error
      }
    }
    if try storage.exists(name) {
      let file = try storage.open(name, .readWrite)
      if try file.sizeBytes() == UInt64(LogSegment.headerBytes) + segmentBytes {
        try writeHeader(file, number: number)
        try storage.syncDirectory()
        return file
      }
      try storage.remove(name)  // half made when the disk filled up or the process died
    }
    return try create(name, number: number)
  }

  private func create(_ name: String, number: UInt64) throws(SiltstoneError) -> any StorageFile {
    let file = try storage.open(name, .create)
    do throws(SiltstoneError) {
      try fillWithZeros(file)
      try writeHeader(file, number: number)
      try storage.syncDirectory()
      return file
    } catch {
      try? storage.remove(name)
      throw error
    }
  }

  private func fillWithZeros(_ file: any StorageFile) throws(SiltstoneError) {
    let sizeBytes = UInt64(LogSegment.headerBytes) + segmentBytes
    _ = try file.preallocate(sizeBytes)
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
    try file.sync()
  }

  private func writeHeader(_ file: any StorageFile, number: UInt64) throws(SiltstoneError) {
    let header = AlignedMemory(sizeBytes: LogSegment.headerBytes)
    defer { withExtendedLifetime(header) {} }
    LogSegment.encodeHeader(header.buffer, database: database, number: number, segmentBytes: segmentBytes)
    try file.write(UnsafeRawBufferPointer(header.buffer), at: 0, .dataSync)
  }

  /// Says that everything before `position` is in tables. Files that hold nothing else become spares, or go.
  func release(before position: LogPosition) throws(SiltstoneError) {
    try state.withLock { (state) throws(SiltstoneError) in
      let oldest = min(position / segmentBytes, state.next)
      while state.oldest < oldest {
        state.open[state.oldest] = nil
        state.spares.append(state.oldest)
        state.oldest += 1
      }
      while state.spares.count > LogSegments.maxSpares {
        try storage.remove(LogSegment.fileName(state.spares[state.spares.count - 1]))
        state.spares.removeLast()
      }
    }
  }

  /// Segments that could not be given up yet, with those made ready ahead.
  var liveSegmentCount: Int { state.withLock { Int($0.next - $0.oldest) } }
}
