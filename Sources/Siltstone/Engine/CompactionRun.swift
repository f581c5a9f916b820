internal import Synchronization

/// One plan under way: its tasks, which several workers may do at once, and what they have made so far.
final class CompactionRun: Sendable {
  let plan: CompactionPlan
  /// The version that the plan was picked from: pins its tables.
  let version: Version
  /// Until it is installed or undone, its tables count as being written.
  let outputs: OutputFloor.Hold
  let tasks: [CompactionTask]
  let beganNanoseconds: UInt64
  let progress = JobProgress()
  /// Ends the other tasks when one has failed.
  let cancellation = Cancellation()
  private struct State {
    var results: [JobResult?]
    var unfinished: Int
    var failure: SiltstoneError?
    var obstacle: SiltstoneError?
  }
  private let state: Mutex<State>

  init(
    _ plan: CompactionPlan, version: Version, outputs: OutputFloor.Hold, tasks: [CompactionTask],
    beganNanoseconds: UInt64
  ) {
    self.plan = plan
    self.version = version
    self.outputs = outputs
    self.tasks = tasks
    self.beganNanoseconds = beganNanoseconds
    state = Mutex(State(results: Array(repeating: nil, count: tasks.count), unfinished: tasks.count))
  }

  /// How much of the plan is done, from 0 to 1.
  var share: Double {
    let total = plan.mergeEntries
    return total == 0 ? 0 : min(1, Double(progress.entriesRead) / Double(total))
  }

  /// Notes how a task ended. Returns whether it was the last.
  func finish(_ index: Int, _ outcome: Result<JobResult, SiltstoneError>) -> Bool {
    state.withLock { state in
      switch outcome {
      case .success(let result): state.results[index] = result
      case .failure(let error):
        state.failure = state.failure ?? error
        cancellation.request()
      }
      state.unfinished -= 1
      return state.unfinished == 0
    }
  }

  /// Why the finished work cannot be installed yet; nil while nothing is in its way.
  var obstacle: SiltstoneError? {
    get { state.withLock { $0.obstacle } }
    set { state.withLock { $0.obstacle = newValue } }
  }

  /// What all tasks made together, or why one of them failed. REQUIRES: all have ended.
  func outcome() -> (result: JobResult, failure: SiltstoneError?) {
    state.withLock { state in
      var whole = JobResult()
      for case let result? in state.results { whole.add(result) }
      return (whole, state.failure)
    }
  }
}
