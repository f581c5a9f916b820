internal import CSupport

/// Finishes what the owner of the commit lock did not live to finish.
///
/// What is reserved stands whole in the log: most often in the ring, or in its files where a batch was larger than the
/// ring. It is inserted again, which changes nothing where it was inserted before. Of a batch that has no end nothing
/// is inserted: it was given up, and nobody was told that it was done. No log is replayed but for this one batch.
struct CommitRepair: Sendable {
  let storage: any Storage
  let database: DatabaseID
  let shared: SharedState
  let segmentBytes: UInt64
  let view: CurrentView
  let arenas: ArenaTable

  /// REQUIRES: the commit lock. When it throws, it may be called again.
  func finish() throws(SiltstoneError) {
    let (published, reserved, drained) = (shared.published, shared.reserved, shared.drained)
    guard published < reserved, reserved <= KeyTrailer.maxSequence, drained <= reserved,
      reserved - drained <= shared.ringBytes
    else { throw CommitRepair.contradiction }
    var memtable = try view.load().active
    memtable.repair()
    // Behind `reserved` may stand a record that was never finished, of a quarter of the ring at most.
    let written = reserved + shared.ringBytes / 4 + UInt64(RecordFraming.headerBytes)
    let isInRing = published + shared.ringBytes >= written
    var reader = LogReader(
      storage: storage, database: database, segmentBytes: segmentBytes, from: published,
      ring: (shared, isInRing ? published : drained, reserved))
    var assembly = BatchAssembly()
    while let record = try reader.next() {
      try assembly.add(record) { (batch) throws(SiltstoneError) in
        if insert(batch, into: memtable) { return }
        // What the dead one had taken of the arena for an entry and never used is lost, and may be what is missing now.
        memtable = try rotate(at: published, for: batch)
        guard insert(batch, into: memtable) else { throw CommitRepair.contradiction }
      }
    }
    guard reader.position == reserved else {
      shared.setFailed(0)
      throw .corrupt(
        "a writer died while committing, and what it had reserved up to \(reserved) does not verify at "
          + "\(reader.position); reopen the database", file: SharedState.fileName)
    }
    shared.setPublished(reserved)
  }

  private func insert(_ batch: LoggedBatch, into memtable: Memtable) -> Bool {
    guard let size = EntryEncoding.measure(batch.payload) else { return false }
    let bytes = size.memtableBytes(keepsValues: batch.keepsValues)
    _ = memtable.hasRoom(count: size.count, payloadBytes: bytes)  // reserves what it can
    return memtable.insert(batch)
  }

  private func rotate(at position: LogPosition, for batch: LoggedBatch) throws(SiltstoneError) -> Memtable {
    guard let size = EntryEncoding.measure(batch.payload) else { throw CommitRepair.contradiction }
    let bytes = size.memtableBytes(keepsValues: batch.keepsValues)
    let minimum = Memtable.capacityNeeded(count: size.count, payloadBytes: bytes)
    guard
      minimum <= Limits.maxBatchBytes,
      let fresh = try arenas.activate(
        firstPosition: position, commonPrefix: [], minimumBytes: minimum, ignoringLimit: true)
    else { throw SiltstoneError(.outOfMemory, "the table of memtables is full") }
    shared.announceChange()
    try view.follow()
    return fresh
  }

  private static var contradiction: SiltstoneError {
    .corrupt("a writer died while committing, and the shared state contradicts itself", file: SharedState.fileName)
  }
}
