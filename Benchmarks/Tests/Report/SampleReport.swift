@testable import SiltstoneBench

/// Comparisons that never ran, for tests: figures that look like real ones, the same each time.
enum SampleReport {
  static let engines = ["siltstone", "rocksdb", "leveldb", "lmdb", "sqlite"]
  static let workloads = ["fillseq", "fillrandom", "overwrite", "readrandom"]

  static func make(
    engines: [String] = engines, workloads: [String] = workloads, rounds: Int = 3, devices: Int = 2,
    change: (inout RunResult) -> Void = { _ in }
  ) -> ComparisonReport {
    var report = ComparisonReport(
      date: "2026-01-02T03:04:05Z", arguments: ["siltstone-bench", "--engine", engines.joined(separator: ",")],
      machine: .init(
        processor: "A Processor", cores: 2, memoryBytes: 8_000_000_000, kernel: "Linux 6.1", storage: "ext4 on /dev/x"))
    report.device = (0..<devices).map { device(1 - 0.1 * Double($0)) }
    var noise = Noise(seed: 7)
    for workload in workloads {
      for round in 0..<rounds {
        for (slowness, engine) in engines.enumerated() {
          var result = run(engine, workload, slowness: Double(1 + 3 * slowness), &noise)
          change(&result)
          report.runs.append(.init(round: round, result: result))
        }
      }
    }
    report.omissions = [.init(engine: "other", workload: "fillseq", reason: "not installed")]
    return report
  }

  static func device(_ factor: Double) -> DeviceFigures {
    DeviceFigures(
      isDirect: true, sampleBytes: 1 << 30, sequentialWriteBytesPerSecond: 1.6e9 * factor,
      sequentialReadBytesPerSecond: 2.4e9 * factor,
      randomReads: [1, 8, 32].map {
        .init(
          depth: $0, operationsPerSecond: 10_000 * Double($0), p50Nanoseconds: 90_000, p99Nanoseconds: 300_000)
      }, syncP50Nanoseconds: 110_000, syncP99Nanoseconds: 400_000)
  }

  /// A million operations at a rate of about a million a second, divided by `slowness`.
  static func run(_ engine: String, _ workload: String, slowness: Double, _ noise: inout Noise) -> RunResult {
    let specification = RunSpecification(engine: engine, workload: workload, directory: "/nowhere")
    var result = RunResult(
      engine: .init(name: engine, version: "1.2.3", build: "release", settings: [.init("filter", "10 bits a key")]),
      specification: specification)
    let jitter = 0.95 + 0.1 * noise.nextUnit()
    result.operations = 1_000_000
    result.payloadBytes = 116_000_000
    result.seconds = 3.4 * slowness * jitter
    result.settledSeconds = result.seconds * 1.2
    result.processorNanoseconds = UInt64(1e9 * slowness * jitter)
    result.settledProcessorNanoseconds = UInt64(1.3e9 * slowness * jitter)
    result.systemNanoseconds = UInt64(2e8 * slowness)
    result.harnessNanoseconds = 50_000_000
    result.peakMemoryBytes = 300_000_000
    result.processBytesWritten = specification.isWriting ? UInt64(3e8 * slowness.squareRoot()) : 0
    result.processBytesRead = 50_000_000
    result.diskBytes = 90_000_000
    result.liveBytes = 73_000_000
    result.latency = latency(slowness * jitter)
    var (second, left) = (0.0, result.operations)
    while second < result.settledSeconds {
      let end = min(second + 1, result.settledSeconds)
      let share = max(0, min(end, result.seconds) - second) / result.seconds
      let operations = min(left, UInt64(share * Double(result.operations)))
      left -= operations
      result.timeline.append(
        .init(second: end, operations: operations, processorNanoseconds: 0, bytesWritten: 0, residentBytes: 0))
      second = end
    }
    return result
  }

  static func latency(_ factor: Double) -> RunResult.Latency {
    let points: [(Double, Double)] = [
      (0, 150), (50, 500), (90, 1_000), (99, 2_000), (99.9, 60_000), (99.99, 4e6), (99.999, 1e7), (100, 3e7),
    ]
    let at = { (index: Int) in UInt64(points[index].1 * factor) }
    return .init(
      count: 1_000_000, mean: 900 * factor, p50: at(1), p90: at(2), p99: at(3), p999: at(4), p9999: at(5), max: at(7),
      curve: points.map { .init(percentile: $0.0, nanoseconds: UInt64($0.1 * factor)) })
  }
}
