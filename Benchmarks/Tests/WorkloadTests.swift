import Foundation
import Synchronization
import Testing

@testable import SiltstoneBench

@Suite struct WorkloadTests {
  static func specification(_ workload: WorkloadKind, keys: UInt64 = 1_000) -> RunSpecification {
    var specification = RunSpecification(
      engine: "siltstone", workload: workload.rawValue,
      directory: NSTemporaryDirectory() + "siltstone-bench-test-\(UUID().uuidString)")
    specification.keys = keys
    specification.valueBytes = workload == .largevalue ? workload.defaultValueBytes : 100
    specification.memtableBytes = 8 << 20
    specification.cacheBytes = 64 << 20
    specification.rate = workload == .stall ? 20_000 : nil
    if workload == .largevalue { specification.keys = 50 }
    return specification
  }

  static func run(_ specification: RunSpecification) throws -> RunResult {
    defer { try? FileManager.default.removeItem(atPath: specification.directory) }
    return try EngineCatalogue.run(specification) { _ in }
  }

  /// Those that one process can do by itself.
  static let alone = WorkloadKind.allCases.filter { ![.disk, .recover, .fillProcesses].contains($0) }

  @Test(arguments: alone) func everyWorkloadRunsAndCounts(workload: WorkloadKind) throws {
    let result = try Self.run(Self.specification(workload))
    #expect(result.operations > 0)
    #expect(result.seconds > 0 && result.settledSeconds >= result.seconds)
    #expect(result.processorNanoseconds > 0)
    #expect(result.diskBytes > 0 && result.liveBytes > 0)
    let latency = try #require(result.latency)
    #expect(latency.p50 <= latency.p99 && latency.p99 <= latency.max)
    #expect(result.timeline.reduce(0) { $0 + $1.operations } == result.operations)
    #expect(result.payloadBytes > 0 || workload == .readmissing)
  }

  @Test func readsFindWhatWasLoadedAndNothingElse() throws {
    #expect(try Self.run(Self.specification(.readrandom)).found == 1_000)
    #expect(try Self.run(Self.specification(.readmissing)).found == 0)
    #expect(try Self.run(Self.specification(.readseq)).operations == 1_000)
    #expect(try Self.run(Self.specification(.readreverse)).operations == 1_000)
    #expect(try Self.run(Self.specification(.queue)).found == 1_000)
  }

  /// What a workload says is live is what a scan then finds.
  @Test(arguments: [.fillseq, .fillrandom, .filluniquerandom, .deleterandom, .queue, .timeseries] as [WorkloadKind])
  func liveBytesAreWhatAScanFinds(workload: WorkloadKind) throws {
    var specification = Self.specification(workload, keys: workload == .queue ? 500 : 20_000)
    specification.batch = workload == .queue ? 1 : 10
    defer { try? FileManager.default.removeItem(atPath: specification.directory) }
    let result = try EngineCatalogue.run(specification) { _ in }
    let engine = try SiltstoneEngine(directory: specification.directory, specification: specification)
    let everything = UnsafeRawBufferPointer(start: nil, count: 0)
    let scanned = try engine.makeSession().scan(from: everything, limit: .max, reverse: false)
    try engine.close()
    #expect(UInt64(scanned.bytes) == result.liveBytes)
  }

  @Test func threadsShareTheWork() throws {
    var specification = Self.specification(.fillrandom, keys: 10_000)
    specification.threads = 3
    specification.batch = 7
    let result = try Self.run(specification)
    #expect(result.operations == 10_000)
    #expect(result.payloadBytes == 10_000 * 116)
  }

  @Test func timeEndsARun() throws {
    var specification = Self.specification(.fillrandom, keys: 1 << 30)
    specification.seconds = 0.2
    let result = try Self.run(specification)
    #expect(result.operations > 0 && result.operations < 1 << 30)
  }
}

@Suite struct DistributionTests {
  /// The share of the most popular keys, against Zipf's law summed up.
  @Test func zipfianRanksFollowTheLaw() {
    let (count, draws) = (1_000, 400_000)
    let zipfian = Zipfian(count: UInt64(count))
    var noise = Noise(seed: 3)
    var hits = [Int](repeating: 0, count: count)
    for _ in 0..<draws { hits[Int(zipfian.rank(noise.nextUnit()))] += 1 }
    let weights = (1...count).map { pow(Double($0), -Zipfian.constant) }
    let total = weights.reduce(0, +)
    for top in [1, 2, 10, 100, 500] {
      let expected = weights.prefix(top).reduce(0, +) / total
      let seen = Double(hits.prefix(top).reduce(0, +)) / Double(draws)
      // Gray's method is exact for the first two ranks and close for the rest.
      #expect(abs(seen - expected) < 0.02, "the first \(top)")
    }
  }

  @Test func boundedNoiseIsEven() {
    var noise = Noise(seed: 1)
    var hits = [Int](repeating: 0, count: 10)
    for _ in 0..<100_000 { hits[Int(noise.next(below: 10))] += 1 }
    #expect(hits.allSatisfy { $0 > 9_500 && $0 < 10_500 })
  }

  @Test func distinctKeysAreCountedAcrossThreads() {
    var specification = WorkloadTests.specification(.fillrandom, keys: 1_000)
    specification.threads = 2
    var seen: Set<UInt64> = []
    for thread in 0..<2 {
      var noise = Noise(seed: Worker.seed(specification, thread))
      for _ in 0..<500 { seen.insert(noise.next(below: 1_000)) }
    }
    #expect(DistinctKeys.count(specification, operations: 1_000) == UInt64(seen.count))
  }

  @Test func valuesHalveUnderAFastCodecOrNotAtAll() {
    var compressible = ValueMaker(seed: 1, largest: 1_000, compressible: true)
    let value = Array(compressible.make(1_000))
    #expect(Set(stride(from: 0, to: 900, by: 1).map { Array(value[$0..<$0 + 8]) }).count < 800)
    var noise = ValueMaker(seed: 1, largest: 1_000, compressible: false)
    let raw = Array(noise.make(1_000))
    #expect(Set(stride(from: 0, to: 900, by: 1).map { Array(raw[$0..<$0 + 8]) }).count == 900)
  }

  @Test func anOpenLoopKeepsItsPace() {
    let begin = Clock.nanoseconds()
    var schedule = OpenLoop(rate: 10_000)
    var last: UInt64 = 0
    for _ in 0..<500 {
      let due = schedule.awaitNext() ?? 0
      #expect(due >= last)
      last = due
    }
    // 499 intervals of 0.1 ms, less the grace: it can be late on a busy machine, never early.
    #expect(Clock.nanoseconds() - begin >= 49_700_000)
  }
}
