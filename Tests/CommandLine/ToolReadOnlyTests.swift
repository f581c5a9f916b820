import Foundation
import Testing

/// The verbs that only read, where nothing may be written.
@Suite struct ToolReadOnlyTests {
  /// A database that others may read.
  private func made() throws -> ToolWorkspace {
    let workspace = try ToolWorkspace()
    try Tool.succeed(["load", workspace.database, "--format", "tsv"], input: Array("a\t1\nb\t2\nc\t3\n".utf8))
    let manager = FileManager.default
    let files = try manager.contentsOfDirectory(atPath: workspace.database).map { workspace.database + "/" + $0 }
    for file in files { try manager.setAttributes([.posixPermissions: 0o444], ofItemAtPath: file) }
    for folder in [workspace.path("."), workspace.database] {
      try manager.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
    }
    return workspace
  }

  private func check(_ database: String, through command: [String]) throws {
    let before = try FrozenTests.fingerprint(database)
    func succeed(_ verb: String, _ arguments: String...) throws -> String {
      let outcome = try Tool.run([verb, database] + arguments, through: command)
      #expect(outcome.status == 0, "\(verb): \(outcome.errors)")
      return outcome.text
    }
    #expect(try succeed("get", "b") == "2\n")
    #expect(try succeed("scan") == "a\t1\nb\t2\nc\t3\n")
    #expect(try succeed("verify").contains("no problem"))
    #expect(try succeed("trace", "a").isEmpty == false)
    #expect(try succeed("stats").isEmpty == false)
    #expect(try succeed("top", "--count", "1", "--interval", "0.1").isEmpty == false)
    let absent = try Tool.run(["get", database, "d"], through: command)
    #expect(absent.status == 1)
    for arguments in [["put", database, "d", "4"], ["delete", database, "a"], ["compact", database]] {
      let refused = try Tool.run(arguments, through: command)
      #expect(refused.status == 2 && refused.errors.contains("permissionDenied"), "\(arguments): \(refused.errors)")
    }
    #expect(try FrozenTests.fingerprint(database) == before)
  }

  @Test func anotherUserMayReadWhatItMayNotWrite() throws {
    let workspace = try made()
    let nobody = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    guard getuid() == 0, try canRun(nobody) else { return }
    try check(workspace.database, through: nobody)
  }

  @Test func aReadOnlyFileSystemIsEnough() throws {
    let workspace = try made()
    let mount = """
      mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"
      """
    let readOnly = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", mount, workspace.database]
    guard getuid() == 0, try canRun(readOnly) else { return }
    try check(workspace.database, through: readOnly)
  }

  /// Not everywhere is the system so kind.
  private func canRun(_ command: [String]) throws -> Bool {
    guard FileManager.default.isExecutableFile(atPath: command[0]) else { return false }
    return try Tool.run(["--version"], through: command).status == 0
  }
}
