import ArgumentParser
import Glibc
import Siltstone

/// `siltstone get DIR KEY`
struct Get: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Print the value of a key, and a newline.")

  @OptionGroup var database: DatabaseDirectory
  @Argument(help: "The key.") var key: String
  @OptionGroup var encoding: HexOption

  func run() throws {
    let key = try encoding.bytes(key)
    guard let value = try database.reading({ try $0.get(key) }) else {
      throw database.absent(self.key)
    }
    var output = OutputBuffer()
    try value.withUnsafeBytes { try output.append($0, hex: encoding.hex) }
    try output.append(UInt8(ascii: "\n"))
    try output.flush()
  }
}
