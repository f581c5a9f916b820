import ArgumentParser
import Siltstone

/// `siltstone dump FILE`
struct Dump: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print any file of a database in readable form.",
    discussion: "The file is only read, so this works on a copy and on a database that is open.")

  @Argument(help: "A table, a log segment, a manifest, or the shared state.") var file: String
  @Flag(help: "Print each entry, too.") var entries = false

  func run() throws {
    let file = try RawArguments.text(file)
    var output = OutputBuffer()
    var failure: ToolError?
    do {
      try FileDump.dump(path: file, entries: entries) { line in
        guard failure == nil else { return }
        do throws(ToolError) {
          try output.append(line)
          try output.append(UInt8(ascii: "\n"))
        } catch {
          failure = error
        }
      }
    } catch {
      // What could be read before the damage is worth seeing.
      try output.flush()
      throw ToolError.engine(error, about: file)
    }
    if let failure { throw failure }
    try output.flush()
  }
}
