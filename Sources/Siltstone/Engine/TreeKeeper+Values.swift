internal import Synchronization

/// What compactions need of the log, which is there before them: to store values once more, and to wait for them.
struct LogTail: Sendable {
  let move: @Sendable (_ value: ByteView, _ checksum: UInt32) throws(SiltstoneError) -> ValuePointer?
  let waitDurable: @Sendable (LogPosition) throws(SiltstoneError) -> Void
}

extension TreeKeeper {
  /// What values keep of the log, as far as a version's tables point at them.
  func valueSegments(_ version: Version) -> ValueSegments {
    ValueSegments(
      version.segmentUse, logStart: min(shared.logStart, shared.reserved), segmentBytes: segments.segmentBytes)
  }

  /// How a compaction moves values out of sparse segments.
  func valueMoves(_ run: CompactionRun) -> ValueMoves? {
    guard let tail = logTail.withLock({ $0 }), !run.version.segmentUse.isEmpty else { return nil }
    return ValueMoves(values: values, leaving: valueSegments(run.version).sparse) {
      (value, checksum) throws(SiltstoneError) in
      self.moved.hold(run)
      return try tail.move(value, checksum)
    }
  }

  /// Returns when the values that were moved are on stable media.
  func settleValues(upTo end: LogPosition) throws(SiltstoneError) {
    if end > 0 { try logTail.withLock({ $0 })?.waitDurable(end) }
  }
}
