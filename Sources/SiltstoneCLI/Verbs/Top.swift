import ArgumentParser
import Glibc
import Siltstone

/// `siltstone top DIR`
struct Top: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Watch a database at work: its processes, their roles and rates, its levels and debt.",
    discussion: """
      On a terminal the picture is refreshed in place until interrupted; otherwise one picture follows the other. It \
      only looks on where other processes write, and waits for none of them.
      """)

  @OptionGroup var database: DatabaseDirectory
  @Option(help: "Seconds between two pictures.") var interval = 1.0
  @Option(help: "How many pictures; 0 is until interrupted.") var count = 0

  func validate() throws {
    guard interval >= 0.1, interval <= 3600 else { throw ValidationError("--interval is 0.1 to 3600 seconds.") }
    guard count >= 0 else { throw ValidationError("--count is 0 or more.") }
  }

  func run() throws {
    let stop = StopSignal()
    let opened = try database.openToLook()
    let isTerminal = isatty(STDOUT_FILENO) == 1
    var before = opened.metrics
    var beforeTime = monotonicNanoseconds()
    var shown = 0
    while count == 0 || shown < count {
      if stop.wait(seconds: interval) { break }
      let (now, metrics) = (monotonicNanoseconds(), opened.metrics)
      let lines = picture(metrics, before, seconds(from: beforeTime, to: now))
      // Home and clear: the picture stays where it is.
      try printLine((isTerminal ? "\u{1B}[H\u{1B}[2J" : shown > 0 ? "\n" : "") + lines.joined(separator: "\n"))
      (before, beforeTime) = (metrics, now)
      shown += 1
    }
    try database.close(opened)
  }

  private func picture(_ metrics: Metrics, _ before: Metrics, _ seconds: Double) -> [String] {
    let published = metrics.publishedPosition
    let rate = Double(published - min(published, before.publishedPosition)) / 1e6 / seconds
    let facts = [
      "log \(Format.fixed(rate, 1)) MB/s",
      "not durable \(Format.bytes(published - min(published, metrics.durablePosition)))",
      "not flushed \(Format.bytes(metrics.unflushedBytes))",
      "to compact \(Format.bytes(metrics.pendingCompactionBytes))",
      "memtables \(Format.bytes(UInt64(metrics.memtableBytes)))",
    ]
    let summary = "\(database.directory): " + facts.joined(separator: ", ")
    let processes = ProcessReport(processes: metrics.processes, before: before.processes, seconds: seconds)
    return [summary, ""] + processes.lines + [""] + MetricsReport(metrics).levelLines
  }
}
