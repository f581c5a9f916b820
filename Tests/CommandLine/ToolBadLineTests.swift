import Foundation
import Testing

/// Lines that cannot be stored: named by their number, and never at the price of another line.
@Suite struct ToolBadLineTests {
  struct Case: CustomTestStringConvertible {
    var format: String
    var options: [String] = []
    /// Stored, whatever is made of the bad one.
    var before: String
    var bad: [UInt8]
    var after: String
    /// What the message must say beside the line's number.
    var reason: String
    var testDescription: String { "\(format): \(reason)" }
  }

  static let cases: [Case] = [
    Case(format: "tsv", before: "a\t1\n", bad: utf8("no tab\n"), after: "b\t2\n", reason: "tab"),
    Case(format: "tsv", before: "a\t1\n", bad: utf8("\n"), after: "b\t2\n", reason: "tab"),
    Case(format: "tsv", before: "a\t1\n", bad: utf8("\tno key\n"), after: "b\t2\n", reason: "empty"),
    Case(
      format: "tsv", before: "a\t1\n", bad: Array(repeating: 107, count: 65537) + utf8("\tv\n"),
      after: "b\t2\n",
      reason: "65537"),
    Case(
      format: "tsv", before: "a\t1\n", bad: utf8("\0siltstone\0x\t1\n"), after: "b\t2\n", reason: "prefix"),
    Case(
      format: "tsv", options: ["--key", "3"], before: "a\t1\t2\n", bad: utf8("a\tb\n"), after: "b\t2\t3\n",
      reason: "field 3"),
    Case(format: "lines", before: "a\n", bad: utf8("\n"), after: "b\n", reason: "empty"),
    Case(
      format: "lines", options: ["--key", "2"], before: "x a\n", bad: utf8("one\n"), after: "x b\n",
      reason: "field 2"),
    Case(format: "csv", before: "a,1\n", bad: utf8("b\"c,2\n"), after: "b,3\n", reason: "quote"),
    Case(format: "csv", before: "a,1\n", bad: utf8("\"b\"c,2\n"), after: "b,3\n", reason: "comma"),
    Case(format: "csv", before: "a,1\n", bad: utf8("\n"), after: "b,3\n", reason: "empty"),
    Case(
      format: "csv", options: ["--key", "2"], before: "a,1\n", bad: utf8("b\n"), after: "b,3\n",
      reason: "field 2"),
    Case(
      format: "csv", before: "a,1\n", bad: utf8("b,\"never ends\nc,1\n"), after: "", reason: "does not end"),
    json("{\"id\":1", "brace"), json("", "value"), json("{\"id\":}", "value"), json("{\"id\":01}", "brace"),
    json("{\"id\":1} x", "follows"), json("{\"id\":\"\\x\"}", "escape"),
    json("{\"id\":\"\\u12g4\"}", "digits"),
    json("{\"id\":tru}", "value"), json("{\"id\":1.}", "value"), json("{'id':1}", "name"),
    json("{\"id\":\"\u{1}\"}", "control"), json("{\"x\":1}", "missing"), json("{\"id\":null}", "string"),
    json("{\"id\":{}}", "string"), json("[1,2", "bracket"), json("{\"id\":1,}", "name"),
    json("{\"id\" 1}", "colon"),
    json(String(repeating: "[", count: 100_000), "nested"),
    Case(
      format: "ndjson", options: ["--key", "id"], before: "{\"id\":\"a\"}\n",
      bad: utf8("{\"id\":\"") + [0xFF] + utf8("\"}\n"), after: "{\"id\":\"b\"}\n", reason: "UTF-8"),
  ]

  private static func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }
  private static func json(_ line: String, _ reason: String) -> Case {
    Case(
      format: "ndjson", options: ["--key", "id"], before: "{\"id\":\"a\"}\n", bad: utf8(line + "\n"),
      after: "{\"id\":\"b\"}\n", reason: reason)
  }

  @Test(arguments: cases) func aBadLineIsNamedAndNothingElseIsLost(_ example: Case) throws {
    let workspace = try ToolWorkspace()
    try workspace.write(Self.utf8(example.before) + example.bad + Self.utf8(example.after), to: "stream")
    let stream = workspace.path("stream")
    let request = ["load", workspace.database, stream, "--format", example.format] + example.options
    try Tool.fail(request, naming: stream, "line 2:", example.reason)
    #expect(try keyCount(workspace) == 1, "what precedes the bad line is stored")
    let resumed = try Tool.succeed(request + ["--resume", "--skip-bad", "--json"])
    #expect(resumed.errorLines.count == 1)
    #expect(resumed.text.contains("\"skipped\":1,\"resumedAfter\":1,"))
    #expect(try keyCount(workspace) == (example.after.isEmpty ? 1 : 2))
  }

  private func keyCount(_ workspace: ToolWorkspace) throws -> Int {
    try Tool.succeed(["scan", workspace.database, "--keys-only"]).text.split(separator: "\n").count
  }

  @Test func manyBadLinesAreCountedNotListed() throws {
    let workspace = try ToolWorkspace()
    let text = (0..<3000).map { $0 % 3 == 0 ? "bad\n" : "k\($0)\tv\n" }.joined()
    let outcome = try Tool.succeed(
      ["load", workspace.database, "--format", "tsv", "--skip-bad", "--json"], input: Array(text.utf8))
    #expect(outcome.text.contains("\"records\":2000,\"skipped\":1000,"))
    #expect(outcome.errorLines.count == 10)
  }

  @Test func streamsThatCannotBeRead() throws {
    let workspace = try ToolWorkspace()
    let absent = workspace.path("absent")
    try Tool.fail(["load", workspace.database, absent, "--format", "tsv"], naming: absent, "No such file")
    try Tool.fail(["load", workspace.database, workspace.root.path, "--format", "tsv"], naming: "directory")
    try workspace.write(Self.utf8("a,b\n1,2\n"), to: "csv")
    #expect(!workspace.exists("db"))
    try Tool.fail(
      ["load", workspace.database, workspace.path("csv"), "--format", "csv", "--key", "c"], naming: "line 1",
      "c")
    let acks = workspace.path("no/acks")
    try Tool.fail(
      ["load", workspace.database, workspace.path("csv"), "--format", "csv", "--acks", acks], naming: acks)
  }

  /// A line longer than any record could be is passed over without being kept in memory.
  @Test func aLineWithoutEnd() throws {
    let workspace = try ToolWorkspace()
    let stream = workspace.path("stream")
    try workspace.write(Self.utf8("a\t1\n"), to: "stream")
    let handle = try #require(FileHandle(forUpdatingAtPath: stream))
    // A hole of zeros, then the line's end.
    try handle.truncate(atOffset: 300 << 20)
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("\nb\t2\n".utf8))
    try handle.close()
    let request = ["load", workspace.database, stream, "--format", "tsv"]
    try Tool.fail(request, naming: "line 2:", "longer")
    try Tool.succeed(request + ["--resume", "--skip-bad"])
    #expect(try Tool.succeed(["scan", workspace.database]).text == "a\t1\nb\t2\n")
  }
}
