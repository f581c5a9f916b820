internal import CSupport
internal import Synchronization

/// Keeps this process's part in the shared state up to date while nobody calls: the view, so that nothing old stays
/// pinned; the price that writers pay; what others are shown of this process; and what processes that died have left.
final class Follower: Sendable {
  private let parts: SharedParts
  private let view: CurrentView
  private let tree: TreeKeeper
  private let pacing: Pacing
  /// The tree has changed.
  private let changed: @Sendable () -> Void
  private let publish: @Sendable (UnsafeMutablePointer<csup_slot>) -> Void
  private let report: @Sendable (SiltstoneError) -> Void
  private let isStopping = Atomic<Bool>(false)

  /// Backpressure follows the debt at this pace.
  private static let pacingNanoseconds: UInt64 = 20_000_000
  private static let housekeepingNanoseconds: UInt64 = 500_000_000

  init(
    _ parts: SharedParts, view: CurrentView, tree: TreeKeeper, pacing: Pacing, changed: @escaping @Sendable () -> Void,
    publish: @escaping @Sendable (UnsafeMutablePointer<csup_slot>) -> Void,
    report: @escaping @Sendable (SiltstoneError) -> Void
  ) {
    self.parts = parts
    self.view = view
    self.tree = tree
    self.pacing = pacing
    self.changed = changed
    self.publish = publish
    self.report = report
  }

  /// The thread's body: returns after `stop`.
  func run() {
    let shared = parts.shared
    var lastHousekeeping: UInt64 = 0
    while !isStopping.load(ordering: .acquiring) {
      let seen = shared.changes
      let generation = view.peek().version.generation
      do throws(SiltstoneError) {
        try view.follow()
        try tree.follow()
        let now = parts.storage.monotonicNanoseconds()
        if shared.isWritable, now - lastHousekeeping >= Follower.housekeepingNanoseconds {
          lastHousekeeping = now
          try keepHouse()
        }
      } catch {
        report(error)
      }
      if view.peek().version.generation != generation { changed() }
      tree.reap()
      let isPriced = pacing.update()
      if isStopping.load(ordering: .acquiring) { return }
      shared.waitForChange(
        after: seen, nanoseconds: isPriced ? Follower.pacingNanoseconds : Follower.housekeepingNanoseconds)
    }
  }

  private func keepHouse() throws(SiltstoneError) {
    parts.processes.withOwnSlot { slot in
      publish(slot)
      csup_store32(slot.pointer(to: \.seen), UInt32(truncatingIfNeeded: parts.storage.wallClockSeconds()))
    }
    parts.processes.clearDead()
    if parts.processes.takeDeaths() { try tree.scavenge() }
    parts.arenas.tidy()
  }

  func stop() {
    isStopping.store(true, ordering: .releasing)
    parts.shared.announceChange()
  }
}
