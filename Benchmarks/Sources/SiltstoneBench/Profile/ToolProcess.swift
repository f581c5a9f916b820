import Foundation

/// A program run to its end, its input and output files, so that neither side ever waits for the other.
enum ToolProcess {
  /// Runs `command`, found on the PATH. Throws what it said on standard error if it fails.
  static func run(_ command: [String], input: String? = nil, output: String? = nil, environment: [String: String] = [:])
    throws
  {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = input.flatMap { FileHandle(forReadingAtPath: $0) } ?? FileHandle.nullDevice
    process.standardOutput = try output.map { try writing($0) } ?? FileHandle.nullDevice
    let errors = FileManager.default.temporaryDirectory.appendingPathComponent("tool-\(UUID().uuidString)").path
    process.standardError = try writing(errors)
    defer { try? FileManager.default.removeItem(atPath: errors) }
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      let said = (try? String(contentsOfFile: errors, encoding: .utf8)) ?? ""
      throw BenchError("\(command[0]) failed: \(said.trimmingCharacters(in: .whitespacesAndNewlines))")
    }
  }

  /// The output of a filter over `lines`, by lines.
  static func filter(_ lines: [String], through command: [String]) throws -> [Substring] {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("filter-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (input, output) = (folder.appendingPathComponent("in").path, folder.appendingPathComponent("out").path)
    try (lines.joined(separator: "\n") + "\n").write(toFile: input, atomically: false, encoding: .utf8)
    try run(command, input: input, output: output)
    return try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n")
  }

  private static func writing(_ path: String) throws -> FileHandle {
    guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path)
    else { throw BenchError("cannot write \(path)") }
    return file
  }
}
