import Foundation
import Testing

/// How streams are cut into records.
@Suite struct ToolLoadFormatTests {
  /// Loads `text` and returns the scan.
  private func scan(
    _ text: String, _ options: String..., at location: SourceLocation = #_sourceLocation
  ) throws -> String {
    let workspace = try ToolWorkspace()
    try Tool.succeed(["load", workspace.database] + options, input: Array(text.utf8), at: location)
    return try Tool.succeed(["scan", workspace.database], at: location).text
  }

  @Test func tabSeparated() throws {
    #expect(try scan("b\t1\t2\na\t\n", "--format", "tsv") == "a\t\nb\t1\t2\n")
    #expect(try scan("a\tlast without a newline", "--format", "tsv") == "a\tlast without a newline\n")
    #expect(try scan("a\tcr stays\r\n", "--format", "tsv") == "a\tcr stays\r\n")
    #expect(try scan("", "--format", "tsv") == "")
    #expect(try scan("x\ty\tz\n", "--format", "tsv", "--key", "1") == "x\ty\tz\n")
    #expect(try scan("x\ty\tz\n", "--format", "tsv", "--key", "2") == "y\tx\tz\n")
    #expect(try scan("x\ty\tz\n", "--format", "tsv", "--key", "3,1") == "z\tx\ty\n")
  }

  @Test func theLastOfEqualKeysStays() throws {
    let text = (0..<2500).map { "k\($0 % 10)\t\($0)\n" }.joined()
    let expected = (0..<10).map { "k\($0)\t\(2490 + $0)\n" }.joined()
    #expect(try scan(text, "--format", "tsv") == expected)
  }

  @Test func plainLines() throws {
    #expect(try scan("b\na\nb\n", "--format", "lines") == "a\t\nb\t\n")
    #expect(
      try scan("  one  two\tthree \n", "--format", "lines", "--key", "2") == "two\t  one  two\tthree \n")
    #expect(try scan("one two three\n", "--format", "lines", "--key", "3,1") == "three\tone\tone two three\n")
  }

  @Test func commaSeparated() throws {
    #expect(try scan("b,1\na,2\n", "--format", "csv") == "a\ta,2\nb\tb,1\n")
    #expect(try scan("id,x\r\n7,\"a,b\"\r\n", "--format", "csv", "--header") == "7\t7,\"a,b\"\n")
    let people = "name,city\n\"Ada \"\"L\"\"\",\"Lon\ndon\"\nBo,\n"
    #expect(
      try scan(people, "--format", "csv", "--key", "name")
        == "Ada \"L\"\t\"Ada \"\"L\"\"\",\"Lon\ndon\"\nBo\tBo,\n")
    #expect(
      try scan(people, "--format", "csv", "--key", "city,name", "--skip-bad")
        == "\tBo\tBo,\nLon\ndon\tAda \"L\"\t\"Ada \"\"L\"\"\",\"Lon\ndon\"\n")
    #expect(try scan("x,k\n", "--format", "csv", "--key", "2") == "k\tx,k\n")
    #expect(try scan("\u{FEFF}id,v\n1,2\n", "--format", "csv", "--key", "id") == "1\t1,2\n")
    #expect(try scan("a,\"ends\"", "--format", "csv", "--key", "2") == "ends\ta,\"ends\"\n")
  }

  @Test func aLongQuotedFieldSpansTheBuffer() throws {
    let field = (0..<150_000).map { "line \($0)\n" }.joined()
    let text = "k1,\"\(field)\"\nk2,x\n"
    try #require(text.utf8.count > 1 << 20)
    #expect(try scan(text, "--format", "csv") == "k1\tk1,\"\(field)\"\nk2\tk2,x\n")
  }

  @Test func jsonLines() throws {
    let text = """
      {"id": 7, "user": {"name": "zo\\u00eb \\ud83d\\ude00\\n"}, "tags": ["a", "b"]}
       {"user":{"name":"x","name":"y"},"id":-1.5e3,"tags":[true,{"q":[]}], "n":null}\t

      """
    let lines = text.split(separator: "\n").map(String.init)
    #expect(
      try scan(text, "--format", "ndjson", "--key", "id") == "-1.5e3\t\(lines[1])\n7\t\(lines[0])\n")
    #expect(
      try scan(text, "--format", "ndjson", "--key", "user.name")
        == "y\t\(lines[1])\nzoë 😀\n\t\(lines[0])\n")
    #expect(
      try scan(text, "--format", "ndjson", "--key", "tags.0,id")
        == "a\t7\t\(lines[0])\ntrue\t-1.5e3\t\(lines[1])\n")
  }

  @Test func recordsLargerThanTheBuffer() throws {
    let workspace = try ToolWorkspace()
    var dice = ToolDice(4)
    let lines = (0..<40).map { index in
      let length = Int.random(in: 0...300_000, using: &dice)
      return "key\(index + 10)\t"
        + String(repeating: "\(index % 10)", count: index == 20 ? 3_000_000 : length)
    }
    try workspace.write(Array((lines.joined(separator: "\n") + "\n").utf8), to: "lines")
    for source in ["file", "pipe"] {
      let database = workspace.path(source)
      let arguments =
        source == "file"
        ? ["load", database, workspace.path("lines"), "--format", "tsv"]
        : ["load", database, "--format", "tsv"]
      try Tool.succeed(arguments, input: try workspace.read("lines"))
      #expect(try Tool.succeed(["scan", database]).output == workspace.read("lines"), "\(source)")
    }
  }

  @Test func theSummaryCounts() throws {
    let workspace = try ToolWorkspace()
    let text = "a\t1\nbad\nb\t2\nc\t3\n"
    let outcome = try Tool.succeed(
      ["load", workspace.database, "--format", "tsv", "--skip-bad", "--json"], input: Array(text.utf8))
    let summary = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any])
    #expect(summary["records"] as? Int == 3)
    #expect(summary["skipped"] as? Int == 1)
    #expect(summary["bytes"] as? Int == text.utf8.count)
    #expect(summary["stream"] as? String == "-")
    #expect(outcome.errors.contains("line 2"))
    let people = try Tool.succeed(
      ["load", workspace.database, "--format", "tsv"], input: Array("a\t1\n".utf8))
    #expect(people.text.contains("1 records"))
  }

  @Test func acknowledgementsAreAppended() throws {
    let workspace = try ToolWorkspace()
    let text = (0..<25).map { "k\($0)\tv\n" }.joined()
    let request = [
      "load", workspace.database, "--format", "tsv", "--batch", "10", "--acks", workspace.path("acks"),
      "--durability", "synced",
    ]
    try Tool.succeed(request, input: Array(text.utf8))
    #expect(String(decoding: try workspace.read("acks"), as: UTF8.self) == "10\n20\n25\n")
    try Tool.succeed(request, input: Array(text.utf8))
    #expect(String(decoding: try workspace.read("acks"), as: UTF8.self) == "10\n20\n25\n10\n20\n25\n")
  }
}
