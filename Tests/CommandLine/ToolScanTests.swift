import Foundation
import Testing

/// What is loaded is what is scanned, byte for byte, in the order of bytes.
@Suite struct ToolScanTests {
  /// Lines as `find -printf '%p\t%s %T@ %m\n'` makes them, with odd bytes and repeated keys among them.
  static func lines(_ count: Int, seed: UInt64) -> [[UInt8]] {
    var dice = ToolDice(seed)
    return (0..<count).map { index in
      var key = Array("/usr/share/".utf8)
      for _ in 0..<Int.random(in: 0...3, using: &dice) {
        let length = Int.random(in: 1...12, using: &dice)
        key += (0..<length).map { _ in byte(except: [9, 10], &dice) } + Array("/".utf8)
      }
      key += Array(String(Int.random(in: 0..<count, using: &dice)).utf8)
      let value = "\(Int.random(in: 0..<1_000_000, using: &dice)) 17\(index).5 644\t"
      return key + [9] + Array(value.utf8) + (0..<3).map { _ in byte(except: [10], &dice) }
    }
  }

  private static func byte(except excluded: [UInt8], _ dice: inout ToolDice) -> UInt8 {
    while true {
      let byte = UInt8.random(in: 0...255, using: &dice)
      if !excluded.contains(byte) { return byte }
    }
  }

  /// The lines sorted by key, the last of each key kept.
  static func expected(_ lines: [[UInt8]]) -> [[UInt8]] {
    var last: [[UInt8]: [UInt8]] = [:]
    for line in lines { last[Array(line.prefix { $0 != 9 })] = line }
    return last.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value)
  }

  static func joined(_ lines: [[UInt8]]) -> [UInt8] { lines.flatMap { $0 + [10] } }

  @Test func forwardsBackwardsCompactedReopened() throws {
    let workspace = try ToolWorkspace()
    let lines = Self.lines(4000, seed: 1)
    let expected = Self.expected(lines)
    #expect(expected.count < lines.count, "no key is repeated")
    try workspace.write(Self.joined(lines), to: "lines")
    try Tool.succeed([
      "load", workspace.database, workspace.path("lines"), "--format", "tsv", "--batch", "97",
    ])
    for pass in ["loaded", "compacted"] {
      #expect(try Tool.succeed(["scan", workspace.database]).output == Self.joined(expected), "\(pass)")
      let backwards = try Tool.succeed(["scan", workspace.database, "--reverse"]).output
      #expect(backwards == Self.joined(expected.reversed()), "\(pass), backwards")
      try Tool.succeed(["compact", workspace.database])
    }
    #expect(try Tool.succeed(["verify", workspace.database]).text.contains("no problem"))
  }

  /// The metadata of real files, against the system's own sort.
  @Test func realFilesInTheOrderOfSort() throws {
    let workspace = try ToolWorkspace()
    let list = workspace.path("list")
    let sorted = workspace.path("sorted")
    // Names with a tab or a newline would make other lines than one a file.
    let command = """
      find /usr/share /usr/lib -xdev -maxdepth 3 ! -path '*\t*' ! -path '*\n*' \
        -printf '%p\\t%s %T@ %m\\n' > '\(list)'
      LC_ALL=C sort -t "$(printf '\\t')" -k1,1 '\(list)' > '\(sorted)'
      """
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    shell.arguments = ["-c", command]
    try shell.run()
    shell.waitUntilExit()
    try #require(try workspace.read("list").count > 1000)
    try Tool.succeed(["load", workspace.database, list, "--format", "tsv"])
    #expect(try Tool.succeed(["scan", workspace.database]).output == workspace.read("sorted"))
  }

  @Test func ranges() throws {
    let workspace = try ToolWorkspace()
    let database = workspace.database
    let input = Array("a\t1\naa\t2\nab\t3\nb\t4\nba\t5\nc\t6\n".utf8)
    try Tool.succeed(["load", database, "--format", "tsv"], input: input)
    func keys(_ options: String...) throws -> String {
      let text = try Tool.succeed(["scan", database, "--keys-only"] + options).text
      return text.split(separator: "\n").joined(separator: " ")
    }
    #expect(try keys() == "a aa ab b ba c")
    #expect(try keys("--prefix", "a") == "a aa ab")
    #expect(try keys("--prefix", "a", "--reverse") == "ab aa a")
    #expect(try keys("--from", "aa", "--to", "ba") == "aa ab b")
    #expect(try keys("--from", "aa", "--to", "ba", "--reverse") == "b ab aa")
    #expect(try keys("--prefix", "a", "--from", "aa", "--limit", "1") == "aa")
    #expect(try keys("--prefix", "b", "--to", "b") == "")
    #expect(try keys("--from", "c", "--to", "a") == "")
    #expect(try keys("--limit", "0") == "")
    #expect(try keys("--limit", "2", "--reverse") == "c ba")
    #expect(try keys("--from", "d") == "")
    #expect(try Tool.succeed(["scan", database, "--limit", "2"]).text == "a\t1\naa\t2\n")
  }

  @Test func prefixesOfHighestBytes() throws {
    let workspace = try ToolWorkspace()
    for key in ["fe", "feff", "ff", "ff00", "ffff", "ffff01"] {
      try Tool.succeed(["put", workspace.database, key, "00", "--hex", "--durability", "staged"])
    }
    func keys(_ prefix: String) throws -> String {
      let text = try Tool.succeed(["scan", workspace.database, "--hex", "--keys-only", "--prefix", prefix])
        .text
      return text.split(separator: "\n").joined(separator: " ")
    }
    #expect(try keys("ff") == "ff ff00 ffff ffff01")
    #expect(try keys("ffff") == "ffff ffff01")
    #expect(try keys("feff") == "feff")
    #expect(try keys("fe") == "fe feff")
  }

  @Test func aResultThatDoesNotFitIsAnError() throws {
    let workspace = try ToolWorkspace()
    try Tool.succeed(["put", workspace.database, "k", "v"])
    let request = ["scan", workspace.database].map { Array($0.utf8) }
    let running = try RunningTool(
      request, input: "/dev/null", output: "/dev/full", errors: workspace.path("errors"))
    #expect(running.wait() == 2)
    #expect(String(decoding: try workspace.read("errors"), as: UTF8.self).contains("standard output"))
  }
}
