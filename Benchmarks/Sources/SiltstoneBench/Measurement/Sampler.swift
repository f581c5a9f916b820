import Foundation
import Synchronization

/// Looks once a second at how much has been done and used: throughput over time.
final class Sampler: Sendable {
  private struct State {
    var points: [RunResult.TimelinePoint] = []
    var last: ProcessUsage
    var lastOperations: UInt64 = 0
    var isOver = false
  }
  private let state: Mutex<State>
  private let begin: UInt64
  private let counters: [OperationCounter]
  private let report: @Sendable (UInt64) -> Void
  private let ended = DispatchSemaphore(value: 0)

  /// `report` is told the number of operations so far, about four times a second.
  init(_ counters: [OperationCounter], from begin: ProcessUsage, report: @escaping @Sendable (UInt64) -> Void) {
    self.counters = counters
    self.begin = begin.nanoseconds
    self.report = report
    state = Mutex(State(last: begin))
    Thread { self.run() }.start()
  }

  private func run() {
    var due = begin
    while !state.withLock({ $0.isOver }) {
      due += 250_000_000
      Clock.sleep(until: due)
      report(operations)
      if (due - begin) % 1_000_000_000 == 0 { sample() }
    }
    ended.signal()
  }

  private var operations: UInt64 { counters.reduce(0) { $0 + $1.count } }

  private func sample() {
    let (usage, operations) = (ProcessUsage.current(), operations)
    state.withLock { state in
      state.points.append(
        RunResult.TimelinePoint(
          second: Clock.seconds(from: begin, to: usage.nanoseconds), operations: operations - state.lastOperations,
          processorNanoseconds: usage.processorNanoseconds - state.last.processorNanoseconds,
          bytesWritten: usage.bytesWritten(since: state.last),
          residentBytes: usage.residentBytes))
      state.last = usage
      state.lastOperations = operations
    }
  }

  /// Ends it, and returns the points; the last one is what remained.
  func finish() -> [RunResult.TimelinePoint] {
    state.withLock { $0.isOver = true }
    ended.wait()
    sample()
    return state.withLock { $0.points }
  }
}
