import ArgumentParser
import Siltstone

/// `siltstone compact DIR`
struct Compact: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Merge everything, or a range of keys, down to one sorted run.",
    discussion: "Deleted and overwritten values in the range leave the disk. It returns when that is done.")

  @OptionGroup var database: DatabaseDirectory
  @Option(help: "Only keys from this one on.") var from: String?
  @Option(help: "Only keys before this one.") var to: String?
  @OptionGroup var encoding: HexOption

  func run() throws {
    let bounds = KeyBounds(prefix: nil, from: try from.map(encoding.bytes), to: try to.map(encoding.bytes))
    try database.withDatabase { database in
      if !bounds.isEmpty { try database.compact(bounds.range) }
    }
  }
}
