import Foundation

/// What a profile of one run showed.
struct Profile {
  let tree: FlameTree
  let rooms: RoomTable

  /// From what `perf script` printed of a run of `executable`.
  init(script: String, executable: String) throws {
    let samples = PerfScript.samples(script)
    if samples.isEmpty { throw BenchError("the profile holds no samples") }
    let symbolizer = try Symbolizer(samples, executable: executable)
    let stacks = samples.map { ($0.thread, symbolizer.stack($0), $0.nanoseconds) }
    // The thread is the root of its stacks.
    tree = FlameTree(
      stacks.map { thread, stack, nanoseconds in
        ([StackFrame(function: thread, room: Room.unknown)] + stack, nanoseconds)
      })
    rooms = RoomTable(stacks.map { (thread: $0.0, stack: $0.1, nanoseconds: $0.2) })
  }
}

/// Runs a specification under `perf record`, in a process of its own, and draws what it saw.
enum Profiler {
  /// Samples a second, on each core. Not a round number, so that it does not beat in time with what it looks at.
  private static let frequency = 1_997

  /// Leaves `flame.svg` and `rooms.txt` in `folder` (and `perf.data`, for those who want to look further), of the
  /// measured phase and the time until everything settled: loading beforehand is not in it.
  static func profile(_ specification: RunSpecification, into folder: String) throws -> Profile {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let (data, script) = (folder + "/perf.data", folder + "/perf.script")
    let control = try PerfControl.makeFIFOs(in: folder)
    defer { for path in [script, control.commands, control.answers] { unlink(path) } }
    let argument = String(decoding: try JSONEncoder().encode(specification), as: UTF8.self)
    // Processor time, since virtual machines seldom have counters. Swift keeps frame pointers in release builds, as
    // the C target does, so that stacks cost next to nothing.
    try run(
      [
        "perf", "record", "-e", "cpu-clock", "-F", String(frequency), "--call-graph", "fp", "--delay", "-1",
        "--control", "fifo:\(control.commands),\(control.answers)", "-o", data, "--", executable, "run-one", argument,
      ], environment: [PerfControl.variable: control.commands + "," + control.answers])
    try run(
      ["perf", "script", "-i", data, "--no-inline", "-F", "comm,pid,tid,period,ip,sym,dso"], output: script)
    let profile = try Profile(script: try String(contentsOfFile: script, encoding: .utf8), executable: executable)
    let title = "\(specification.engine) \(specification.workload), \(specification.operationCount) operations"
    try FlameGraph(profile.tree, title: title).svg()
      .write(toFile: folder + "/flame.svg", atomically: true, encoding: .utf8)
    try profile.rooms.text.write(toFile: folder + "/rooms.txt", atomically: true, encoding: .utf8)
    return profile
  }

  private static func run(_ command: [String], output: String? = nil, environment: [String: String] = [:]) throws {
    do {
      try ToolProcess.run(command, output: output, environment: environment)
    } catch {
      throw BenchError("\(error) (perf is in the package linux-perf; perf_event_paranoid must be at most 2)")
    }
  }
}

/// Lets the process under `perf record` say when to look: it begins with its eyes shut.
enum PerfControl {
  /// Names two FIFOs, `commands,answers`, to the process that is measured.
  static let variable = "SILTSTONE_PERF_CONTROL"

  static func makeFIFOs(in folder: String) throws -> (commands: String, answers: String) {
    let paths = (commands: folder + "/control", answers: folder + "/answers")
    for path in [paths.commands, paths.answers] {
      unlink(path)
      guard mkfifo(path, 0o600) == 0 else { throw BenchError("\(path): \(String(cString: strerror(errno)))") }
    }
    return paths
  }

  /// Both return once perf has done so, and at once where nobody profiles.
  static func enable() { tell("enable\n") }
  static func disable() { tell("disable\n") }

  private static func tell(_ command: String) {
    guard let value = ProcessInfo.processInfo.environment[variable] else { return }
    let paths = value.split(separator: ",").map(String.init)
    guard paths.count == 2, let commands = FileHandle(forWritingAtPath: paths[0]),
      let answers = FileHandle(forReadingAtPath: paths[1])
    else { return }
    commands.write(Data(command.utf8))
    _ = try? answers.read(upToCount: 5)  // "ack\n" and a zero
  }
}
