import ArgumentParser
import Foundation

/// The table and the page once more, from what a comparison has saved.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report", abstract: "Print the table of a saved comparison, and write its page.")

  @Argument(help: "A file that --json has written.") var file: String
  @Option(help: "Write the page to this file.") var html: String?

  func run() throws {
    let report = try ComparisonReport(contentsOf: file)
    for line in TerminalReport(report, style: .forStandardOutput).lines { print(line) }
    if let html { try report.writeHTML(to: html) }
  }
}
