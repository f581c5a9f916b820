import Foundation
import Testing

/// A load that is killed at any moment goes on without a loss or a repeat.
@Suite struct ToolResumeTests {
  private static let count = 20_000

  private static func stream(seed: UInt64) -> [String] {
    var dice = ToolDice(seed)
    let order = (0..<count).shuffled(using: &dice)
    return order.map { number in
      let value = String(repeating: "v", count: Int.random(in: 0...60, using: &dice))
      return "key-\(number)\t\(number) \(value)"
    }
  }

  /// Starts a load of `lines` on a pipe or a file; nothing of it is ever read back but through the tool.
  private func start(_ workspace: ToolWorkspace, _ pass: Int, resuming: Bool, throughPipe: Bool) throws
    -> RunningTool
  {
    var request = ["load", workspace.database]
    request += throughPipe ? ["-", "--stream", "lines"] : [workspace.path("lines")]
    request += ["--format", "tsv", "--batch", "50", "--acks", workspace.path("acks"), "--json"]
    if resuming { request.append("--resume") }
    return try RunningTool(
      request.map { Array($0.utf8) }, input: throughPipe ? workspace.path("pipe") : "/dev/null",
      output: workspace.path("output\(pass)"), errors: workspace.path("errors\(pass)"))
  }

  private func acknowledged(_ workspace: ToolWorkspace) -> [Int] {
    guard let bytes = try? workspace.read("acks") else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { Int($0) }
  }

  /// Waits until the load has acknowledged `goal` records, or has ended.
  private func waitFor(_ goal: Int, _ workspace: ToolWorkspace, _ running: RunningTool) {
    while (acknowledged(workspace).last ?? 0) < goal {
      var information = siginfo_t()
      waitid(P_PID, id_t(running.process), &information, WEXITED | WNOHANG | WNOWAIT)
      if information.si_signo == SIGCHLD { return }
      usleep(300)
    }
  }

  /// What is stored must be a beginning of the stream, at least as long as was acknowledged.
  private func checkStored(_ workspace: ToolWorkspace, _ lines: [String]) throws -> Int {
    let scan = try Tool.succeed(["scan", workspace.database]).text.split(separator: "\n")
    let stored = scan.count
    #expect(stored >= acknowledged(workspace).last ?? 0, "an acknowledged record is missing")
    // Strings of ASCII sort by their bytes.
    #expect(scan.map(String.init) == lines[..<stored].sorted())
    return stored
  }

  @Test(arguments: [1, 2]) func aFileGoesOnAfterKills(_ seed: UInt64) throws {
    let workspace = try ToolWorkspace()
    let lines = Self.stream(seed: seed)
    try workspace.write(Array(lines.map { $0 + "\n" }.joined().utf8), to: "lines")
    var dice = ToolDice(seed)
    var pass = 0
    var killed = 0
    while true {
      let running = try start(workspace, pass, resuming: pass > 0, throughPipe: false)
      let already = acknowledged(workspace).last ?? 0
      if pass < 4 {
        waitFor(already + Int.random(in: 1...4000, using: &dice), workspace, running)
        usleep(UInt32.random(in: 0...2000, using: &dice))
        running.kill()
        if running.wait() == 128 + SIGKILL { killed += 1 }
        _ = try checkStored(workspace, lines)
      } else {
        let status = running.wait()
        let errors = String(decoding: try workspace.read("errors\(pass)"), as: UTF8.self)
        #expect(status == 0, "\(errors)")
        break
      }
      pass += 1
    }
    #expect(killed > 0, "every load had ended before it was killed")
    try checkEnd(workspace, lines, pass)
  }

  /// The end state is that of a load that was never killed, and each record was counted once.
  private func checkEnd(_ workspace: ToolWorkspace, _ lines: [String], _ pass: Int) throws {
    #expect(try checkStored(workspace, lines) == lines.count)
    let output = Data(try workspace.read("output\(pass)"))
    let summary = try #require(try JSONSerialization.jsonObject(with: output) as? [String: Any])
    let (records, resumed) = (summary["records"] as? Int ?? -1, summary["resumedAfter"] as? Int ?? -1)
    #expect(records + resumed == lines.count)
    #expect(summary["totalRecords"] as? Int == lines.count)
    let numbers = acknowledged(workspace)
    #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 }, "acknowledged twice")
    // The last batch may have been stored by a load that was killed before it could tell; then the next one found it.
    #expect(numbers.last == lines.count || resumed == lines.count)
    let never = workspace.path("never")
    try workspace.write(Array(lines.map { $0 + "\n" }.joined().utf8), to: "lines")
    try Tool.succeed(["load", never, workspace.path("lines"), "--format", "tsv"])
    #expect(try Tool.succeed(["scan", never]).output == Tool.succeed(["scan", workspace.database]).output)
    #expect(try Tool.succeed(["verify", workspace.database]).text.contains("no problem"))
  }

  @Test func aPipeGoesOnAfterAKill() throws {
    let workspace = try ToolWorkspace()
    let lines = Self.stream(seed: 9)
    let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
    try #require(mkfifo(workspace.path("pipe"), 0o600) == 0)
    for pass in 0..<2 {
      let feeder = Process()
      try workspace.write(bytes, to: "lines")
      feeder.executableURL = URL(fileURLWithPath: "/bin/sh")
      feeder.arguments = ["-c", "cat '\(workspace.path("lines"))' > '\(workspace.path("pipe"))' 2>/dev/null"]
      try feeder.run()
      let running = try start(workspace, pass, resuming: pass > 0, throughPipe: true)
      if pass == 0 {
        waitFor(7000, workspace, running)
        running.kill()
        #expect(try checkStored(workspace, lines) >= 7000)
      } else {
        #expect(running.wait() == 0)
      }
      feeder.waitUntilExit()
    }
    try checkEnd(workspace, lines, 1)
  }

  /// Other processes read and write beside a load; and a slow pipe's records do not wait for their batch to fill.
  @Test func aSecondProcessTakesPartAndATrickleIsAcknowledged() throws {
    let workspace = try ToolWorkspace()
    try #require(mkfifo(workspace.path("pipe"), 0o600) == 0)
    // Opened for both, so that opening waits for nobody.
    let pipe = open(workspace.path("pipe"), O_RDWR | O_CLOEXEC)
    try #require(pipe >= 0)
    let running = try start(workspace, 0, resuming: false, throughPipe: true)
    let text = "a\t1\nb\t2\n"
    #expect(write(pipe, text, text.utf8.count) == text.utf8.count)
    waitFor(2, workspace, running)
    #expect(acknowledged(workspace) == [2])
    #expect(try Tool.succeed(["get", workspace.database, "a"]).text == "1\n")
    try Tool.succeed(["put", workspace.database, "a", "x"])
    #expect(try Tool.succeed(["scan", workspace.database]).text == "a\tx\nb\t2\n")
    close(pipe)
    #expect(running.wait() == 0)
    #expect(try Tool.succeed(["scan", workspace.database]).text == "a\tx\nb\t2\n")
  }

  @Test func resumingWhatIsCompleteDoesNothing() throws {
    let workspace = try ToolWorkspace()
    try workspace.write(Array("a\t1\nb\t2\n".utf8), to: "lines")
    let request = ["load", workspace.database, workspace.path("lines"), "--format", "tsv", "--json"]
    try Tool.succeed(request)
    #expect(try Tool.succeed(request + ["--resume"]).text.contains("\"records\":0,"))
    // What was appended since is loaded, and only that.
    try workspace.write(Array("a\t1\nb\t2\nc\t3\n".utf8), to: "lines")
    #expect(try Tool.succeed(request + ["--resume"]).text.contains("\"records\":1,"))
    #expect(try Tool.succeed(request).text.contains("\"records\":3,"))
    try workspace.write(Array("a\t1\n".utf8), to: "lines")
    try Tool.fail(request + ["--resume"], naming: "not the same stream")
    #expect(try Tool.succeed(["scan", workspace.database]).text == "a\t1\nb\t2\nc\t3\n")
  }

  @Test func progressIsHiddenButThere() throws {
    let workspace = try ToolWorkspace()
    try Tool.succeed(
      ["load", workspace.database, "--format", "tsv", "--stream", "s"], input: Array("a\t1\n".utf8))
    #expect(try Tool.succeed(["scan", workspace.database]).text == "a\t1\n")
    let all = try Tool.succeed(["scan", workspace.database, "--internal"]).text
    #expect(all == "\0siltstone\0load\0s\t1 1 0 1 4\na\t1\n")
  }

  @Test func aResumedCSVKnowsItsHeader() throws {
    let workspace = try ToolWorkspace()
    try workspace.write(Array("v,id\n1,a\n\"x\ny\",b\nbad\"line,c\n2,d\n".utf8), to: "csv")
    let request = ["load", workspace.database, workspace.path("csv"), "--format", "csv", "--key", "id"]
    try Tool.fail(request, naming: "line 5")
    try Tool.succeed(request + ["--resume", "--skip-bad"])
    #expect(try Tool.succeed(["scan", workspace.database]).text == "a\t1,a\nb\t\"x\ny\",b\nd\t2,d\n")
  }
}
