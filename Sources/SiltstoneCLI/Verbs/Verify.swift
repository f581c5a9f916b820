import ArgumentParser
import Siltstone

/// `siltstone verify DIR`
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check every checksum and every invariant of every file.",
    discussion:
      "Prints what was checked. Each problem is one line on standard error, and the exit status is then 2.")

  @OptionGroup var database: DatabaseDirectory
  @Flag(help: "Name each file on standard error as its turn comes.") var verbose = false

  func run() throws {
    let report = try database.reading { database in
      try database.verify { if verbose { printToStandardError($0 + "\n") } }
    }
    try printLine(VerifySummary.line(report))
    guard let last = report.problems.last else { return }
    for problem in report.problems.dropLast() { complain("\(database.directory): \(problem)") }
    throw ToolError.failed("\(database.directory): \(last)")
  }
}

/// What was checked, in a line.
enum VerifySummary {
  static func line(_ report: VerifyReport) -> String {
    let problems = report.problems.isEmpty ? "no problem" : Format.counted(UInt64(report.problems.count), "problem")
    let entries = report.entries == 1 ? "1 entry" : "\(Format.grouped(report.entries)) entries"
    return "\(Format.counted(UInt64(report.tables), "table")), \(entries), "
      + "\(Format.counted(UInt64(report.logRecords), "log record")): \(problems)"
  }
}
