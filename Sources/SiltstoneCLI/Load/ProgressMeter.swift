import Glibc
import Siltstone

/// One line on a terminal that shows how a load goes: records, speed, the runs at each level, stalls.
struct ProgressMeter {
  /// Five times a second: as often as numbers can be read.
  private static let intervalNanoseconds: UInt64 = 200_000_000

  private let isOn: Bool
  private let totalBytes: UInt64?
  private let startNanoseconds = monotonicNanoseconds()
  private var drawnNanoseconds: UInt64 = 0
  private var isShown = false

  /// `totalBytes`: the size of the stream, if it is known.
  init(totalBytes: UInt64?) {
    isOn = isatty(STDERR_FILENO) == 1
    self.totalBytes = totalBytes
  }

  mutating func update(records: UInt64, bytes: UInt64, position: UInt64, database: Database) {
    guard isOn else { return }
    let now = monotonicNanoseconds()
    guard now - drawnNanoseconds >= ProgressMeter.intervalNanoseconds else { return }
    drawnNanoseconds = now
    isShown = true
    let metrics = database.metrics
    let runs = metrics.levels.map { String($0.runs) }.joined(separator: "/")
    let rate = Double(bytes) / seconds(from: startNanoseconds, to: now) / 1e6
    let parts = [
      bar(position), "\(Format.grouped(records)) records", "\(Format.fixed(rate, 1)) MB/s",
      "runs \(runs.isEmpty ? "-" : runs)", "stalled \(Format.nanoseconds(metrics.stallNanoseconds))",
    ]
    printToStandardError("\r" + parts.joined(separator: "  ") + "\u{1B}[K")
  }

  /// Leaves the terminal as it was.
  mutating func clear() {
    if isShown { printToStandardError("\r\u{1B}[K") }
    isShown = false
  }

  private func bar(_ position: UInt64) -> String {
    guard let totalBytes, totalBytes > 0 else { return "loading" }
    let share = min(1, Double(position) / Double(totalBytes))
    let width = 20
    let full = Int(share * Double(width))
    let cells = String(repeating: "#", count: full) + String(repeating: ".", count: width - full)
    return "[\(cells)] \(Format.padded(Format.fixed(share * 100, 0), 3)) %"
  }
}
