import ArgumentParser
import Siltstone

/// `siltstone trace DIR KEY`
struct Trace: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show where a lookup looks, structure by structure, and why it ends as it does.")

  @OptionGroup var database: DatabaseDirectory
  @Argument(help: "The key.") var key: String
  @OptionGroup var encoding: HexOption

  func run() throws {
    let key = try encoding.bytes(key)
    let trace = try database.reading { try $0.trace(key) }
    try printLine(trace.description)
    if trace.value == nil { throw database.absent(self.key) }
  }
}
