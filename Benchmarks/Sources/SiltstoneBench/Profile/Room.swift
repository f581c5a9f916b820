/// Whose work a function is: a room of the house, by the folder that its source lies in, or else by its library.
enum Room {
  static let harness = "harness"
  static let kernel = "kernel"
  static let libc = "libc"
  static let runtime = "Swift runtime"
  static let codecs = "codecs"
  static let unknown = "unknown"

  /// By the path in the debug information: `Sources/Siltstone/Table/BlockCursor.swift` is `Table`, and
  /// `CSupport/memtable_cursor.c` and `CSupport/include/csup_memtable.h` are `CSupport/memtable`. nil if it lies
  /// elsewhere, as what the compiler inlines from the standard library does.
  static func of(source path: String) -> String? {
    let parts = path.split(separator: "/")
    for (index, part) in parts.enumerated().dropLast() {
      switch part {
      case "checkouts", "SiltstoneBench": return harness
      case "CSupport": return "CSupport/" + concern(parts[parts.count - 1])
      case "Siltstone" where index > 0 && parts[index - 1] == "Sources" && index + 2 < parts.count:
        return String(parts[index + 1])
      default: continue
      }
    }
    return nil
  }

  /// One concern has a header and one file or several, told apart behind an underscore.
  private static func concern(_ file: Substring) -> String {
    let name = file.hasPrefix("csup_") ? file.dropFirst(5) : file
    return String(name.prefix { $0 != "_" && $0 != "." })
  }

  /// By the path of the library.
  static func of(module path: String) -> String {
    if path.hasPrefix("[kernel") || path.hasPrefix("[guest") { return kernel }
    if path == "[vdso]" { return libc }
    let name = path.split(separator: "/").last.map { String($0.prefix { $0 != "." }) } ?? ""
    switch name {
    case "liblz4", "libzstd", "libsnappy": return codecs
    case "libc", "libm", "libpthread", "libgcc_s", "libstdc++", "liburing", "libjemalloc": return libc
    case _ where name.hasPrefix("ld-linux"): return libc
    case _ where name.hasPrefix("libswift") || name.contains("Foundation"): return runtime
    case "libdispatch", "libBlocksRuntime": return runtime
    case "", "[unknown]": return unknown
    default: return name
    }
  }

  /// Whether it is one of those that others call upon: their time can be charged to the caller.
  static func isService(_ room: String) -> Bool {
    [kernel, libc, runtime, codecs, unknown].contains(room)
  }
}
