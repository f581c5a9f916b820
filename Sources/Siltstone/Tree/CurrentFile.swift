internal import CSupport

/// The file CURRENT: one line of text that names the manifest.
///
///     MANIFEST-000012 89abcdef\n
///
/// The eight hexadecimal digits are the CRC32C of the name. The file is replaced as a whole: the new one is written as
/// CURRENT.new, synced, renamed over CURRENT, and the directory is synced. A crash leaves the old one or the new one,
/// and perhaps a CURRENT.new that nobody reads.
enum CurrentFile {
  static let name = "CURRENT"
  static let temporaryName = "CURRENT.new"
  /// A longer file is not one of ours: the longest name has 29 characters.
  private static let maxBytes = 256

  static func line(naming manifest: String) -> [UInt8] {
    let bytes = [UInt8](manifest.utf8)
    let checksum = bytes.withView { csup_crc32c(0, $0.base, $0.count) }
    let digits = String(checksum, radix: 16)
    return bytes + [UInt8](" \(String(repeating: "0", count: 8 - digits.utf8.count))\(digits)\n".utf8)
  }

  /// Makes CURRENT name `manifest`, durably.
  static func write(_ storage: any Storage, naming manifest: String) throws(SiltstoneError) {
    try storage.remove(temporaryName)
    let file = try storage.open(temporaryName, .createBuffered)
    try line(naming: manifest).withView { (line) throws(SiltstoneError) in
      try file.write(line.buffer, at: 0, .none)
    }
    try file.sync()
    try storage.rename(temporaryName, to: name)
    try storage.syncDirectory()
  }

  /// The manifest's name, or nil if there is no CURRENT.
  static func read(_ storage: any Storage) throws(SiltstoneError) -> String? {
    guard try storage.exists(name) else { return nil }
    let file = try storage.open(name, .readBuffered)
    let size = try file.sizeBytes()
    guard size > 0, size <= maxBytes else {
      throw .corrupt("CURRENT has \(size) bytes, which is no manifest's name", file: name, offset: 0)
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(size), alignment: 8)
    defer { buffer.deallocate() }
    let count = try file.read(into: buffer, at: 0)
    let bytes = [UInt8](buffer.prefix(count))
    guard let space = bytes.firstIndex(of: UInt8(ascii: " ")) else {
      throw .corrupt("CURRENT names no manifest", file: name, offset: 0)
    }
    let manifest = String(decoding: bytes[..<space], as: UTF8.self)
    guard line(naming: manifest) == bytes, ManifestFile.number(fromName: manifest) != nil else {
      throw .corrupt("CURRENT does not verify", file: name, offset: 0)
    }
    return manifest
  }
}
