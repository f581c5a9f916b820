import Foundation
import Testing

/// Single verbs: results, exit statuses, and what happens when the request is no good.
@Suite struct ToolVerbTests {
  @Test func putGetDelete() throws {
    let workspace = try ToolWorkspace()
    let database = workspace.database
    #expect(try Tool.succeed(["put", database, "key", "value"]).output.isEmpty)
    #expect(try Tool.succeed(["get", database, "key"]).text == "value\n")
    try Tool.succeed(["put", database, "key", "other", "--durability", "staged"])
    #expect(try Tool.succeed(["get", database, "key"]).text == "other\n")
    try Tool.succeed(["delete", database, "key"])
    for verb in ["get", "delete"] {
      let absent = try Tool.run([verb, database, "key"])
      #expect(absent.status == 1)
      #expect(absent.output.isEmpty)
      #expect(absent.errorLines.count == 1)
    }
  }

  @Test func valuesMayBeEmptyAndBeginWithADash() throws {
    let workspace = try ToolWorkspace()
    try Tool.succeed(["put", workspace.database, "k", ""])
    #expect(try Tool.succeed(["get", workspace.database, "k"]).text == "\n")
    try Tool.succeed(["put", workspace.database, "--", "-k", "--hex"])
    #expect(try Tool.succeed(["get", workspace.database, "--", "-k"]).text == "--hex\n")
  }

  @Test func valuesComeFromStandardInput() throws {
    let workspace = try ToolWorkspace()
    let value = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    try Tool.succeed(["put", workspace.database, "k", "--value-from", "-"], input: value)
    #expect(try Tool.succeed(["get", workspace.database, "k"]).output == value + [10])
  }

  @Test func keysAreBytes() throws {
    let workspace = try ToolWorkspace()
    let database = Array(workspace.database.utf8)
    let keys: [[UInt8]] = [
      [0xFF, 0xFE], [0xC3, 0x28], [0xF4, 0x8F, 0xBA, 0x80], Array("é".utf8), [0x80, 0x41],
    ]
    for (index, key) in keys.enumerated() {
      let put = try Tool.run(raw: [Array("put".utf8), database, key, [UInt8(ascii: "0") + UInt8(index)]])
      #expect(put.status == 0, "\(put.errors)")
    }
    for (index, key) in keys.enumerated() {
      #expect(try Tool.run(raw: [Array("get".utf8), database, key]).text == "\(index)\n")
    }
    let sorted = keys.sorted { $0.lexicographicallyPrecedes($1) }
    let expected: [UInt8] = sorted.flatMap { $0 + [10] }
    #expect(try Tool.succeed(["scan", workspace.database, "--keys-only"]).output == expected)
  }

  @Test func hexadecimal() throws {
    let workspace = try ToolWorkspace()
    try Tool.succeed(["put", workspace.database, "00ff0A", "09", "--hex"])
    #expect(try Tool.succeed(["get", workspace.database, "00FF0a", "--hex"]).text == "09\n")
    #expect(
      try Tool.succeed(["scan", workspace.database, "--hex", "--prefix", "00ff"]).text == "00ff0a\t09\n")
    try Tool.fail(["get", workspace.database, "0", "--hex"], naming: "hexadecimal")
    try Tool.fail(["get", workspace.database, "zz", "--hex"], naming: "hexadecimal")
  }

  @Test func limitsOfKeys() throws {
    let workspace = try ToolWorkspace()
    let longest = String(repeating: "k", count: 64 << 10)
    try Tool.succeed(["put", workspace.database, longest, "v"])
    #expect(try Tool.succeed(["get", workspace.database, longest]).text == "v\n")
    try Tool.fail(["put", workspace.database, longest + "k", "v"], naming: "65537")
    try Tool.fail(["put", workspace.database, "", "v"], naming: "key", "empty")
    try Tool.fail(["get", workspace.database, ""], naming: "key", "empty")
    #expect(try Tool.succeed(["scan", workspace.database, "--keys-only"]).text == longest + "\n")
  }

  @Test func aValueOverTheLimitIsRefused() throws {
    let workspace = try ToolWorkspace()
    let value = workspace.path("value")
    // A hole takes no disk.
    try workspace.write([], to: "value")
    try #require(truncate(value, 256 << 20 + 1) == 0)
    try Tool.fail(["put", workspace.database, "k", "--value-from", value], naming: "value")
    #expect(!workspace.exists("db"))
  }

  @Test func badUsage() throws {
    let workspace = try ToolWorkspace()
    let database = workspace.database
    let requests = [
      ["bogus"], ["get"], ["get", database], ["put", database, "k"], ["put", database, "k", "v", "w"],
      ["scan", database, "--limit", "-1"], ["scan", database, "--limit", "x"], ["scan", database, "--bogus"],
      ["load", database, "-"], ["load", database, "-", "--format", "xml"],
      ["load", database, "-", "--format", "tsv", "--batch", "0"],
      ["load", database, "-", "--format", "ndjson"],
      ["load", database, "-", "--format", "tsv", "--key", "0"],
      ["load", database, "-", "--format", "tsv", "--key", "name"],
      ["load", database, "-", "--format", "csv", "--key", "a,,b"],
      ["load", database, "-", "--format", "lines", "--header"],
      ["put", database, "k", "v", "--durability", "none"],
      ["put", database, "k", "v", "--value-from", "-"], ["demo", "--events", "0"],
    ]
    for request in requests {
      try Tool.fail(request, input: [], naming: "siltstone: ")
      #expect(!workspace.exists("db"), "\(request) made a database")
    }
  }

  @Test func helpAndVersionAreResults() throws {
    for request in [["--help"], ["help"], ["load", "--help"], ["help", "scan"], ["--version"]] {
      let outcome = try Tool.succeed(request)
      #expect(!outcome.output.isEmpty)
      #expect(outcome.errors.isEmpty)
    }
    let listing = try Tool.succeed(["--help"]).text
    for verb in [
      "put", "get", "delete", "scan", "load", "stats", "trace", "verify", "compact", "dump", "demo",
    ] {
      #expect(listing.contains("  \(verb) "), "\(verb) is not listed")
    }
  }

  /// A question about a directory that is no database must not leave one behind.
  @Test func whatIsNoDatabaseStaysNone() throws {
    let workspace = try ToolWorkspace()
    try FileManager.default.createDirectory(
      atPath: workspace.path("empty"), withIntermediateDirectories: false)
    try workspace.write([1, 2, 3], to: "file")
    for name in ["absent", "empty", "file"] {
      let directory = workspace.path(name)
      let requests = [
        ["get", directory, "k"], ["delete", directory, "k"], ["scan", directory], ["stats", directory],
        ["trace", directory, "k"], ["verify", directory], ["compact", directory],
      ]
      for request in requests { try Tool.fail(request, naming: directory) }
    }
    #expect(!workspace.exists("absent"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: workspace.path("empty")).isEmpty)
    #expect(try workspace.read("file") == [1, 2, 3])
    try Tool.fail(["put", workspace.path("file"), "k", "v"], naming: workspace.path("file"))
    try Tool.fail(["dump", workspace.path("absent")], naming: workspace.path("absent"))
  }

  @Test func statsTraceVerifyCompact() throws {
    let workspace = try ToolWorkspace()
    let database = workspace.database
    let lines = (0..<500).map { "key\($0)\tvalue\($0)\n" }.joined()
    try Tool.succeed(["load", database, "--format", "tsv"], input: Array(lines.utf8))
    #expect(try Tool.succeed(["stats", database]).text.contains("write amplification"))
    let stats = try Tool.succeed(["stats", database, "--json"]).output
    let object = try #require(try JSONSerialization.jsonObject(with: Data(stats)) as? [String: Any])
    #expect(object["levels"] is [Any])
    #expect(object["writeAmplification"] is Double)
    #expect(try !Tool.succeed(["trace", database, "key7"]).output.isEmpty)
    let absent = try Tool.run(["trace", database, "nothing"])
    #expect(absent.status == 1)
    #expect(!absent.output.isEmpty)
    #expect(try Tool.succeed(["verify", database]).text.contains("no problem"))
    try Tool.succeed(["compact", database, "--from", "key2", "--to", "key3"])
    try Tool.succeed(["compact", database])
    #expect(try Tool.succeed(["verify", database]).text.contains("no problem"))
    #expect(try Tool.succeed(["get", database, "key499"]).text == "value499\n")
  }

  @Test func everyFileCanBeDumped() throws {
    let workspace = try ToolWorkspace()
    try Tool.succeed(["load", workspace.database, "--format", "lines"], input: Array("a\nb\nc\n".utf8))
    try Tool.succeed(["compact", workspace.database])
    let names = try FileManager.default.contentsOfDirectory(atPath: workspace.database)
    #expect(!names.isEmpty)
    for name in names {
      let file = workspace.path("db") + "/" + name
      let size = try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int ?? 0
      // A lock file has nothing in it to show.
      if size > 0 { #expect(try !Tool.succeed(["dump", file, "--entries"]).output.isEmpty, "\(name)") }
    }
    try workspace.write(Array("nothing of ours".utf8), to: "foreign")
    #expect(try Tool.run(["dump", workspace.path("foreign")]).status == 2)
  }
}
