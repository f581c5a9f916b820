import ArgumentParser
import Foundation

/// The other side: a run in a process of its own, watched from here.
enum ChildRun {
  /// What a run may come to.
  enum Outcome {
    case result(RunResult)
    /// The engine cannot do this workload, or has failed at it, and says why.
    case omission(String, isFailure: Bool)
  }

  static func run(
    _ specification: RunSpecification, executable: String? = nil, progress: (UInt64) -> Void = { _ in }
  ) throws -> Outcome {
    let child = try ChildProcess(["run-one", try specification.json], executable: executable)
    var outcome: Outcome?
    while let line = child.receive() {
      let parts = line.split(separator: " ", maxSplits: 1)
      guard parts.count == 2 else { continue }
      switch parts[0] {
      case "progress": progress(UInt64(parts[1]) ?? 0)
      case "omitted": outcome = .omission(String(parts[1]), isFailure: false)
      case "result": outcome = .result(try JSONDecoder().decode(RunResult.self, from: Data(parts[1].utf8)))
      default: break
      }
    }
    // What went wrong stands on standard error, where the child has said it.
    let ending = child.wait()
    guard ending == .exit(EXIT_SUCCESS), let outcome else {
      return .omission("failed: \(ending)", isFailure: true)
    }
    return outcome
  }
}

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
