import ArgumentParser
import Foundation

/// One run in a process of its own, started by the comparison: takes a specification as JSON, prints `progress N` lines
/// and then `result JSON` on standard output.
struct RunOne: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run-one", abstract: "One run, in this process: what the comparison starts.", shouldDisplay: false)

  @Argument(help: "The specification, as JSON.") var specification: String

  func run() throws {
    let specification = try JSONDecoder().decode(RunSpecification.self, from: Data(specification.utf8))
    let result = try EngineCatalogue.run(specification) { RunOne.print("progress \($0)") }
    RunOne.print("result " + String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
  }

  /// A line, at once: the reader of a pipe waits for it.
  private static func print(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
  }
}
