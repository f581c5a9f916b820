import ArgumentParser
import Foundation

/// One run in a process of its own, started by the comparison: takes a specification as JSON, prints `progress N` lines
/// and then `result JSON` on standard output, or `omitted REASON` if the engine cannot do what the workload is about.
struct RunOne: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run-one", abstract: "One run, in this process: what the comparison starts.", shouldDisplay: false)

  @Argument(help: "The specification, as JSON.") var specification: String

  func run() throws {
    let specification = try RunSpecification(json: specification)
    do {
      let result = try EngineCatalogue.run(specification) { ParentProcess.send("progress \($0)") }
      ParentProcess.send("result " + String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
    } catch let reason as NotApplicable {
      ParentProcess.send("omitted \(reason)")
    }
  }
}
