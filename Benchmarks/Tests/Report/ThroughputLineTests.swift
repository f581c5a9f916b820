import Testing

@testable import SiltstoneBench

@Suite struct ThroughputLineTests {
  private func result(seconds: Double, _ points: [(second: Double, operations: UInt64)]) -> RunResult {
    var result = SampleReport.make(engines: ["siltstone"], workloads: ["fillseq"], rounds: 1).runs[0].result
    result.seconds = seconds
    result.operations = points.reduce(0) { $0 + $1.operations }
    result.timeline = points.map {
      .init(second: $0.second, operations: $0.operations, processorNanoseconds: 0, bytesWritten: 0, residentBytes: 0)
    }
    return result
  }

  @Test func ratesAreThoseOfTheIntervals() {
    let line = ThroughputChart.line(result(seconds: 2.5, [(1, 100), (2, 300), (3, 100), (4, 0)]), buckets: 300)
    // The third interval ends with the measured phase, after half a second; what comes then is settling.
    #expect(line.map(\.x) == [0, 0.5, 1.5, 2.25, 2.5])
    #expect(line.map(\.y) == [100, 100, 300, 200, 200])
  }

  @Test func aRestTooShortForARateJoinsTheIntervalBefore() {
    let line = ThroughputChart.line(result(seconds: 2.1, [(1, 100), (2, 100), (2.1, 10)]), buckets: 300)
    #expect(line.map(\.x) == [0, 0.5, 1.55, 2.1])
    #expect(abs(line[2].y - 100) < 1e-9)
  }

  @Test func aRunShorterThanASecondIsALine() {
    #expect(ThroughputChart.line(result(seconds: 0.1, [(0.1, 50)]), buckets: 300).map(\.y) == [500, 500, 500])
    #expect(ThroughputChart.line(result(seconds: 0, []), buckets: 300).isEmpty)
  }

  @Test func longRunsAreAveraged() {
    let points = (1...3_600).map { (second: Double($0), operations: UInt64($0 % 2 == 0 ? 200 : 100)) }
    let line = ThroughputChart.line(result(seconds: 3_600, points), buckets: 300)
    #expect(line.count == 302)
    #expect(line.allSatisfy { $0.y == 150 })
  }
}
