import Testing

@testable import SiltstoneBench

@Suite struct IngestLimitTests {
  private let yardstick = Yardstick(diskWriteBytesPerSecond: 1.6e9, syncNanoseconds: 100_000, cores: 2)

  /// A million puts of 100 bytes in 2 s, settled in 2.5 s, 400 MB written, 0.9 us of processor time each of which
  /// 0.1 us are the harness's.
  private func result(_ durability: RunSpecification.Durability = .staged, batch: Int = 1) -> RunResult {
    var specification = RunSpecification(engine: "siltstone", workload: "fillrandom", directory: "/nowhere")
    specification.durability = durability
    specification.batch = batch
    var result = RunResult(engine: .init(name: "siltstone", version: "1"), specification: specification)
    result.operations = 1_000_000
    result.payloadBytes = 100_000_000
    result.processBytesWritten = 400_000_000
    result.seconds = 2
    result.settledSeconds = 2.5
    result.settledProcessorNanoseconds = 900_000_000
    result.harnessNanoseconds = 100_000_000
    return result
  }

  @Test func everyLimitByHand() throws {
    var run = result()
    run.latency = SampleReport.latency(1)  // p50: 500 ns
    let limit = try #require(IngestLimit(run, yardstick))
    // 1.6e9 B/s / (4 * 100 B) = 4 M; 2 * 1e9 / 800 ns = 2.5 M; 1e9 / (500 - 100) ns = 2.5 M.
    #expect(limit.physicalBytesPerPayloadByte == 4)
    #expect(limit.diskRate == 4e6)
    #expect(limit.coreRate == 2.5e6)
    #expect(limit.writerRate == 2.5e6)
    #expect(limit.syncRate == nil)
    #expect(limit.rates.map(\.bound) == [.disk, .cores, .writers])
    // Measured is the settled rate, 1e6 / 2.5 s = 400 k: 16 % of 2.5 M.
    #expect(limit.measuredOperationsPerSecond == 400_000)
    #expect(abs(limit.shareOfLimit - 0.16) < 1e-12)
    // 400 k * 400 B = 160 MB/s of 1.6 GB/s, a quarter of it payload.
    #expect(abs(limit.physicalShareOfDisk - 0.1) < 1e-12)
    #expect(abs(limit.payloadShareOfDisk - 0.025) < 1e-12)
  }

  @Test func theDiskBindsIfItIsSlow() throws {
    let slow = Yardstick(diskWriteBytesPerSecond: 4e8, syncNanoseconds: .nan, cores: 2)
    let binding = try #require(IngestLimit(result(), slow)?.binding)
    #expect(binding.bound == .disk)
    #expect(binding.operationsPerSecond == 1e6)
  }

  @Test func writersByTheirOwnClocks() throws {
    var run = result(batch: 10)
    run.specification.threads = 4
    run.extra[IngestLimit.writersProcessorKey] = 2.1e9
    // 2,100 - 100 ns each, four at once.
    #expect(IngestLimit(run, yardstick)?.writerRate == 2e6)
    run.extra = [:]
    run.latency = SampleReport.latency(1)
    #expect(IngestLimit(run, yardstick)?.writerRate == nil, "several threads' latencies hold waiting for each other")
  }

  @Test func aBatchSharesItsLatency() throws {
    var run = result(batch: 2)
    run.latency = SampleReport.latency(1)
    // 500 / 2 - 100 = 150 ns.
    let rate = try #require(IngestLimit(run, yardstick)?.writerRate)
    #expect(abs(rate - 1e9 / 150) < 1e-3)
    run.specification.batch = 1_000
    #expect(IngestLimit(run, yardstick)?.writerRate == nil, "less than the harness itself")
  }

  @Test func syncedWritersWaitForTheDisk() throws {
    var run = result(.synced, batch: 5)
    run.specification.threads = 2
    let limit = try #require(IngestLimit(run, yardstick))
    // Two writers, five each, every 100 us.
    #expect(limit.syncRate == 100_000)
    #expect(limit.binding?.bound == .syncs)
    #expect(limit.shareOfLimit == 4)
  }

  @Test func whatIsUnknownIsLeftOut() throws {
    let limit = try #require(
      IngestLimit(result(), Yardstick(diskWriteBytesPerSecond: .nan, syncNanoseconds: .nan, cores: 2)))
    #expect(limit.rates.map(\.bound) == [.cores])
    #expect(limit.physicalShareOfDisk.isNaN)
    var reading = result()
    reading.specification.workload = "readrandom"
    #expect(IngestLimit(reading, yardstick) == nil)
    var nothing = result()
    nothing.operations = 0
    nothing.payloadBytes = 0
    #expect(IngestLimit(nothing, yardstick) == nil)
    var free = result()
    free.processBytesWritten = 0
    free.settledProcessorNanoseconds = 0
    let unlimited = try #require(IngestLimit(free, yardstick))
    #expect(unlimited.rates.isEmpty && unlimited.binding == nil && unlimited.shareOfLimit.isNaN)
  }

  @Test func theYardstickIsTheMeanOfBeforeAndAfter() {
    let yardstick = Yardstick(SampleReport.make())
    #expect(abs(yardstick.diskWriteBytesPerSecond - 1.52e9) < 1)
    #expect(yardstick.syncNanoseconds == 110_000)
    #expect(Yardstick(SampleReport.make(devices: 0)).diskWriteBytesPerSecond.isNaN)
  }
}
