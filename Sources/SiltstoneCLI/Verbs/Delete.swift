import ArgumentParser
import Siltstone

/// `siltstone delete DIR KEY`
struct Delete: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Delete a key. The exit status is 1 if it was not there.",
    discussion: "It returns when the deletion is on stable media, or with --durability staged sooner.")

  @OptionGroup var database: DatabaseDirectory
  @Argument(help: "The key.") var key: String
  @Option(help: "staged survives the death of every process, synced also that of the machine.")
  var durability: DurabilityArgument = .synced
  @OptionGroup var encoding: HexOption

  func run() throws {
    let key = try encoding.bytes(key)
    try database.withDatabase { database in
      guard try database.get(key) != nil else { throw self.database.absent(self.key) }
      try database.delete(key, durability: durability.durability)
    }
  }
}
