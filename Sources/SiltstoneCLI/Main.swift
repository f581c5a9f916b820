import ArgumentParser
import Glibc
import Siltstone

/// The command-line tool.
///
/// The argument parser is run by hand, because the tool keeps to three exit statuses of its own (see
/// `ExitStatus`) and to one line for each error.
@main
struct Tool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "siltstone",
    abstract: "An embedded, ordered key-value store: look into a database, load it, check it.",
    discussion: """
      Results go to standard output, everything else to standard error. \
      The exit status is 0 (done), 1 (no such key) or 2 (bad usage, bad data, or the system refused).

      A key or value that begins with a dash goes after a lone --, as in: siltstone get DIR -- -key
      """,
    version: "0.1.0",
    subcommands: [
      Put.self, Get.self, Delete.self, Scan.self, Load.self, Stats.self, Trace.self, Verify.self,
      Compact.self, Maintain.self, Top.self,
      Dump.self, Demo.self,
    ])

  static func main() {
    Glibc.exit(run(RawArguments.ofProcess()).rawValue)
  }

  /// Runs one command line, without the tool's own name, and says everything that is to be said about it.
  private static func run(_ arguments: [String]) -> ExitStatus {
    do {
      var command = try Tool.parseAsRoot(arguments)
      try command.run()
      return .done
    } catch ToolError.absentKey(let line) {
      complain(line)
      return .absentKey
    } catch let error as ToolError {
      complain(error.description)
    } catch let error as SiltstoneError {
      complain(error.description)
    } catch {
      return report(fromParser: error, of: arguments)
    }
    return .failed
  }

  /// Help and version are results; everything else that the parser throws is one line about bad usage.
  private static func report(fromParser error: any Error, of arguments: [String]) -> ExitStatus {
    if Tool.exitCode(for: error).isSuccess {
      print(Tool.fullMessage(for: error))
      return .done
    }
    let verb = arguments.first { first in configuration.subcommands.contains { $0._commandName == first } }
    complain("\(Tool.message(for: error)) (see: siltstone help\(verb.map { " " + $0 } ?? ""))")
    return .failed
  }
}

/// How the tool ends.
enum ExitStatus: Int32 {
  case done = 0
  case absentKey = 1
  /// Bad usage, corruption, I/O: one line on standard error says what and where.
  case failed = 2
}
