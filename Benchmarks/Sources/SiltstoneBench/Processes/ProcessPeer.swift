import ArgumentParser
import Foundation

/// One of the processes that `processes` sets on a database; it is told in lines what to do.
struct ProcessPeer: ParsableCommand {
  enum Role: String, ExpressibleByArgument { case loader, reader, putter, watcher, both, victim, survivor }

  static let configuration = CommandConfiguration(
    commandName: "process-peer", abstract: "One of several on a database: what `processes` starts.",
    shouldDisplay: false)

  @Argument(help: "What it is to do.") var role: Role
  @Argument(help: "The specification, as JSON.") var specification: String

  func run() throws {
    let specification = try RunSpecification(json: specification)
    let engine = try SiltstoneEngine(directory: specification.directory, specification: specification)
    switch role {
    case .loader:
      try Loading.load(engine, specification)
      try ReadingProcesses.serve(engine)
    case .reader: try ReadingProcesses.serve(engine)
    case .putter: try Visibility(specification).put(engine)
    case .watcher: try Visibility(specification).watch(engine)
    case .both: try Visibility(specification).both(engine)
    case .victim: try Victim.run(engine)
    case .survivor: try Survivor.run(engine)
    }
    try engine.close()
  }

  /// Starts one, and waits until it is ready.
  static func start(_ role: Role, _ specification: RunSpecification) throws -> ChildProcess {
    let child = try ChildProcess([configuration.commandName!, role.rawValue, try specification.json])
    _ = try child.expect("ready")
    return child
  }
}

extension ChildProcess {
  /// Tells it something, and waits for the answer.
  func ask(_ line: String, _ answer: String) throws -> String {
    try send(line)
    return try expect(answer)
  }

  /// It ends in good order when nothing more is said.
  func end() throws {
    guard wait() == .exit(EXIT_SUCCESS) else { throw BenchError("processes: a process failed") }
  }
}
