import ArgumentParser
import Siltstone

/// `siltstone stats DIR`
struct Stats: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the shape of the tree, its size, and what it costs.",
    discussion: "Counters of work (writes, stalls, latencies) begin when a process opens the database.")

  @OptionGroup var database: DatabaseDirectory
  @Flag(help: "Print one JSON object.") var json = false

  func run() throws {
    let opened = try database.openToLook()
    let metrics = opened.metrics
    try database.close(opened)
    let report = MetricsReport(metrics)
    if json {
      try printLine(report.json.description)
    } else {
      for line in report.lines { try printLine(line) }
    }
  }
}
