import ArgumentParser
import Glibc
import Siltstone

/// `siltstone put DIR KEY VALUE`
struct Put: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Store one value under a key, creating the database if there is none.",
    discussion: "It returns when the pair is on stable media, or with --durability staged sooner.")

  @OptionGroup var database: DatabaseDirectory
  @Argument(help: "The key: 1 byte to 64 KiB.") var key: String
  @Argument(help: "The value: up to 256 MiB.") var value: String?
  @Option(help: "Read the value from this file instead (- is standard input).") var valueFrom: String?
  @Option(help: "staged survives the death of every process, synced also that of the machine.")
  var durability: DurabilityArgument = .synced
  @OptionGroup var encoding: HexOption

  func validate() throws {
    if (value == nil) == (valueFrom == nil) {
      throw ValidationError("put takes a VALUE or --value-from FILE.")
    }
  }

  func run() throws {
    let key = try encoding.bytes(key)
    var value = ScratchBuffer()
    if let argument = self.value {
      try encoding.bytes(argument).withUnsafeBytes { value.append($0) }
    } else {
      try readWhole(valueFrom ?? "-", into: &value)
    }
    // The batch refuses what is over the limits, so that no database is made for it.
    var batch = WriteBatch()
    try batch.put(key.span.bytes, value.bytes.bytes)
    let opened = try database.open(create: true)
    do {
      try opened.write(batch, durability: durability.durability)
    } catch {
      throw database.failure(error)
    }
    try database.close(opened)
  }

  /// The whole file, but no more than shows that it is over the limit: the engine then refuses it by its
  /// length.
  private func readWhole(_ path: String, into value: inout ScratchBuffer) throws {
    let file = try InputFile(path)
    let limit = 256 << 20
    try withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { buffer in
      while value.count <= limit {
        let count = try file.read(into: buffer)
        if count == 0 { return }
        value.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      }
    }
  }
}
