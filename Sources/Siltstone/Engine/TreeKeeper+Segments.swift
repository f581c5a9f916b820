internal import CSupport
internal import Synchronization

/// Which log segments may go, as one process sees it.
///
/// A segment is in use while the log is still needed from somewhere before its end, or while a table points into it;
/// and a reader may use it whose view is of an earlier generation, in which either held. So it goes when the present
/// version neither needs it nor points into it, and nobody reads from any earlier generation since the segment began.
/// One that begins behind the newest value that stays in the log holds no value, and waits for no reader.
struct SegmentLedger {
  /// Where the log begins, as of the version that this process has.
  var logStart: LogPosition
  /// Those that a version gave up; nil while nobody has looked at what there is.
  fileprivate var given: Set<UInt64>?
  /// No memtable of an earlier generation points into the segment. One without an entry may have been there for ever.
  fileprivate var born: [UInt64: UInt64] = [:]
  /// The number of the first segment that was not there at the last look, and how old the oldest memtable was before
  /// that: so segments that came later are no older.
  fileprivate var next: UInt64 = .max
  fileprivate var oldestMemtable: UInt64 = 0

  init(logStart: LogPosition) { self.logStart = logStart }
}

extension TreeKeeper {
  /// Notes what `version`, which came after `old`, does not need of the log any more. REQUIRES: the manifest's mutex.
  func noteSegments(_ version: Version, after old: Version, logStart: LogPosition) {
    let segmentBytes = segments.segmentBytes
    let first = logStart / segmentBytes
    values.forget { $0 < first && version.segmentUse[$0] == nil }
    // While the database is recovered, the words that say where the log ends are the last life's.
    if !shared.isWritable || shared.isRecovering { return }
    ledger.withLock { ledger in
      let oldest = arenas.oldestGeneration
      let next = shared.prepared / segmentBytes
      if ledger.next < next { for number in ledger.next..<next { ledger.born[number] = ledger.oldestMemtable } }
      (ledger.next, ledger.oldestMemtable) = (next, oldest)
      if ledger.given != nil {
        ledger.given?.formUnion(old.segmentUse.keys)
        let oldFirst = ledger.logStart / segmentBytes
        if oldFirst < first { ledger.given?.formUnion(oldFirst..<first) }
      }
      ledger.logStart = logStart
    }
  }

  /// The segments that nobody needs, and nobody ever will. REQUIRES: the manifest's mutex, and that no edit is
  /// uncertain: it could bring a table back that points into one of them.
  func superfluousSegments() throws(SiltstoneError) -> [UInt64] {
    if shared.isRecovering { return [] }
    let version = view.peek().version
    let (given, first) = try givenSegments()
    // Behind the log's beginning: a value that was moved before that passed it has its floor.
    let floor = csup_load(shared.words.movedFloor)
    let (settled, valuesEnd) = (shared.durable / segments.segmentBytes, shared.valuesEnd)
    var superfluous: [UInt64] = []
    var unread: [UInt64] = []
    for number in given.sorted() {
      if number >= first || version.segmentUse[number] != nil {
        ledger.withLock { _ = $0.given?.remove(number) }
        continue
      }
      if number >= settled { continue }  // a drain may come back to it
      if floor != 0, number >= floor / segments.segmentBytes { continue }
      if valuesEnd / segments.segmentBytes < number {
        superfluous.append(number)
        continue
      }
      let born = ledger.withLock { $0.born[number] } ?? 0
      guard born >= version.generation || processes.nobodyReads(from: born..<version.generation) else { continue }
      unread.append(number)
    }
    // Asked after the floor: a value that was moved to one of them is in this version then, or nowhere.
    return shared.generation == version.generation ? superfluous + unread : superfluous
  }

  /// Gives them up. Without the manifest's mutex, since whoever makes a segment at this moment takes its time.
  func release(_ superfluous: [UInt64]) throws(SiltstoneError) {
    try segments.release(superfluous)
    ledger.withLock { ledger in
      for number in superfluous {
        _ = ledger.given?.remove(number)
        ledger.born[number] = nil
      }
    }
  }

  private func givenSegments() throws(SiltstoneError) -> (given: Set<UInt64>, first: UInt64) {
    let (given, logStart) = ledger.withLock { ($0.given, $0.logStart) }
    let first = logStart / segments.segmentBytes
    if let given { return (given, first) }
    let there = Set(try segments.existing().filter { $0 < first })
    ledger.withLock { $0.given = there }
    return (there, first)
  }
}
