import Foundation
import Testing

@testable import Siltstone

/// Processes on one database, started and killed by a test.
final class Peers {
  let workspace: ToolWorkspace
  private var running: [String: pid_t] = [:]

  init() throws { workspace = try ToolWorkspace() }

  deinit {
    for process in running.values {
      Foundation.kill(process, SIGKILL)
      waitpid(process, nil, 0)
    }
  }

  var names: [String] { running.keys.sorted() }

  /// How many processes have the database open.
  var attachedCount: Int {
    guard let storage = try? DiskStorage(path: workspace.database, create: false) else { return 0 }
    return (0..<96).count { index in
      (try? storage.isLocked(SharedState.fileName, byte: SharedState.LockByte.slot(index))) ?? false
    }
  }

  static let path: String = {
    let tool = URL(fileURLWithPath: Tool.path)
    return tool.deletingLastPathComponent().appendingPathComponent("siltstone-peer").path
  }()

  /// Starts "writer 2", say. With `killedAt` the process kills itself there; `through` is a command that starts it.
  ///
  /// - Returns: false if the command cannot be run here.
  @discardableResult
  func start(_ name: String, killedAt point: String? = nil, through command: [String] = []) throws -> Bool {
    if let program = command.first, Peers.find(program) == nil || getuid() != 0 { return false }
    let parts = name.split(separator: " ").map(String.init)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(
      &actions, STDERR_FILENO, workspace.path("errors"), O_WRONLY | O_CREAT | O_APPEND, 0o600)
    var pointers: [UnsafeMutablePointer<CChar>?] = []
    for argument in command + [Peers.path, workspace.database, parts[0], parts[1]] { pointers.append(strdup(argument)) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    var variables = ProcessInfo.processInfo.environment
    variables["SILTSTONE_KILL"] = point
    var environment: [UnsafeMutablePointer<CChar>?] = []
    for (name, value) in variables { environment.append(strdup("\(name)=\(value)")) }
    environment.append(nil)
    defer { for pointer in environment { free(pointer) } }
    // A test's thread may have signals blocked, which a child would inherit.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var mask = sigset_t()
    sigemptyset(&mask)
    posix_spawnattr_setsigmask(&attributes, &mask)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var process = pid_t()
    let result = posix_spawn(
      &process, command.first.flatMap(Peers.find) ?? Peers.path, &actions, &attributes, &pointers, &environment)
    try #require(result == 0, "\(Peers.path): \(String(cString: strerror(result)))")
    running[name] = process
    return true
  }

  private static func find(_ program: String) -> String? {
    ["/usr/bin/", "/bin/"].map { $0 + program }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// `kill -9`, wherever it stands.
  func kill(_ name: String) {
    guard let process = running.removeValue(forKey: name) else { return }
    Foundation.kill(process, SIGKILL)
    var status: Int32 = 0
    waitpid(process, &status, 0)
    expectNoComplaint(name, status)
  }

  func signal(_ name: String, _ number: Int32) {
    if let process = running[name] { Foundation.kill(process, number) }
  }

  func process(_ name: String) -> pid_t? { running[name] }

  /// Whether it has ended by itself; it is forgotten then.
  func hasEnded(_ name: String) -> Bool {
    guard let process = running[name] else { return true }
    var status: Int32 = 0
    if waitpid(process, &status, WNOHANG) == 0 { return false }
    running[name] = nil
    expectNoComplaint(name, status)
    return true
  }

  /// Ends them in good order; false if one of them does not end.
  @discardableResult
  func stop(_ names: [String]? = nil) -> Bool {
    let names = names ?? self.names
    for name in names { signal(name, SIGTERM) }
    for _ in 0..<20_000 {
      if names.filter({ !hasEnded($0) }).isEmpty { return true }
      usleep(1_000)
    }
    Issue.record("\(names.filter { running[$0] != nil }) do not end")
    return false
  }

  private func expectNoComplaint(_ name: String, _ status: Int32) {
    // By the signal that asks it to end, if it came before there was a handler for it.
    let isKilled = [SIGKILL, SIGTERM].contains(status & 0x7F)
    #expect(isKilled || status == 0, "\(name) ended with \(status): \(complaints)")
  }

  /// What the processes have said.
  var complaints: String { (try? String(contentsOfFile: workspace.path("errors"), encoding: .utf8)) ?? "" }

  /// How many batches a writer was told to be done.
  func acknowledged() throws -> [Int] {
    let path = workspace.database + ".acks"
    guard FileManager.default.fileExists(atPath: path) else { return [0, 0, 0, 0] }
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    if data.count < 32 { return [0, 0, 0, 0] }
    return data.withUnsafeBytes { bytes in (0..<4).map { Int(bytes.load(fromByteOffset: 8 * $0, as: UInt64.self)) } }
  }

  /// All that the processes have done to the keys that they have in common.
  func history() throws -> [Linearizability.Operation] {
    try FileManager.default.contentsOfDirectory(atPath: workspace.root.path).filter { $0.hasPrefix("db.history-") }
      .flatMap { try Linearizability.operations(inFile: workspace.path($0)) }
  }

  /// When all have ended: nothing is lost, nothing is in parts, nothing is left behind, and everything that was read of
  /// the common keys can have been so.
  func check() throws {
    let promised = try acknowledged()
    let database = try Database.open(workspace.database, options: .small())
    let identity = database.engine.tree.creation.database
    for writer in 0..<4 {
      let heads = try (0..<5).map { index in
        try database.get("\(writer)/head/\(index)").map { String(decoding: $0.prefix { $0 != 32 }, as: UTF8.self) }
      }
      #expect(Set(heads).count == 1, "writer \(writer): a batch in parts: \(heads)")
      let count = heads[0].flatMap { Int($0) } ?? 0
      #expect(count >= promised[writer], "writer \(writer): \(promised[writer]) acknowledged, \(count) there")
      var items = 0
      try database.scan(.prefix("\(writer)/item/")) { _, _ in
        items += 1
        return true
      }
      #expect(items == min(count, 40), "writer \(writer): \(items) items")
    }
    try Linearizability.check(try history() + Self.readCommonKeys(database))
    let report = try database.verify()
    #expect(report.problems.isEmpty, "\(report.problems)")
    try database.close()
    try ModelTests.checkDirectory(workspace.database)
    let left = try DiskStorage(path: workspace.database, create: false).listMemory(
      prefix: ArenaTable.namePrefix(identity))
    #expect(left.isEmpty, "\(left)")
    #expect(complaints.isEmpty, "\(complaints)")
  }

  /// The last reads of all, and when they were done.
  private static func readCommonKeys(_ database: Database) throws -> [Linearizability.Operation] {
    try (0..<8).map { key in
      let storage = database.engine.storage
      let begin = storage.monotonicNanoseconds()
      let value = try database.get("shared/\(key)").flatMap { UInt64(String(decoding: $0, as: UTF8.self)) } ?? 0
      return .init(key: key, isWrite: false, value: value, begin: begin, end: storage.monotonicNanoseconds())
    }
  }
}
