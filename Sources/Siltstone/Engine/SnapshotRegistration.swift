internal import Synchronization

/// One entry in the snapshot list, taken back when it ends or is dropped.
final class SnapshotRegistration: Sendable {
  let position: LogPosition
  private let list: SnapshotList
  private let ended = Atomic<Bool>(false)

  init(in list: SnapshotList, _ present: () -> LogPosition) throws(SiltstoneError) {
    self.list = list
    position = try list.acquire(present)
  }

  deinit { end() }

  var hasEnded: Bool { ended.load(ordering: .acquiring) }

  func end() {
    if !ended.exchange(true, ordering: .acquiringAndReleasing) { list.release(position) }
  }
}
