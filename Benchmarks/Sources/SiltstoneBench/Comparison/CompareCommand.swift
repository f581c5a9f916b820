import ArgumentParser
import Foundation

/// What `siltstone-bench` does when it is not told otherwise.
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare", abstract: "Run workloads through engines in turn, and compare them.",
    discussion: """
      Each run has a process and a directory of its own; engines alternate, and every workload is run --rounds times. \
      Workloads: \(WorkloadKind.allCases.map(\.rawValue).joined(separator: ", ")).
      """)

  @Option(help: "Engines, separated by commas; NAME@PROGRAM runs NAME in another build of this program.")
  var engine = EngineCatalogue.all.map(\.name).joined(separator: ",")
  @Option(help: "Workloads, separated by commas; all is all of them.") var workload = "fillrandom,readrandom"
  @Option(help: "Keys, and operations unless the workload says otherwise.") var keys: UInt64?
  @Option(help: "Multiplies each workload's own number of keys, where --keys does not give it.") var scale: UInt64 = 1
  @Option(help: "Operations of the measured phase, if not as many as keys.") var operations: UInt64?
  @Option(help: "Bytes of a value.") var valueSize: Int?
  @Option(help: "Bytes of a key.") var keySize = 16
  @Option(help: "Entries in a batch; 1 is a call for each.") var batch = 1
  @Option(help: "Threads, or processes for fill-processes, which has four if not told.") var threads: Int?
  @Option(help: "What a write survives: staged (kill -9) or synced (power loss).")
  var durability = RunSpecification.Durability.staged
  @Option(help: "Codec: none, lz4, zstd or snappy.") var compression = RunSpecification.Compression.lz4
  @Option(help: "The same seed makes the same keys and values.") var seed: UInt64 = 20_260_101
  @Option(help: "Where to work; a directory is made there, and removed.") var dir = "."
  @Option(help: "End a measured phase after this many seconds.") var seconds: Double?
  @Option(help: "Operations a second for stall, and for the writer of readwhilewriting.") var rate: Double?
  @Option(help: "Rounds: how often each engine runs each workload.") var rounds = 3
  @Option(help: "Block cache of each engine, MiB.") var cache = 1_024
  @Option(help: "Memtable of each engine, MiB; four of them.") var memtable = 64
  @Option(help: "Write everything that was measured to this file, as JSON.") var json: String?
  @Option(help: "Write a page with plots to this file.") var html: String?
  @Flag(help: "Then run each once more under perf, and leave flame graphs in profile/ENGINE-WORKLOAD.")
  var profile = false

  func validate() throws {
    // A key holds its number in eight bytes, and one more tells a missing key from one that is there.
    guard (9...65_536).contains(keySize) else { throw ValidationError("--key-size is 9 to 65536.") }
    guard (1...1_000).contains(scale) else { throw ValidationError("--scale is 1 to 1000.") }
    guard (keys ?? 1) >= 1, (keys ?? 1) <= 1 << 40 else { throw ValidationError("--keys is 1 to 2^40.") }
    guard (1...(256 << 20)).contains(valueSize ?? 1) else { throw ValidationError("--value-size is 1 to 256 MiB.") }
    guard (1...1_000_000).contains(batch) else { throw ValidationError("--batch is 1 to 1000000.") }
    guard (1...1_024).contains(threads ?? 1) else { throw ValidationError("--threads is 1 to 1024.") }
    guard rounds >= 1 else { throw ValidationError("--rounds is 1 or more.") }
    guard (rate ?? 1) > 0, (seconds ?? 1) > 0 else { throw ValidationError("--rate and --seconds are positive.") }
  }

  func run() throws {
    let place = try WorkingDirectory(in: dir)
    defer { place.remove() }
    if workload == WorkloadKind.disk.rawValue {
      return try DeviceProbe.measure(in: place.path, .full).write(json: json)
    }
    let comparison = Comparison(
      engines: try EngineName.list(engine), workloads: try workloads(), specification: specification,
      rounds: rounds, directory: place.path, progress: LiveProgress())
    let report = try comparison.run(arguments: Array(CommandLine.arguments.dropFirst()))
    for line in TerminalReport(report, style: .forStandardOutput).lines { print(line) }
    if let json { try report.writeJSON(to: json) }
    if let html { try report.writeHTML(to: html) }
    if profile { try comparison.profile() }
    if report.omissions.contains(where: \.isFailure) { throw ExitCode.failure }
  }

  private func workloads() throws -> [WorkloadKind] {
    let comparable = WorkloadKind.allCases.filter { $0 != .disk }
    if workload == "all" { return comparable }
    return try workload.split(separator: ",").map { name in
      guard let kind = comparable.first(where: { $0.rawValue == name }) else {
        throw ValidationError("there is no workload \(name) to compare (disk is asked for by itself).")
      }
      return kind
    }
  }

  /// What was asked for, and for the rest what suits the workload.
  private func specification(_ workload: WorkloadKind) -> RunSpecification {
    var specification = RunSpecification(engine: "", workload: workload.rawValue, directory: "")
    specification.keys = keys ?? workload.defaultKeys * scale
    specification.operations = operations
    (specification.keyBytes, specification.valueBytes) = (keySize, valueSize ?? workload.defaultValueBytes)
    (specification.batch, specification.threads) = (batch, threads ?? workload.defaultThreads)
    (specification.durability, specification.compression) = (durability, compression)
    if workload == .fillsync { specification.durability = .synced }
    specification.seed = seed
    (specification.seconds, specification.rate) = (seconds ?? workload.defaultSeconds, rate)
    (specification.cacheBytes, specification.memtableBytes) = (cache << 20, memtable << 20)
    return specification
  }
}

extension RunSpecification.Durability: ExpressibleByArgument {}
extension RunSpecification.Compression: ExpressibleByArgument {}

/// A new directory for the runs, on whatever disk was asked for.
struct WorkingDirectory {
  let path: String

  init(in parent: String) throws {
    if let mount = Mount.holding(parent), mount.isMemory {
      throw BenchError("\(parent) lies in memory (\(mount.type)): name a directory on a disk with --dir")
    }
    var template = Array((parent + "/siltstone-bench-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else {
      throw BenchError("cannot make a directory in \(parent): \(String(cString: strerror(errno)))")
    }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  func remove() { try? FileManager.default.removeItem(atPath: path) }
}
