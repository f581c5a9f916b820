import ArgumentParser
import Siltstone

/// `siltstone scan DIR`
struct Scan: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print pairs in key order: key, tab, value, newline.",
    discussion: """
      Keys sort by their bytes, unsigned. Bytes are printed as they are; use --hex where they may hold a \
      tab or a newline. The tool's own keys (the progress of loads) are left out.
      """)

  @OptionGroup var database: DatabaseDirectory
  @Option(help: "Only keys that begin with this.") var prefix: String?
  @Option(help: "Only keys from this one on.") var from: String?
  @Option(help: "Only keys before this one.") var to: String?
  @Flag(help: "From the last key to the first.") var reverse = false
  @Option(help: "Stop after this many pairs.") var limit: UInt64?
  @Flag(help: "Print keys without values.") var keysOnly = false
  @Flag(name: .customLong("internal"), help: "Print the tool's own keys too.") var showsInternal = false
  @OptionGroup var encoding: HexOption

  func run() throws {
    let bounds = KeyBounds(
      prefix: try prefix.map(encoding.bytes), from: try from.map(encoding.bytes),
      to: try to.map(encoding.bytes))
    try database.reading { database in
      if bounds.isEmpty || limit == 0 { return }
      try printPairs(of: database, in: bounds.range)
    }
  }

  private func printPairs(of database: Database, in range: KeyRange) throws {
    var output = OutputBuffer()
    var printed: UInt64 = 0
    // A failing output ends the scan; the engine's own errors pass through it.
    var failure: ToolError?
    do {
      try database.scan(range, reverse: reverse) { (key, value) throws(SiltstoneError) in
        let isOwn = key.withUnsafeBytes { ReservedKeys.contain($0) }
        if isOwn && !showsInternal { return true }
        do throws(ToolError) {
          try printPair(key, value, to: &output)
        } catch {
          failure = error
          return false
        }
        printed += 1
        return printed != limit
      }
    } catch {
      // What lies before the damage is whole, and ends with a whole pair.
      try output.flush()
      throw error
    }
    if let failure { throw failure }
    try output.flush()
  }

  private func printPair(_ key: RawSpan, _ value: RawSpan, to output: inout OutputBuffer) throws(ToolError) {
    try key.withUnsafeBytes { (bytes) throws(ToolError) in try output.append(bytes, hex: encoding.hex) }
    if !keysOnly {
      try output.append(UInt8(ascii: "\t"))
      try value.withUnsafeBytes { (bytes) throws(ToolError) in try output.append(bytes, hex: encoding.hex) }
    }
    try output.append(UInt8(ascii: "\n"))
  }
}
