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

  /// How a compaction of `version` moves values out of sparse segments.
  func valueMoves(_ version: Version, holding pins: HeldPins) -> ValueMoves? {
    guard let tail = logTail.withLock({ $0 }), !version.segmentUse.isEmpty else { return nil }
    return ValueMoves(values: values, leaving: valueSegments(version).sparse) {
      (value, checksum) throws(SiltstoneError) in
      while true {
        guard let moved = try tail.move(value, checksum) else { return nil }
        // Until a table points at it, nothing but this pin keeps the value. If the log had been given up so far before
        // the pin was seen, it may be gone; if not, whoever gives it up comes to see the pin.
        let generation = self.shared.generation
        if !pins.holds(generation) { pins.hold(try self.pins.pinCurrent { self.shared.generation }) }
        if self.shared.logStart <= moved.position { return moved }
      }
    }
  }

  /// Returns when the values that were moved are on stable media.
  func settleValues(upTo end: LogPosition) throws(SiltstoneError) {
    if end > 0 { try logTail.withLock({ $0 })?.waitDurable(end) }
  }
}
