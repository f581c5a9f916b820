internal import CSupport
internal import Synchronization

/// Everything a read must look at, newest first, as of one moment: the memtable that fills, those that wait for
/// their flush, and a version of the tree. Immutable; pinned by reference. What a view refers to stays readable for
/// as long as the view lives, whatever is flushed, compacted or deleted meanwhile, and by whatever process.
final class ReadView: Sendable {
  let active: Memtable
  /// Newest first.
  let sealed: [Memtable]
  let version: Version
  /// What keeps the memtables, as the version's own pin keeps its tables.
  fileprivate let pins: [GenerationPin]

  init(active: Memtable, sealed: [Memtable], version: Version, pins: [GenerationPin] = []) {
    self.active = active
    self.sealed = sealed
    self.version = version
    self.pins = pins
  }

  fileprivate var memtables: [Memtable] { [active] + sealed }
}

/// This process's view of what all processes share, and how a reader pairs it with a position.
///
/// A read compares one word of SHARED, the number of the memtable that fills. Only when that moved is the view behind
/// what was acknowledged: then the reader takes the new memtables into it. That the tree changed is no reason to hurry:
/// the older view holds the same entries, pinned. So the tree is followed in the background, and a reader never waits
/// for tables to be opened, unless a whole memtable was filled and flushed before it looked.
final class CurrentView: Sendable {
  private let shared: SharedState
  private let arenas: ArenaTable
  private let pins: GenerationPins
  private struct State {
    var view: ReadView
    var hasEnded = false
  }
  private let state: Mutex<State>
  /// Held while a new view is put together.
  private let following = Mutex(())
  private let treeFollower = Mutex<(@Sendable () throws(SiltstoneError) -> Void)?>(nil)

  init(_ view: ReadView, shared: SharedState, arenas: ArenaTable, pins: GenerationPins) {
    state = Mutex(State(view: view))
    self.shared = shared
    self.arenas = arenas
    self.pins = pins
  }

  /// How the view gets the newest version of the tree. Set once.
  func followTree(with body: @escaping @Sendable () throws(SiltstoneError) -> Void) {
    treeFollower.withLock { $0 = body }
  }

  /// The view as it is, which may be behind.
  func peek() -> ReadView { state.withLock { $0.view } }

  /// The same, to read from: after `end` it keeps nothing any more.
  @inline(__always)
  private func pinned() throws(SiltstoneError) -> ReadView {
    try state.withLock { (state) throws(SiltstoneError) in
      if state.hasEnded { throw SiltstoneError(.closed, "the database was closed") }
      return state.view
    }
  }

  /// Lets go of what is pinned, but for what reads and cursors have of it.
  func end() {
    let old = state.withLock { state in
      let old = state.view
      state.view = ReadView(active: old.active, sealed: old.sealed, version: old.version.unpinned())
      state.hasEnded = true
      return old
    }
    withExtendedLifetime(old) {}  // as in `replace`
  }

  /// A view that has all that was acknowledged before the call.
  func load() throws(SiltstoneError) -> ReadView { try load { 0 }.view }

  /// A view together with a position that it can serve.
  ///
  /// Taken one after the other, the two could miss each other: a position from before a compaction that dropped what
  /// it sees, or a view from before a memtable that it needs. So the position is read after the view, and the view
  /// must still have the memtable that fills when that is done.
  @inline(__always)
  func load(at position: () -> LogPosition) throws(SiltstoneError) -> (view: ReadView, position: LogPosition) {
    var patience = CurrentView.maxAttempts
    while true {
      let view = try pinned()
      let now = position()
      if view.active.serial == shared.activeSerial || isWaiting { return (view, now) }
      try follow(from: view, &patience)
    }
  }

  /// An attempt that fails has met a memtable that was made that very moment. So many in a row, with a pause between,
  /// it is not that.
  static let maxAttempts = 200
  static var isIncomplete: SiltstoneError {
    SharedState.writtenOver("the arena table does not have the memtables that it should")
  }

  /// Follows, or throws when there has been nothing to follow to for too long. What is missing is in tables that the
  /// manifest does not show: whoever was about to show them was stopped, or died, and nobody is there to end it.
  @inline(never)
  private func follow(from old: ReadView, _ patience: inout Int) throws(SiltstoneError) {
    try follow()
    guard peek() === old else { return }
    patience -= 1
    if patience == 0 {
      throw SiltstoneError(
        .readOnly, "the process that was changing the tree does not go on, and what it has done cannot be read yet")
    }
    csup_sleep(1_000_000)
  }

  /// A process that only reads has outlived those who wrote, and one that comes after them is not done with recovering:
  /// until then there is nothing newer than this view.
  private var isWaiting: Bool { !shared.isWritable && shared.isRecovering }

  /// Takes the memtables into the view that it has not got.
  @inline(never)
  func follow() throws(SiltstoneError) {
    let isDone = try following.withLock { (_) throws(SiltstoneError) -> Bool in
      while true {
        let old = peek()
        let pin = try pins.pinCurrent { shared.generation }
        let flushed = shared.flushedSerial
        let active = shared.active
        if old.active.serial == active.serial || isWaiting { return true }
        // What is in tables already may be gone.
        if flushed > old.active.serial { return false }
        let newer = try arenas.memtables(after: old.active.serial, through: active)
        if shared.generation != pin.generation || isWaiting { continue }
        guard let newer, let newest = newer.first else { return false }
        // What went into tables since the old view was taken is kept by its pins alone.
        let kept = old.memtables.contains { $0.serial <= flushed } ? old.pins + [pin] : [pin]
        replace(
          ReadView(
            active: newest, sealed: Array(newer.dropFirst()) + old.memtables, version: old.version, pins: kept))
        return true
      }
    }
    if !isDone, let body = treeFollower.withLock({ $0 }) { try body() }
  }

  /// Puts a new version into the view, and takes out the memtables up to number `flushed`, which are in it.
  ///
  /// - Returns: false if the generation that `pin` holds is past, and the caller has to look again.
  func install(_ version: Version, flushed: UInt64, pin: GenerationPin) throws(SiltstoneError) -> Bool {
    try following.withLock { (_) throws(SiltstoneError) -> Bool in
      let old = peek()
      let active = shared.active
      let behind = max(flushed, old.active.serial)
      let newer = behind < active.serial ? try arenas.memtables(after: behind, through: active) : []
      guard let newer, shared.generation == pin.generation, !isWaiting else { return false }
      let memtables = newer + old.memtables.filter { $0.serial > flushed }
      guard let newest = memtables.first else { return false }
      replace(ReadView(active: newest, sealed: Array(memtables.dropFirst()), version: version, pins: [pin]))
      return true
    }
  }

  private func replace(_ view: ReadView) {
    let old = state.withLock { state in
      if state.hasEnded { return view }
      let old = state.view
      state.view = view
      return old
    }
    // Let go of out here: memory to unmap and files to close may go with it, and readers wait for the lock.
    withExtendedLifetime(old) {}
  }
}
