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
    var cursor = try database.makeCursor(range)
    do {
      if reverse { try cursor.seekToLast() } else { try cursor.seekToFirst() }
      while cursor.isValid, printed != limit {
        let isOwn = cursor.key.withUnsafeBytes { ReservedKeys.contain($0) }
        if !isOwn || showsInternal {
          try printPair(cursor, to: &output)
          printed += 1
        }
        if reverse { try cursor.previous() } else { try cursor.next() }
      }
    } catch let error as SiltstoneError {
      // What lies before the damage is whole, and ends with a whole pair.
      try output.flush()
      throw error
    }
    try output.flush()
  }

  /// A value that is not printed is not asked for: it might have to be read from the disk.
  private func printPair(_ cursor: borrowing Cursor, to output: inout OutputBuffer) throws {
    if keysOnly {
      try append(cursor.key, to: &output)
    } else {
      let value = try cursor.value
      try append(cursor.key, to: &output)
      try output.append(UInt8(ascii: "\t"))
      try append(value, to: &output)
    }
    try output.append(UInt8(ascii: "\n"))
  }

  private func append(_ bytes: RawSpan, to output: inout OutputBuffer) throws(ToolError) {
    try bytes.withUnsafeBytes { (bytes) throws(ToolError) in try output.append(bytes, hex: encoding.hex) }
  }
}
