internal import CSupport
internal import Synchronization

/// Tells all processes from where on the log must stay, whatever points into it: values lie there that compactions have
/// moved, and that no table points at yet. One word of the shared state holds it, which is the compaction role's.
final class MovedFloor: Sendable {
  private let shared: SharedState
  private let floors = Mutex<[ObjectIdentifier: LogPosition]>([:])

  init(shared: SharedState) { self.shared = shared }

  /// Keeps the log from its present end on, until the run is at its end. REQUIRES: the compaction role; and that it is
  /// called before the run's first value has a place, which is then not before the floor.
  func hold(_ run: CompactionRun) {
    floors.withLock { floors in
      if floors[ObjectIdentifier(run)] != nil { return }
      floors[ObjectIdentifier(run)] = max(shared.reserved, 1)
      publish(floors)
    }
  }

  /// The outputs are in the tree, or never will be. REQUIRES: the compaction role.
  func release(_ run: CompactionRun) {
    floors.withLock { floors in
      if floors.removeValue(forKey: ObjectIdentifier(run)) != nil { publish(floors) }
    }
  }

  /// The role is this process's now: what its last holder kept is of no use any more.
  func begin() { floors.withLock { publish($0) } }

  private func publish(_ floors: [ObjectIdentifier: LogPosition]) {
    csup_store(shared.words.movedFloor, floors.values.min() ?? 0)
    csup_fence()
  }
}
