import Testing

@testable import SiltstoneBench

@Suite struct StatisticsTests {
  @Test func mediansOfOddAndEvenNumbers() {
    #expect(Statistics.median([3, 1, 2]) == 2)
    #expect(Statistics.median([4, 1, 3, 2]) == 2.5)
    #expect(Statistics.median([]).isNaN)
  }

  @Test func whatIsNoNumberIsLeftOut() {
    #expect(Statistics.median([.nan, 5, .infinity, 7, 6]) == 6)
    #expect(Statistics.spread([.nan, 2, 4, 3]) == 2.0 / 3)
    #expect(Statistics.median([.nan]).isNaN)
    #expect(Statistics.mean([.nan, 1, 3]) == 2)
  }

  @Test func aSpreadOfEqualsIsNothing() {
    #expect(Statistics.spread([0, 0, 0]) == 0)
    #expect(Statistics.spread([5]) == 0)
    #expect(Statistics.spread([8, 10, 12]) == 0.4)
    #expect(Statistics.spread([]).isNaN)
  }

  @Test func percentilesAreAmongTheValues() {
    let values = (1...200).map(Double.init).shuffled()
    #expect(Statistics.percentile(values, 50) == 100)
    #expect(Statistics.percentile(values, 99) == 198)
    #expect(Statistics.percentile(values, 100) == 200)
    #expect(Statistics.percentile([7, .nan], 99) == 7)
    #expect(Statistics.percentile([], 50).isNaN)
  }

  @Test func geometricMeans() {
    #expect(abs(Statistics.geometricMean([2, 8]) - 4) < 1e-12)
    #expect(abs(Statistics.geometricMean([0.5, 2, 0, .nan]) - 1) < 1e-12)
    #expect(Statistics.geometricMean([0]).isNaN)
  }

  @Test func groupsStandInTheOrderOfTheRuns() {
    let report = SampleReport.make(engines: ["rocksdb", "siltstone"], workloads: ["overwrite", "fillseq"])
    #expect(
      report.groups.map { $0.workload + "/" + $0.engine }
        == ["overwrite/rocksdb", "overwrite/siltstone", "fillseq/rocksdb", "fillseq/siltstone"])
    #expect(report.groups.allSatisfy { $0.results.count == 3 && $0.rounds == [0, 1, 2] })
  }

  @Test func ratiosPairRoundsEvenIfOneIsMissing() throws {
    var report = SampleReport.make(engines: ["siltstone", "rocksdb"], workloads: ["fillseq"])
    for index in report.runs.indices {
      let isOwn = report.runs[index].result.engine.name == "siltstone"
      // The machine slows down from round to round; the ratio stays.
      report.runs[index].result.seconds = Double(report.runs[index].round + 1) * (isOwn ? 1 : 4)
    }
    report.runs.removeAll { $0.round == 0 && $0.result.engine.name == "rocksdb" }
    let groups = report.groups
    #expect(groups[1].rounds == [1, 2])
    #expect(groups[0].ratios(to: groups[1], \.operationsPerSecond) == [4, 4])
    #expect(groups[1].ratios(to: groups[0], \.operationsPerSecond) == [0.25, 0.25])
  }

  @Test func theMedianRunIsTheMiddleOne() {
    let results = SampleReport.make(engines: ["siltstone"], workloads: ["fillseq"], rounds: 4).runs.map(\.result)
    let seconds = [4.0, 1, 3, 2]
    let timed = zip(results, seconds).map { result, seconds in
      var result = result
      result.seconds = seconds
      return result
    }
    let group = ResultGroup(engine: "siltstone", workload: "fillseq", results: timed)
    #expect(group.medianRun?.seconds == 3)
    #expect(ResultGroup(engine: "e", workload: "w", results: []).medianRun == nil)
  }
}
