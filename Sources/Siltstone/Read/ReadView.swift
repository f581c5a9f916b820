internal import Synchronization

/// Everything a read must look at, newest first, as of one moment: the memtable that fills, those that wait for
/// their flush, and a version of the tree. Immutable; pinned by reference. What a view refers to stays readable for
/// as long as the view lives, whatever is flushed, compacted or deleted meanwhile.
final class ReadView: Sendable {
  let active: Memtable
  /// Newest first.
  let sealed: [Memtable]
  let version: Version

  init(active: Memtable, sealed: [Memtable], version: Version) {
    self.active = active
    self.sealed = sealed
    self.version = version
  }
}

/// The current view, and how a reader pairs it with a position.
final class CurrentView: Sendable {
  private struct State {
    var view: ReadView
    var generation: UInt64 = 0
  }
  private let state: Mutex<State>
  private let generation = Atomic<UInt64>(0)

  init(_ view: ReadView) { state = Mutex(State(view: view)) }

  func load() -> ReadView { state.withLock { $0.view } }

  /// Replaces the view. Readers that hold the old one keep it.
  func update(_ change: (ReadView) -> ReadView) {
    let old = state.withLock { state in
      let old = state.view
      state.view = change(old)
      state.generation &+= 1
      generation.store(state.generation, ordering: .sequentiallyConsistent)
      return old
    }
    // Let go of out here: memory to unmap and files to close may go with it, and readers wait for the lock.
    withExtendedLifetime(old) {}
  }

  /// A view together with a position that it can serve.
  ///
  /// Taken one after the other, the two could miss each other: a position from before a compaction that dropped what
  /// it sees, or a view from before a memtable that it needs. Each such change replaces the view, so if the view did
  /// not change while `position` was read, they fit.
  @inline(__always)
  func load(at position: () -> LogPosition) -> (view: ReadView, position: LogPosition) {
    while true {
      let (view, before) = state.withLock { ($0.view, $0.generation) }
      let now = position()
      if generation.load(ordering: .sequentiallyConsistent) == before { return (view, now) }
    }
  }
}
