import Foundation
import Histogram
import Testing

@testable import SiltstoneBench

@Suite struct ProcessFigureTests {
  private func figure(
    _ values: [Double], _ others: [Double] = [], _ target: ProcessFigure.Target? = nil
  ) -> ProcessFigure {
    ProcessFigure(name: "puts", unit: .perSecond, values: values, others: others, target: target)
  }

  @Test func ratiosAreTakenRoundByRound() {
    // The machine slows down; the ratio stays.
    let drifting = figure([90, 45, 9], [100, 50, 10], .ratioAtLeast(0.8))
    #expect(drifting.ratios.allSatisfy { abs($0 - 0.9) < 1e-9 })
    #expect(drifting.isMet == true)
  }

  @Test func targetsAreMetOrMissed() {
    #expect(figure([79], [100], .ratioAtLeast(0.8)).isMet == false)
    #expect(figure([103], [100], .ratioAtMost(1.03)).isMet == true)
    #expect(figure([104], [100], .ratioAtMost(1.03)).isMet == false)
    #expect(figure([9.9], [], .below(10)).isMet == true)
    #expect(figure([10], [], .below(10)).isMet == false)
    #expect(figure([10]).isMet == nil)
    // What was not measured is not met.
    #expect(figure([], [], .below(10)).isMet == false)
    #expect(figure([.nan], [1], .ratioAtLeast(0.8)).isMet == false)
  }

  @Test func theTableShowsWhatIsMissed() throws {
    let machine = ComparisonReport.Machine(
      processor: "P", cores: 2, memoryBytes: 1, kernel: "K", storage: "ext4 on /dev/x")
    var report = ProcessReport(date: "D", machine: machine, rounds: 3)
    report.sections = [
      ProcessSection(
        title: "Writing", columns: ["4 processes", "4 threads"],
        figures: [figure([1e6, 1e6, 2e6], [2e6, 2e6, 2e6], .ratioAtLeast(0.8))], note: "noted.")
    ]
    let text = report.lines(.plain).joined(separator: "\n")
    let parts = ["4 processes", "1.00 M/s", "100%", "2.00 M/s", "0.50x", "at least 0.80x", "missed", "Writing: noted."]
    for part in parts {
      #expect(text.contains(part), "\(part) in \(text)")
    }
    #expect(!report.isMet)
    let read = try JSONDecoder().decode(ProcessReport.self, from: ComparisonReport.encoder.encode(report))
    #expect(read.sections[0].figures[0].values == [1e6, 1e6, 2e6])
  }

  @Test func aPauseIsWhatOverlapsTheWindow() {
    func longest(_ begin: UInt64, _ end: UInt64) -> UInt64 {
      Survivor.longestPause([1_000, 900, 500, 400, 390, 100], from: begin, to: end)
    }
    #expect(longest(395, 1_000) == 400)
    #expect(longest(100, 1_000) == 400)
    #expect(longest(50, 200) == 100, "what lies behind the window is another's")
    #expect(longest(600, 700) == 100, "all of the window")
    #expect(longest(600, 1_000) == 300, "and what lies before it")
    #expect(longest(395, 450) == 50)
    #expect(longest(391, 399) == 8)
    #expect(Survivor.longestPause([], from: 0, to: 1) == 0)
  }

  @Test func whatIsSeenEarlyCountsAsNothing() {
    // Of three numbers the second went by unseen; the third was read before its put returned.
    let sample = VisibilityMeasurement.Sample([[0, 100, 200, 300], [0, 150, 250, 390], [0, 170, 0, 350]])
    #expect(sample.afterBegin.totalCount == 2)
    #expect(sample.afterBegin.valueAtPercentile(100) == 70)
    #expect(sample.afterBegin.valueAtPercentile(1) == 50)
    #expect(sample.afterAcknowledgement.valueAtPercentile(100) == 20)
    #expect(sample.afterAcknowledgement.valueAtPercentile(1) == 0)
    #expect(sample.early == 1 && sample.earlyShare == 0.5)
  }
}
