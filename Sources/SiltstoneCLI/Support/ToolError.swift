import Glibc
import Siltstone

/// Why a verb stops early.
enum ToolError: Error, CustomStringConvertible {
  /// The key that was asked for is not there: no fault, but an exit status of its own. With the line that says so.
  case absentKey(String)
  /// Anything else, as one line that names what and where.
  case failed(String)

  var description: String {
    switch self {
    case .absentKey(let line), .failed(let line): line
    }
  }

  /// `key`, as the user typed it, is not in the database at `directory`.
  static func absent(_ key: String, in directory: String) -> ToolError {
    // Enough of a long key to know it by.
    let shown = String(decoding: RawArguments.bytes(of: key).prefix(80), as: UTF8.self)
    return .absentKey("\(directory): no such key: \(shown)")
  }

  /// An error of the engine about the database, or the file, at `path`. The engine names files relative to the
  /// database; where that would only repeat `path`, it is left out.
  static func engine(_ error: SiltstoneError, about path: String) -> ToolError {
    var error = error
    if let file = error.file, path == file || path.hasSuffix("/" + file) {
      error = SiltstoneError(error.code, error.message, offset: error.offset, errno: error.errno)
    }
    return .failed("\(path): \(error)")
  }

  /// The system refused something about `path`, as `errno` says.
  static func system(_ path: String, _ doing: String, _ error: Int32 = errno) -> ToolError {
    .failed("\(path): cannot \(doing): \(String(cString: strerror(error)))")
  }
}

/// Writes one line to standard error, whatever characters the message is made of.
func complain(_ message: String) {
  let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
  printToStandardError("siltstone: \(line)\n")
}

/// Writes `text` to standard error as it is. Nothing can be done if that fails.
func printToStandardError(_ text: String) {
  var text = text
  text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
