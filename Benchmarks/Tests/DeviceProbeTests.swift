import Foundation
import Histogram
import Testing

@testable import SiltstoneBench

@Suite struct DeviceProbeTests {
  @Test func aProbeMeasuresEverythingAndLeavesNothing() throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("probe-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let scope = DeviceProbe.Scope(
      maxSampleBytes: 24 << 20, sequentialSeconds: 1, randomSeconds: 0.02, maxSyncs: 5, syncSeconds: 1)
    let figures: DeviceFigures
    do {
      figures = try DeviceProbe.measure(in: directory, scope)
    } catch let error as BenchError where error.description.contains("io_uring") {
      return  // a container that refuses it
    }
    #expect(figures.sampleBytes >= 1 << 20 && figures.sampleBytes <= 24 << 20)
    #expect(figures.sequentialWriteBytesPerSecond > 0)
    #expect(figures.sequentialReadBytesPerSecond > 0)
    #expect(figures.randomReads.map(\.depth) == [1, 4, 16, 32, 64])
    for read in figures.randomReads {
      #expect(read.operationsPerSecond > 0)
      #expect(read.p50Nanoseconds > 0 && read.p50Nanoseconds <= read.p99Nanoseconds)
    }
    #expect(figures.syncP50Nanoseconds > 0 && figures.syncP50Nanoseconds <= figures.syncP99Nanoseconds)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
  }

  @Test func aDirectoryThatIsNotThereIsNamed() {
    #expect(throws: BenchError.self) { try DeviceProbe.measure(in: "/nowhere/at/all", .quick) }
  }

  @Test func percentilesOfLatencies() {
    var histogram = LatencyRecorder.emptyHistogram
    for microseconds in 1...1_000 as ClosedRange<UInt64> { histogram.record(microseconds * 1_000) }
    #expect(abs(Double(histogram.valueAtPercentile(50)) / 500_000 - 1) < 0.002)
    #expect(abs(Double(histogram.valueAtPercentile(99)) / 990_000 - 1) < 0.002)
  }
}
