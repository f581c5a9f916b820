import Foundation

/// A shared library that this process has loaded: where it came from, and what of its build bears on speed.
struct CLibrary {
  let path: String
  /// Package and version, if the file is one that the system's package manager installed.
  let package: String?

  init(path: String, package: String?) {
    self.path = path
    self.package = package
  }

  /// The library that `symbol` was found in; nil if there is no such symbol.
  init?(defining symbol: String) {
    guard let address = dlsym(nil, symbol), let path = CLibrary.file(mappedAt: UInt(bitPattern: address)) else {
      return nil
    }
    self.init(path: path, package: CLibrary.package(owning: path))
  }

  private static func file(mappedAt address: UInt) -> String? {
    // To the end: of a file that says it has no length, `String(contentsOfFile:)` reads one page.
    let maps = (try? FileHandle(forReadingAtPath: "/proc/self/maps")?.readToEnd()) ?? Data()
    for line in String(decoding: maps, as: UTF8.self).split(separator: "\n") {
      // begin-end permissions offset device inode path
      let fields = line.split(separator: " ", maxSplits: 5)
      let bounds = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
      guard fields.count == 6, bounds.count == 2, bounds[0]..<bounds[1] ~= address else { continue }
      return fields[5].trimmingCharacters(in: .whitespaces)
    }
    return nil
  }

  private static func package(owning path: String) -> String? {
    // "librocksdb7.8: /usr/lib/...", with the architecture behind the name for some.
    guard let owner = output("dpkg-query", "-S", path)?.split(separator: ": /").first.map(String.init) else {
      return nil
    }
    let version = output("dpkg-query", "-W", "-f", "${Version}", owner) ?? ""
    return "\(owner.split(separator: ":")[0]) \(version)"
  }

  private static func output(_ arguments: String...) -> String? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return nil }
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self) : nil
  }

  /// Whether the file calls what `assert` calls when it fails: a library built with NDEBUG does not.
  var hasAssertions: Bool { contains("__assert_fail") }

  /// Whether `text` stands anywhere in the file. Read piece by piece, so that nothing of it stays in this process.
  func contains(_ text: String) -> Bool {
    guard let file = fopen(path, "r") else { return false }
    defer { fclose(file) }
    let (pieceBytes, needle) = (1 << 20, Array(text.utf8))
    var piece = [UInt8](repeating: 0, count: pieceBytes + needle.count)
    // The end of each piece is kept in front of the next, lest the text lie across.
    var kept = 0
    while true {
      let count = piece.withUnsafeMutableBytes { fread($0.baseAddress! + kept, 1, pieceBytes, file) }
      if count == 0 { return false }
      if piece.withUnsafeBytes({ $0.prefix(kept + count).hasRun(of: needle) }) { return true }
      let keep = min(needle.count - 1, kept + count)
      piece.withUnsafeMutableBytes {
        $0.baseAddress!.copyMemory(from: $0.baseAddress! + kept + count - keep, byteCount: keep)
      }
      kept = keep
    }
  }

  /// For `RunResult.Engine.build`.
  var description: String {
    let origin = package.map { "package \($0)" } ?? "not from a package: \(path)"
    return origin + (hasAssertions ? ", assertions on" : ", no assertions")
  }
}

extension Slice<UnsafeRawBufferPointer> {
  /// Whether these bytes stand together anywhere.
  fileprivate func hasRun(of needle: [UInt8]) -> Bool {
    let bytes = UnsafeRawBufferPointer(rebasing: self)
    guard var place = bytes.baseAddress, bytes.count >= needle.count else { return false }
    let end = place + (bytes.count - needle.count) + 1
    while place < end, let hit = memchr(place, CInt(needle[0]), end - place) {
      if memcmp(hit, needle, needle.count) == 0 { return true }
      place = UnsafeRawPointer(hit) + 1
    }
    return false
  }
}

/// Calls a C function that reports failure as RocksDB's and LevelDB's do: by a string that the caller frees.
@inline(__always)
func throwing<Value>(
  _ engine: StaticString, _ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Value
) throws -> Value {
  var message: UnsafeMutablePointer<CChar>?
  let value = call(&message)
  if message != nil { throw failure(engine, message) }
  return value
}

@inline(never)
private func failure(_ engine: StaticString, _ message: UnsafeMutablePointer<CChar>?) -> BenchError {
  defer { free(message) }
  return BenchError("\(engine): \(message.map { String(cString: $0) } ?? "")")
}

extension UnsafeRawBufferPointer {
  /// As C interfaces take it.
  @inline(__always)
  var characters: UnsafePointer<CChar>? { baseAddress?.assumingMemoryBound(to: CChar.self) }

  /// The order of keys in every engine: by bytes, a prefix first.
  @inline(__always)
  func precedes(_ other: UnsafeRawBufferPointer) -> Bool {
    let order =
      count == 0 || other.count == 0 ? 0 : memcmp(baseAddress!, other.baseAddress!, Swift.min(count, other.count))
    return order != 0 ? order < 0 : count < other.count
  }
}

/// Takes one byte of everything that is read, so that an engine which only points to an entry touches it too.
struct Touch {
  private var digest: UInt8 = 0
  private(set) var entries = 0
  private(set) var bytes = 0

  @inline(__always)
  mutating func visit(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    entries &+= 1
    bytes &+= key.count &+ value.count
    digest ^= (key.last ?? 0) ^ (value.last ?? 0)
  }

  /// Keeps the optimiser from removing the reads.
  var visited: (entries: Int, bytes: Int) {
    withExtendedLifetime(digest) { (entries, bytes) }
  }
}
