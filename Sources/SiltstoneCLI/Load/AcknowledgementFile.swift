import Glibc

/// `--acks FILE`: after each acknowledged batch, one more line with the number of records of the stream that
/// are acknowledged so far. A test that kills the tool at a random moment knows from it what must be there.
struct AcknowledgementFile: ~Copyable {
  private let path: String
  /// Negative if nobody asked for the file.
  private let descriptor: Int32

  /// Without a path nothing is written anywhere.
  init(ifNamed path: String?) throws {
    guard let path else {
      (self.path, descriptor) = ("", -1)
      return
    }
    let raw = RawArguments.bytes(of: path).map(CChar.init(bitPattern:)) + [0]
    let opened = open(raw, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
    guard opened >= 0 else { throw ToolError.system(path, "open") }
    (self.path, descriptor) = (path, opened)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// One write, so that no reader ever sees half a line.
  func append(_ count: UInt64) throws {
    guard descriptor >= 0 else { return }
    var line = "\(count)\n"
    let written = line.withUTF8 { write(descriptor, $0.baseAddress, $0.count) }
    guard written == line.utf8.count else { throw ToolError.system(path, "write") }
  }
}
