import Foundation

/// Another process of this program, spoken to in lines over its standard input and output.
final class ChildProcess: @unchecked Sendable {
  private let process = Process()
  private let input = Pipe()
  private let output: UnsafeMutablePointer<FILE>
  private let name: String

  /// Starts a subcommand, of this program or of another build of it.
  init(_ arguments: [String], executable: String? = nil) throws {
    name = arguments[0]
    // A child that has died shows in what it did not say; writing to it must not end this process.
    signal(SIGPIPE, SIG_IGN)
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: executable ?? "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = arguments
    process.standardInput = input
    process.standardOutput = pipe
    try process.run()
    output = fdopen(dup(pipe.fileHandleForReading.fileDescriptor), "r")
  }

  deinit { fclose(output) }

  func send(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8)) }

  /// The next line, without its end; nil when the process has closed its output.
  func receive() -> String? {
    var (line, capacity): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
    defer { free(line) }
    let count = getline(&line, &capacity, output)
    guard count > 0, let line else { return nil }
    let bytes = UnsafeRawBufferPointer(start: line, count: line[count - 1] == 10 ? count - 1 : count)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Reads up to a line that begins with `word`, past those that tell of progress; what follows it.
  func expect(_ word: String) throws -> String {
    while let line = receive() {
      if line.hasPrefix(word) { return String(line.dropFirst(word.count).drop { $0 == " " }) }
      if !line.hasPrefix("progress ") { break }
    }
    throw BenchError("\(name): the process failed")
  }

  enum Ending: Equatable, CustomStringConvertible {
    case exit(Int32)
    case signal(Int32)

    var description: String {
      switch self {
      case .exit(let status): "exit status \(status)"
      case .signal(let number): "killed by signal \(number)"
      }
    }
  }

  /// `kill -9`, at once; `wait` is still to come.
  func kill() { Foundation.kill(process.processIdentifier, SIGKILL) }

  /// Closes its input and waits for its end.
  func wait() -> Ending {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
    return process.terminationReason == .uncaughtSignal
      ? .signal(process.terminationStatus) : .exit(process.terminationStatus)
  }
}

/// What a child says to its parent.
enum ParentProcess {
  /// A line, at once: the reader of a pipe waits for it.
  static func send(_ line: String) {
    // A parent that has gone wants nothing more.
    do { try FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8)) } catch { exit(EXIT_FAILURE) }
  }
}

extension RunSpecification {
  /// As a subcommand takes it.
  init(json: String) throws { self = try JSONDecoder().decode(RunSpecification.self, from: Data(json.utf8)) }

  var json: String { get throws { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) } }
}

/// An engine cannot do what the workload is about: no failure, but a line in the report.
struct NotApplicable: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
