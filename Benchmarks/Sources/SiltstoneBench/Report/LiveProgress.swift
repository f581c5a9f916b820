import Foundation
import Synchronization

/// How the run that is under way is doing: one line on standard error, refreshed in place; where that is no terminal,
/// nothing but one line for each run that has ended. May be called from any thread.
final class LiveProgress: Sendable {
  private struct State {
    var label = ""
    var total: UInt64 = 0
    var begin = 0.0
    var isRunning = false
    /// The last few readings, for the rate of the moment: seconds and operations.
    var readings: [(seconds: Double, done: UInt64)] = []
  }
  private let state = Mutex(State())
  private let isTerminal: Bool
  private let write: @Sendable (String) -> Void
  private let now: @Sendable () -> Double

  convenience init() {
    self.init(isTerminal: isatty(STDERR_FILENO) == 1, now: { Double(Clock.nanoseconds()) / 1e9 }) {
      FileHandle.standardError.write(Data($0.utf8))
    }
  }

  /// For tests: with a clock, in seconds, and an output of their own.
  init(isTerminal: Bool, now: @escaping @Sendable () -> Double, write: @escaping @Sendable (String) -> Void) {
    (self.isTerminal, self.now, self.write) = (isTerminal, now, write)
  }

  /// A run begins. `label` names engine, workload and round; `total` is how many operations it will do, 0 if nobody
  /// knows.
  func begin(label: String, total: UInt64) {
    let now = now()
    state.withLock { state in
      state = State(label: label, total: total, begin: now, isRunning: true, readings: [(now, 0)])
      draw(state, now)
    }
  }

  /// The run has done so many operations.
  func update(done: UInt64) {
    let now = now()
    state.withLock { state in
      guard state.isRunning else { return }
      state.readings.append((now, done))
      // The rate of the moment is that of the last two seconds.
      while state.readings.count > 2, now - state.readings[1].seconds >= 2 { state.readings.removeFirst() }
      draw(state, now)
    }
  }

  /// The run has ended: its line is replaced by the label and `summary`.
  func end(summary: String) {
    state.withLock { state in
      write((isTerminal ? "\r\u{1B}[K" : "") + state.label + "  " + summary + "\n")
      state = State()
    }
  }

  private func draw(_ state: State, _ now: Double) {
    guard isTerminal else { return }
    let width = LiveProgress.terminalColumns - 1
    let line = LiveProgress.line(
      label: state.label, done: state.readings.last?.done ?? 0, total: state.total, elapsed: now - state.begin,
      rate: LiveProgress.rate(state.readings), width: width)
    write("\r" + line + "\u{1B}[K")
  }

  private static func rate(_ readings: [(seconds: Double, done: UInt64)]) -> Double {
    guard let first = readings.first, let last = readings.last, last.seconds > first.seconds else { return 0 }
    return Double(last.done - min(first.done, last.done)) / (last.seconds - first.seconds)
  }

  /// The line: label, bar, percent, time, rate, time left; without what does not fit in `width`.
  static func line(
    label: String, done: UInt64, total: UInt64, elapsed: Double, rate: Double, width: Int
  ) -> String {
    var parts: [String] = []
    if total > 0 {
      let share = min(1, Double(done) / Double(total))
      parts = [bar(share, width: 24), "\(Int(share * 100)) %"]
    }
    parts.append(Format.clock(elapsed))
    if rate > 0 { parts.append("\(Format.count(rate)) op/s") }
    if total > 0, done > 0 {
      let left = done >= total ? "settling" : "\(Format.clock(elapsed * Double(total - done) / Double(done))) left"
      parts.append(left)
    }
    var line = label
    for part in parts where line.count + 2 + part.count <= width { line += "  " + part }
    return String(line.prefix(max(width, 0)))
  }

  static func bar(_ share: Double, width: Int) -> String {
    let filled = Int((max(0, min(1, share)) * Double(width)).rounded(.down))
    return "[" + String(repeating: "=", count: filled) + String(repeating: " ", count: width - filled) + "]"
  }

  /// 80 if the terminal does not say.
  private static var terminalColumns: Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }
}
