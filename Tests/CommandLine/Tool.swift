import Foundation
import Testing

/// The built command-line tool, run as a process of its own: what a user meets.
struct Tool {
  /// What one run came to.
  struct Outcome {
    var status: Int32
    var output: [UInt8]
    var errors: String

    var text: String { String(decoding: output, as: UTF8.self) }
    /// Lines on standard error.
    var errorLines: [Substring] { errors.split(separator: "\n") }
  }

  /// Beside the test bundle, where the package manager puts all that it builds; or in the usual build folder.
  static let path: String = {
    let test = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let beside = URL(fileURLWithPath: test).deletingLastPathComponent().appendingPathComponent("siltstone")
      .path
    if FileManager.default.isExecutableFile(atPath: beside) { return beside }
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    return root.appendingPathComponent(".build/debug/siltstone").path
  }()

  /// Runs the tool to its end.
  static func run(
    _ arguments: [String], input: [UInt8]? = nil, through command: [String] = []
  ) throws -> Outcome {
    try run(raw: arguments.map { Array($0.utf8) }, input: input, through: command)
  }

  /// The same, with arguments that need not be text. With `command`, a program and its arguments, that starts it.
  static func run(
    raw arguments: [[UInt8]], input: [UInt8]? = nil, through command: [String] = []
  ) throws -> Outcome {
    let workspace = try ToolWorkspace()
    if let input { try workspace.write(input, to: "input") }
    let running = try RunningTool(
      arguments, input: input == nil ? "/dev/null" : workspace.path("input"),
      output: workspace.path("output"),
      errors: workspace.path("errors"), through: command)
    let status = running.wait()
    return Outcome(
      status: status, output: try workspace.read("output"),
      errors: String(decoding: try workspace.read("errors"), as: UTF8.self))
  }

  /// Runs the tool and expects it to end well.
  @discardableResult
  static func succeed(
    _ arguments: [String], input: [UInt8]? = nil, at location: SourceLocation = #_sourceLocation
  ) throws -> Outcome {
    let outcome = try run(arguments, input: input)
    #expect(outcome.status == 0, "\(arguments.prefix(2)): \(outcome.errors)", sourceLocation: location)
    return outcome
  }

  /// Runs the tool and expects status 2, one line on standard error that holds each of `fragments`, and no
  /// result.
  static func fail(
    _ arguments: [String], input: [UInt8]? = nil, naming fragments: String...,
    at location: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try run(arguments, input: input)
    #expect(outcome.status == 2, "\(outcome.errors)", sourceLocation: location)
    #expect(outcome.errorLines.count == 1, "\(outcome.errors)", sourceLocation: location)
    #expect(outcome.output.isEmpty, "\(outcome.text)", sourceLocation: location)
    for fragment in fragments {
      #expect(outcome.errors.contains(fragment), "\(outcome.errors)", sourceLocation: location)
    }
  }
}

/// A run of the tool that has not ended, or not yet been waited for.
final class RunningTool {
  let process: pid_t
  private var status: Int32?

  /// Standard streams are files, so that neither side ever waits for the other.
  init(
    _ arguments: [[UInt8]], input: String, output: String, errors: String, through command: [String] = []
  ) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let creating = O_WRONLY | O_CREAT | O_TRUNC
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, creating, 0o600)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, creating, 0o600)
    var pointers = (command.map { Array($0.utf8) } + [Array(Tool.path.utf8)] + arguments).map { argument in
      strdup(argument.map(CChar.init(bitPattern:)) + [0])
    }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    var process = pid_t()
    let program = command.first ?? Tool.path
    let result = posix_spawn(&process, program, &actions, nil, pointers, environ)
    try #require(result == 0, "\(program): \(String(cString: strerror(result)))")
    self.process = process
  }

  deinit {
    if status == nil { kill() }
  }

  /// The exit status; 128 and the signal's number after a signal, as shells have it.
  @discardableResult
  func wait() -> Int32 {
    if let status { return status }
    var raw: Int32 = 0
    while waitpid(process, &raw, 0) < 0 && errno == EINTR {}
    let ended = raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F
    status = ended
    return ended
  }

  /// `kill -9`, wherever it stands.
  func kill() {
    Foundation.kill(process, SIGKILL)
    wait()
  }
}

/// A directory that goes when the test does.
final class ToolWorkspace {
  let root: URL
  /// To be looked at: then it does not go.
  var isKept = false

  init() throws {
    root = FileManager.default.temporaryDirectory.appendingPathComponent(
      "siltstone-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
  }

  deinit { if !isKept { try? FileManager.default.removeItem(at: root) } }

  func path(_ name: String) -> String { root.appendingPathComponent(name).path }
  func write(_ bytes: [UInt8], to name: String) throws {
    try Data(bytes).write(to: root.appendingPathComponent(name))
  }
  func read(_ name: String) throws -> [UInt8] {
    try [UInt8](Data(contentsOf: root.appendingPathComponent(name)))
  }
  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

  /// A database directory of that name, not made yet.
  var database: String { path("db") }
}

/// Seeded, so that each run of the tests does the same.
struct ToolDice: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }
}
