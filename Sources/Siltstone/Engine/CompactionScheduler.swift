internal import CSupport
internal import Synchronization

/// Compaction, while this process holds the role for it: finds what is to be done, shares it out to its workers, and
/// installs what they made. One lock, held only to decide.
final class CompactionScheduler: Sendable {
  let workerCount: Int
  private let tree: TreeKeeper
  private let view: CurrentView
  private let role: Role
  private let picker: CompactionPicker
  private let pacing: Pacing
  private let report: @Sendable (SiltstoneError) -> Void
  private let monitor = Monitor()

  private struct State {
    var inFlight = CompactionsInFlight()
    var runs: [ObjectIdentifier: CompactionRun] = [:]
    /// Tasks that no worker has taken yet.
    var waiting: [(run: CompactionRun, index: Int)] = []
    var isStopping = false
    /// Compactions by hand that wait for tables: nothing else is begun meanwhile, or they might wait for ever.
    var waitingByHand = 0
    /// Those, and compactions by hand that are under way: for them the role is kept.
    var byHand = 0
    /// Another process asks for the role: nothing is begun but by hand.
    var makesWay = false
    /// Since when nothing was urgent; 0 while something is.
    var quietSince: UInt64 = 0
    /// Why the last run failed; cleared by the next that succeeds.
    var failure: SiltstoneError?
    var retryAt: UInt64 = 0
  }
  private let state = Mutex(State())

  /// Less than this is not worth a second worker.
  private static let minTaskBytes: UInt64 = 32 << 20
  /// Nothing urgent for this long, and tombstones get their turn.
  private static let quietNanoseconds: UInt64 = 1_000_000_000
  /// After a failure, a full disk say, the background pauses this long.
  private static let retryNanoseconds: UInt64 = 500_000_000

  init(
    tree: TreeKeeper, view: CurrentView, role: Role, workerCount: Int, pacing: Pacing,
    report: @escaping @Sendable (SiltstoneError) -> Void
  ) {
    self.tree = tree
    self.view = view
    self.role = role
    self.workerCount = workerCount
    self.pacing = pacing
    self.report = report
    picker = CompactionPicker(shape: tree.shape)
  }

  // MARK: - For others

  func pendingBytes(_ version: Version) -> UInt64 { picker.debtBytes(version.layout) }

  /// The plans under way, and how much of each is done, from 0 to 1.
  var running: [(plan: CompactionPlan, done: Double)] {
    state.withLock { state in state.runs.values.map { ($0.plan, $0.share) } }
  }

  /// The tree has changed: there may be something to do.
  func wake() { monitor.withLock { monitor.broadcast() } }

  func stop() {
    monitor.withLock {
      state.withLock { state in
        state.isStopping = true
        for run in state.runs.values { run.cancellation.request() }
      }
      monitor.broadcast()
    }
  }

  /// Merges everything in the range into the last level, and returns when that is done. If it throws, what was begun
  /// may yet be finished in the background.
  func compact(lower: [UInt8]?, upper: [UInt8]?) throws(SiltstoneError) {
    var mine: CompactionRun?
    state.withLock { state in
      state.waitingByHand += 1
      state.byHand += 1
    }
    defer {
      state.withLock { state in
        if mine == nil { state.waitingByHand -= 1 }
        state.byHand -= 1
      }
    }
    try awaitRole()
    while true {
      let done = try monitor.withLock { () throws(SiltstoneError) -> Bool in
        if let run = mine {
          if run.obstacle?.code == .unfitEdit {
            state.withLock { $0.waitingByHand += 1 }
            mine = nil
            return false
          }
          if let failure = run.obstacle { throw failure }
          if !isRunning(run) {
            if let failure = run.outcome().failure { throw failure }
            return true
          }
        }
        // Tasks that no worker has taken by then never will be.
        if state.withLock({ $0.isStopping }) { throw SiltstoneError(.closed, "the database is being closed") }
        if mine != nil {
          monitor.wait()
          return false
        }
        let version = view.peek().version
        let pick = state.withLock { picker.pickManual(version.layout, lower: lower, upper: upper, $0.inFlight) }
        switch tree.isCurrent(version) ? pick : .busy {
        case .nothingToDo: return true
        case .busy: monitor.wait(nanoseconds: 50_000_000)
        case .plan(let plan):
          state.withLock { $0.waitingByHand -= 1 }
          mine = begin(plan, version)
        }
        return false
      }
      if done { return }
    }
  }

  /// Returns when this process holds the role, for which another makes way if it must.
  private func awaitRole() throws(SiltstoneError) {
    if try takeRole() { return }
    role.want(true)
    defer { role.want(false) }
    while try !takeRole() {
      if state.withLock({ $0.isStopping }) { throw SiltstoneError(.closed, "the database is being closed") }
      monitor.withLock { monitor.wait(nanoseconds: 10_000_000) }
    }
  }

  /// Takes the role if nobody has it. The work of whoever had it before is in this process's view then, or undone: the
  /// role is of no use, and not kept, without a view from which to pick.
  private func takeRole() throws(SiltstoneError) -> Bool {
    try role.take { () throws(SiltstoneError) in
      tree.moved.begin()
      do throws(SiltstoneError) { try tree.scavenge() } catch { report(error) }
      try tree.follow()
    }
  }

  /// Takes the role if it is free and this process is to have it; lets go of it if another asks for it, or nobody here
  /// needs it any more, and nothing is under way.
  private func tendRole() {
    let isBusy = state.withLock { !$0.runs.isEmpty || $0.byHand > 0 }
    let isWanted = role.isWantedByOthers
    state.withLock { $0.makesWay = isWanted }
    if role.isHeld {
      if !isBusy, isWanted || !role.isOffered { leaveRole() }
    } else if role.isOffered, !isWanted, !state.withLock({ $0.isStopping }) {
      do throws(SiltstoneError) { _ = try takeRole() } catch { report(error) }
    }
  }

  private func leaveRole() {
    // Under the monitor, where plans are begun: none is now.
    monitor.withLock { if state.withLock({ $0.runs.isEmpty && $0.byHand == 0 }) { role.leave() } }
  }

  private func isRunning(_ run: CompactionRun) -> Bool {
    state.withLock { $0.runs[ObjectIdentifier(run)] != nil }
  }

  /// Returns when no level is over its limits and nothing runs, or throws why it cannot get there.
  func waitUntilIdle() throws(SiltstoneError) {
    while true {
      let done = try monitor.withLock { () throws(SiltstoneError) -> Bool in
        let (isRunning, failure, isStopping) = state.withLock { (!$0.runs.isEmpty, $0.failure, $0.isStopping) }
        if let obstacle = state.withLock({ $0.runs.values.lazy.compactMap(\.obstacle).first }) { throw obstacle }
        let version = view.peek().version
        if !isRunning, picker.isSettled(version.layout), !tree.valueSegments(version).isGarbageHeavy { return true }
        if isStopping { throw SiltstoneError(.closed, "the database is being closed") }
        if let failure, !isRunning { throw failure }
        monitor.wait(nanoseconds: 50_000_000)
        return false
      }
      if done { return }
    }
  }

  // MARK: - The workers

  /// A worker's body: returns after `stop`. The worker that is `reserved` leaves the long merges of deep levels alone
  /// while level 0 fills, so that flushes never pile up behind one.
  func run(reserved: Bool) {
    while true {
      tree.reap()  // what the last run pinned
      tendRole()
      let work = monitor.withLock { () -> (run: CompactionRun, index: Int)? in
        if let work = take(reserved) { return work }
        if !state.withLock({ $0.isStopping }) { monitor.wait(nanoseconds: CompactionScheduler.quietNanoseconds) }
        return nil
      }
      if let work {
        if work.run.tasks.isEmpty { install(work.run) } else { perform(work.run, work.index) }
      } else if state.withLock({ $0.isStopping }) {
        return
      }
    }
  }

  /// The next task: one that waits, or the first of a new plan. REQUIRES: the monitor.
  private func take(_ reserved: Bool) -> (run: CompactionRun, index: Int)? {
    let now = tree.storage.monotonicNanoseconds()
    if !role.isHeld || state.withLock({ $0.isStopping }) { return nil }
    let version = view.peek().version
    let level0 = version.layout.level(0).runs.count
    let avoidsDeep = reserved && level0 * 2 > tree.shape.maxRuns(0, lastLevel: version.layout.lastLevel)
    let waiting = state.withLock { state in
      let index = state.waiting.firstIndex { !avoidsDeep || $0.run.plan.sourceLevel == 0 }
      return index.map { state.waiting.remove(at: $0) }
    }
    if let waiting { return waiting }
    guard tree.isCurrent(version), let plan = pick(version, onlyLevelZero: avoidsDeep, now) else { return nil }
    _ = begin(plan, version)
    return state.withLock { $0.waiting.removeFirst() }
  }

  private func pick(_ version: Version, onlyLevelZero: Bool, _ now: UInt64) -> CompactionPlan? {
    state.withLock { state in
      if state.waitingByHand > 0 || state.makesWay || now < state.retryAt { return nil }
      if let plan = picker.pick(version.layout, state.inFlight, onlyLevelZero: onlyLevelZero) {
        state.quietSince = 0
        return plan
      }
      let segments = tree.valueSegments(version)
      if segments.isGarbageHeavy, !onlyLevelZero,
        let plan = picker.pickForValues(version.layout, state.inFlight, sparse: segments.sparse)
      {
        return plan
      }
      if state.quietSince == 0 { state.quietSince = now }
      guard !onlyLevelZero, state.inFlight.isEmpty,
        now - state.quietSince >= CompactionScheduler.quietNanoseconds
      else { return nil }
      return picker.pickWhenIdle(version.layout, state.inFlight, oldestSnapshot: tree.snapshots.oldest)
    }
  }

  /// Claims the plan's tables and puts its tasks up for the workers. REQUIRES: the monitor.
  private func begin(_ plan: CompactionPlan, _ version: Version) -> CompactionRun {
    let run = CompactionRun(
      plan, version: version, outputs: tree.outputs.begin(),
      tasks: plan.tasks(workers: workerCount, minTaskBytes: CompactionScheduler.minTaskBytes),
      beganNanoseconds: tree.storage.monotonicNanoseconds())
    state.withLock { state in
      state.inFlight.insert(plan)
      state.runs[ObjectIdentifier(run)] = run
      // At the front: what was begun is finished before the next is begun.
      // Where nothing is to be merged, the one thing to do is to install the moves.
      let tasks = run.tasks.isEmpty ? 0..<1 : run.tasks.indices
      state.waiting.insert(contentsOf: tasks.map { (run, $0) }, at: 0)
    }
    monitor.broadcast()
    return run
  }

  private func perform(_ run: CompactionRun, _ index: Int) {
    let begin = tree.storage.monotonicNanoseconds()
    let (source, target) = (UInt64(run.plan.sourceLevel), UInt64(run.plan.targetLevel))
    csup_probe_compaction_begin(source, target, run.tasks[index].inputBytes)
    let outcome: Result<JobResult, SiltstoneError>
    do throws(SiltstoneError) {
      var context = try tree.jobContext(run.cancellation, run.progress)
      context.moves = tree.valueMoves(run)
      var job = CompactionJob(run.tasks[index], version: run.version, context: context)
      let result = try job.run()
      let duration = tree.storage.monotonicNanoseconds() - begin
      if result.valueBytesMoved > 0 {
        pacing.moved(result.valueBytesMoved, nanoseconds: duration)
      } else {
        pacing.merged(result.bytesRead, nanoseconds: duration, workers: workerCount)
      }
      outcome = .success(result)
    } catch {
      outcome = .failure(error)
    }
    csup_probe_compaction_end(source, target, (try? outcome.get())?.bytesWritten ?? 0)
    if run.finish(index, outcome) { install(run) }
  }

  // MARK: - Installing

  /// Makes the run's outcome the tree's, or undoes it.
  private func install(_ run: CompactionRun) {
    var (result, failure) = run.outcome()
    if failure == nil {
      do throws(SiltstoneError) { try commit(run, result) } catch { failure = error }
    } else {
      tree.discard(result.outputs)
    }
    tree.moved.release(run)
    if let failure, failure.code != .closed { report(failure) }
    if failure == nil { announce(run, result) }
    // What was picked from a version that was behind is picked again from one that is not.
    let isUnfit = failure?.code == .unfitEdit
    if isUnfit {
      do throws(SiltstoneError) { try tree.follow() } catch { report(error) }
    }
    monitor.withLock {
      state.withLock { state in
        if isUnfit { run.obstacle = failure }  // who waits for it picks again
        state.inFlight.remove(run.plan)
        state.runs[ObjectIdentifier(run)] = nil
        state.waiting.removeAll { $0.run === run }
        state.failure = isUnfit ? nil : failure
        if failure != nil {
          state.retryAt = tree.storage.monotonicNanoseconds() + CompactionScheduler.retryNanoseconds
        }
      }
      monitor.broadcast()
    }
    pacing.update()
  }

  /// An edit whose commit failed may be on disk or not, and so may neither be dropped nor its files: it is tried again
  /// until it succeeds, or the database is closed and the next recovery finds out. One that does not fit the tree never
  /// was, and never will be.
  private func commit(_ run: CompactionRun, _ result: JobResult) throws(SiltstoneError) {
    do throws(SiltstoneError) { try tree.settleValues(upTo: result.valuesEnd) } catch {
      tree.discard(result.outputs)
      throw error
    }
    let opened = try tree.open(result.outputs)
    let edit = run.plan.edit(outputs: result.outputs, newRun: tree.takeRunID())
    while true {
      do throws(SiltstoneError) {
        try tree.commit(edit, opened: opened)
        return run.obstacle = nil
      } catch {
        if error.code == .unfitEdit {
          tree.discard(result.outputs)
          throw error
        }
        report(error)
        run.obstacle = error
        monitor.withLock {
          monitor.broadcast()  // who waits for the run is told, rather than kept
          if !state.withLock({ $0.isStopping }) { monitor.wait(nanoseconds: CompactionScheduler.retryNanoseconds) }
        }
        if state.withLock({ $0.isStopping }) { throw error }
      }
    }
  }

  private func announce(_ run: CompactionRun, _ result: JobResult) {
    tree.note { work in
      if !run.tasks.isEmpty { work.compactions += 1 }
      work.trivialMoves += UInt64(run.plan.moves.count)
      work.compactionBytesRead += result.bytesRead
      work.compactionBytesWritten += result.bytesWritten
      work.valueBytesMoved += result.valueBytesMoved
    }
    tree.options.eventHandler?(
      Event(
        .compaction,
        "\(run.plan.reason.rawValue): level \(run.plan.sourceLevel) to \(run.plan.targetLevel), "
          + "\(run.plan.moves.count) tables moved, \(result.entriesRead) entries read, "
          + "\(result.entriesWritten) written",
        durationNanoseconds: tree.storage.monotonicNanoseconds() - run.beganNanoseconds,
        bytesWritten: result.bytesWritten))
  }
}
