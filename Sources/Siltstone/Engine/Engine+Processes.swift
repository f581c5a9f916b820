internal import CSupport

extension Engine {
  /// What the slots in SHARED tell of the living.
  func processMetrics() -> [ProcessMetrics] {
    var all: [ProcessMetrics] = []
    let now = storage.wallClockSeconds()
    let (generation, published) = (shared.generation, shared.published)
    processes.forEachTaken { index, slot in
      guard processes.isAlive(index) else { return }
      var one = ProcessMetrics()
      one.process = slot.pointee.process
      one.isSelf = index == processes.own
      one.sharing = Options.Sharing.Kind(rawValue: slot.pointee.sharing).map { "\($0)" } ?? "unknown"
      one.roles = Engine.roles(csup_load32(slot.pointer(to: \.roles)))
      one.locks = processes.locksHeld(by: index).map(\.rawValue)
      one.attachedSeconds = now - min(now, slot.pointee.started)
      let silent = UInt32(truncatingIfNeeded: now) &- csup_load32(slot.pointer(to: \.seen))
      one.silentSeconds = silent > UInt32.max / 2 ? 0 : UInt64(silent)
      one.entriesWritten = csup_load(slot.pointer(to: \.entries_written))
      one.bytesWritten = csup_load(slot.pointer(to: \.bytes_written))
      one.lookups = csup_load(slot.pointer(to: \.lookups))
      one.stallNanoseconds = csup_load(slot.pointer(to: \.stalled))
      let seen = csup_load(slot.pointer(to: \.view_generation))
      one.changesBehind = (generation - min(generation, seen)) / 2
      let positions = snapshots.positions(ofSlot: index)
      one.snapshots = positions.count
      one.oldestSnapshotBytes = positions.min().map { published - min($0, published) } ?? 0
      func holds(_ generations: Range<UInt64>) -> Bool { processes.reads(index, from: generations) }
      one.pinnedMemtableBytes = arenas.retiredBytes(holds)
      one.pinnedTables = tree.reaper.condemnedCount(holds)
      all.append(one)
    }
    return all
  }

  private static func roles(_ bits: UInt32) -> [String] {
    [(CSUP_ROLE_LOG, "log"), (CSUP_ROLE_FLUSH, "flush"), (CSUP_ROLE_COMPACTION, "compaction")]
      .compactMap { role, name in bits & 1 << UInt32(role.rawValue) != 0 ? name : nil }
  }
}
