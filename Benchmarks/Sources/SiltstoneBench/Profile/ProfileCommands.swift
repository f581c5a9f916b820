import ArgumentParser
import Foundation

/// What `make profile` runs.
struct ProfileRun: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Run one workload under perf: a flame graph, and processor time by room.")

  @Option(help: "The engine.") var engine = "siltstone"
  @Option(help: "The workload.") var workload = WorkloadKind.fillrandom.rawValue
  @Option(help: "How many keys; the workload's own number if not given.") var keys: UInt64?
  @Option(help: "Bytes in a value; the workload's own number if not given.") var valueSize: Int?
  @Option(help: "Threads that work.") var threads = 1
  @Option(help: "Ends the measured phase after this many seconds.") var seconds: Double?
  @Option(help: "Where the database is made; it is removed afterwards.") var dir = "."
  @Option(help: "Where flame.svg, rooms.txt and perf.data go.") var output = "profile"

  func run() throws {
    guard let kind = WorkloadKind(rawValue: workload) else {
      throw ValidationError("there is no workload called \(workload)")
    }
    let database = dir + "/profile-database-\(getpid())"
    defer { try? FileManager.default.removeItem(atPath: database) }
    var specification = RunSpecification(engine: engine, workload: workload, directory: database)
    specification.keys = keys ?? kind.defaultKeys
    specification.valueBytes = valueSize ?? kind.defaultValueBytes
    specification.threads = threads
    specification.seconds = seconds
    if kind == .fillsync { specification.durability = .synced }
    let profile = try Profiler.profile(specification, into: output)
    print(profile.rooms.text)
    print("flame graph: \(output)/flame.svg")
  }
}

/// The picture alone, of a profile that was taken in another way.
struct FlameGraphCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flamegraph", abstract: "Draw what perf script printed.",
    discussion: "perf script --no-inline -F comm,pid,tid,period,ip,sym,dso > perf.script")

  @Option(help: "What perf script printed.") var input: String
  @Option(help: "The picture.") var output: String
  @Option(help: "The executable that was profiled, with its debug information; this one if not given.")
  var executable: String?
  @Option(help: "Above the picture.") var title = "CPU time"

  func run() throws {
    let executable = try executable ?? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let profile = try Profile(
      script: try String(contentsOfFile: input, encoding: .utf8), executable: executable)
    try FlameGraph(profile.tree, title: title).svg().write(toFile: output, atomically: true, encoding: .utf8)
    print(profile.rooms.text)
  }
}
