internal import Glibc

/// Places at which a test has a process killed, as if by chance: the steps between which the shared state is half
/// changed. Nothing of it is in a release build.
///
/// `SILTSTONE_KILL=name:n` in the environment means the nth time that the place is reached.
enum KillPoint: String, CaseIterable {
  case arenaFileMade, arenaClaimed, arenaMade, arenaActive
  case recordInRing, reserved, insertedOne, inserted, published
  case drainWritten, drained, skipped, segmentPrepared
  case tableWritten, editUncertain, editWritten, manifestReplaced, generationOdd, editShown, flushedShown, editDone
  case joined, slotTaken

  @inline(__always)
  static func reach(_ point: KillPoint) {
    #if DEBUG
      if let armed { armed.reach(point) }
    #endif
  }

  #if DEBUG
    private static let armed = Armed(getenv("SILTSTONE_KILL").map { String(cString: $0) })
  #endif
}

#if DEBUG
  internal import Synchronization

  private final class Armed: Sendable {
    private let point: KillPoint
    private let left: Atomic<Int>

    init?(_ text: String?) {
      let parts = (text ?? "").split(separator: ":")
      guard parts.count == 2, let point = KillPoint(rawValue: String(parts[0])), let count = Int(parts[1]) else {
        return nil
      }
      self.point = point
      left = Atomic(count)
    }

    func reach(_ point: KillPoint) {
      if point != self.point || left.subtract(1, ordering: .relaxed).newValue != 0 { return }
      kill(getpid(), SIGKILL)
      while true { pause() }
    }
  }
#endif
