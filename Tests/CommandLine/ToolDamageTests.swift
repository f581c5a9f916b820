import Foundation
import Testing

/// Damaged databases: one clear line that names the file, never a wrong result, and nothing made worse.
@Suite struct ToolDamageTests {
  private static let lines = (0..<3000).map { "key-\($0 + 10_000)\tvalue \($0 &* 7919)\n" }

  /// A database whose records all lie in tables, closed in good order.
  private func made() throws -> ToolWorkspace {
    let workspace = try ToolWorkspace()
    let input = Array(Self.lines.joined().utf8)
    try Tool.succeed(["load", workspace.database, "--format", "tsv"], input: input)
    try Tool.succeed(["compact", workspace.database])
    // Opened once more, so that no table is left that compaction has replaced.
    #expect(try Tool.succeed(["get", workspace.database, "key-10000"]).text == "value 0\n")
    #expect(try files(workspace, ".sst").count == 1)
    return workspace
  }

  private func files(_ workspace: ToolWorkspace, _ suffix: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: workspace.database)
      .filter { $0.hasSuffix(suffix) }.sorted()
  }

  /// What a reader gets is right, or is refused with one line.
  private func checkReading(_ workspace: ToolWorkspace, _ what: String) throws {
    let scan = try Tool.run(["scan", workspace.database])
    if scan.status == 0 {
      #expect(scan.text == Self.lines.joined(), "\(what): a wrong result")
    } else {
      #expect(scan.status == 2, "\(what)")
      #expect(scan.errorLines.count == 1, "\(what): \(scan.errors)")
      #expect(scan.errors.contains(workspace.database), "\(what): \(scan.errors)")
    }
  }

  @Test func aFlippedByteInATableIsFound() throws {
    let workspace = try made()
    let table = try #require(try files(workspace, ".sst").first)
    let good = try workspace.read("db/" + table)
    for step in 0..<12 {
      var bad = good
      let offset = step == 11 ? good.count - 1 : good.count * step / 11
      bad[offset] ^= 0x40
      try workspace.write(bad, to: "db/" + table)
      let verify = try Tool.run(["verify", workspace.database])
      // Padding between blocks and the footer holds nothing, and may be left unchecked.
      let isPadding = good[offset] == 0
      #expect(verify.status == 2 || (isPadding && verify.status == 0), "offset \(offset) of \(good.count)")
      if verify.status == 2 { #expect(verify.errors.contains(table), "\(verify.errors)") }
      try checkReading(workspace, "offset \(offset)")
    }
    try workspace.write(good, to: "db/" + table)
    #expect(try Tool.succeed(["verify", workspace.database]).text.contains("no problem"))
    #expect(try Tool.succeed(["scan", workspace.database]).text == Self.lines.joined())
  }

  @Test func aTruncatedTableIsNamed() throws {
    let workspace = try made()
    let table = try #require(try files(workspace, ".sst").first)
    let good = try workspace.read("db/" + table)
    for count in [0, 1, 100, good.count / 2, good.count - 1] {
      try workspace.write(Array(good.prefix(count)), to: "db/" + table)
      try Tool.fail(["scan", workspace.database], naming: workspace.database, table)
      try Tool.fail(["get", workspace.database, "key-10000"], naming: table)
    }
    try workspace.write(good, to: "db/" + table)
    #expect(try Tool.succeed(["scan", workspace.database]).text == Self.lines.joined())
  }

  @Test func aMissingTableIsNamed() throws {
    let workspace = try made()
    let table = try #require(try files(workspace, ".sst").first)
    let good = try workspace.read("db/" + table)
    try FileManager.default.removeItem(atPath: workspace.database + "/" + table)
    for request in [["get", "key-10000"], ["put", "k", "v"], ["scan"], ["verify"], ["stats"]] {
      let arguments = [request[0], workspace.database] + request.dropFirst()
      try Tool.fail(arguments, naming: workspace.database, table)
    }
    try workspace.write(good, to: "db/" + table)
    #expect(try Tool.succeed(["scan", workspace.database]).text == Self.lines.joined())
  }

  /// Every other small file, flipped and truncated: a right result or a refusal.
  @Test func otherFilesDamaged() throws {
    let workspace = try made()
    let pristine = workspace.path("pristine")
    try FileManager.default.copyItem(atPath: workspace.database, toPath: pristine)
    let names = try FileManager.default.contentsOfDirectory(atPath: pristine).filter { !$0.hasSuffix(".sst") }
    #expect(names.count >= 2)
    for name in names.sorted() {
      let good = try workspace.read("pristine/" + name)
      if good.isEmpty { continue }
      for offset in Set([0, 9, good.count / 2, good.count - 1]).sorted() where offset < good.count {
        for isCut in [false, true] {
          try FileManager.default.removeItem(atPath: workspace.database)
          try FileManager.default.copyItem(atPath: pristine, toPath: workspace.database)
          var bad = isCut ? Array(good.prefix(offset)) : good
          if !isCut { bad[offset] ^= 1 }
          try workspace.write(bad, to: "db/" + name)
          try checkReading(workspace, "\(name) \(isCut ? "cut" : "flipped") at \(offset)")
        }
      }
    }
  }

  @Test func placesThatCannotBeWritten() throws {
    try Tool.fail(["put", "/proc/siltstone", "k", "v"], naming: "/proc/siltstone")
    try Tool.fail(["put", "/dev/null", "k", "v"], naming: "/dev/null")
    try Tool.fail(["put", "/dev/null/db", "k", "v"], naming: "/dev/null/db")
  }
}
