import Glibc

/// Why a verb stops early.
enum ToolError: Error, CustomStringConvertible {
  /// The key that was asked for is not there: no fault, but an exit status of its own.
  case absentKey
  /// Anything else, as one line that names what and where.
  case failed(String)

  var description: String {
    switch self {
    case .absentKey: "no such key"
    case .failed(let line): line
    }
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
