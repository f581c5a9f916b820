import Synchronization
import Testing

@testable import SiltstoneBench

@Suite struct TerminalReportTests {
  @Test func fiveEnginesFitIn120Columns() {
    let lines = TerminalReport(SampleReport.make()).lines
    let wide = lines.filter { $0.count > 120 }
    #expect(wide.isEmpty, "\(wide)")
    #expect(!lines.joined().contains("\u{1B}"))
    for word in ["write amplification", "latency p99.9", "siltstone's limit", "not installed", "10 bits a key"] {
      #expect(lines.contains { $0.contains(word) }, "\(word)")
    }
  }

  @Test func workloadsStandInTheOrderOfTheRuns() {
    let report = SampleReport.make(engines: ["rocksdb", "siltstone"], workloads: ["overwrite", "fillseq"])
    #expect(report.comparisons.map(\.workload) == ["overwrite", "fillseq"])
    #expect(report.engines == ["rocksdb", "siltstone"])
  }

  @Test func numbersStandBelowEachOther() throws {
    let lines = TerminalReport(SampleReport.make(engines: ["siltstone", "rocksdb"], workloads: ["fillseq"])).lines
    let operations = try #require(lines.first { $0.hasPrefix("operations/s") })
    let amplification = try #require(lines.first { $0.hasPrefix("write amplification") })
    #expect(operations.count == amplification.count)
  }

  @Test func wideSpreadsAreMarkedAndExplained() throws {
    let narrow = TerminalReport(SampleReport.make(workloads: ["fillseq"])).lines
    #expect(!narrow.contains { $0.hasPrefix("!") })
    var calls = 0
    let report = SampleReport.make(engines: ["siltstone"], workloads: ["fillseq"]) { result in
      calls += 1
      result.seconds = [1, 1.2, 1.3][calls % 3]
      result.settledSeconds = result.seconds
    }
    let lines = TerminalReport(report).lines
    let operations = try #require(lines.first { $0.hasPrefix("operations/s") })
    #expect(operations.hasSuffix("28%!"))
    #expect(lines.contains { $0.hasPrefix("!") })
  }

  @Test func ratiosAreToTheFirstEngine() throws {
    let report = SampleReport.make(engines: ["siltstone", "rocksdb"], workloads: ["fillseq"]) { result in
      result.seconds = result.engine.name == "siltstone" ? 1 : 5
    }
    let operations = try #require(TerminalReport(report).lines.first { $0.hasPrefix("operations/s") })
    #expect(operations.hasSuffix("0.20"))
  }

  @Test func emptyAndPoorReportsAreShown() {
    var empty = SampleReport.make(workloads: [], devices: 0)
    empty.omissions = []
    #expect(TerminalReport(empty).lines.contains("Nothing ran."))
    let poor = SampleReport.make(rounds: 1, devices: 0) { result in
      result.latency = nil
      result.timeline = []
      result.operations = 0
      result.seconds = .nan
    }
    #expect(!TerminalReport(poor).lines.joined().contains("nan"))
  }

  @Test func colourIsOnlyForThoseWhoWantIt() {
    let report = SampleReport.make(workloads: ["fillseq"])
    let coloured = TerminalReport(report, style: .colour).lines
    #expect(coloured.joined().contains("\u{1B}[1m"))
    let stripped = coloured.map { $0.replacing(/\u{1B}\[[0-9]*m/, with: "") }
    #expect(stripped == TerminalReport(report).lines)
  }
}

@Suite struct LiveProgressTests {
  @Test func aLineSaysHowFarItIs() {
    let line = LiveProgress.line(
      label: "siltstone fillrandom 2/3", done: 250, total: 1_000, elapsed: 10, rate: 25_000, width: 100)
    #expect(line.contains("[======                  ]  25 %  0:10  25.0 k op/s  0:30 left"))
    #expect(LiveProgress.line(label: "a label", done: 1, total: 2, elapsed: 1, rate: 1, width: 5) == "a lab")
    let unknown = LiveProgress.line(label: "recover", done: 0, total: 0, elapsed: 61, rate: 0, width: 80)
    #expect(unknown == "recover  1:01")
    let over = LiveProgress.line(label: "x", done: 9, total: 3, elapsed: 61, rate: 1, width: 80)
    #expect(over.contains("100 %") && over.contains("settling"))
  }

  @Test func withoutATerminalThereIsOneLineForEachRun() {
    let output = Output()
    let progress = LiveProgress(isTerminal: false, now: { 0 }) { output.add($0) }
    progress.begin(label: "lmdb fillseq 1/3", total: 10)
    progress.update(done: 5)
    progress.end(summary: "260 k op/s")
    #expect(output.text == "lmdb fillseq 1/3  260 k op/s\n")
  }

  @Test func onATerminalTheLineIsDrawnInPlace() {
    let output = Output()
    let clock = Atomic<Int>(0)
    let progress = LiveProgress(
      isTerminal: true, now: { Double(clock.add(1, ordering: .relaxed).newValue) }, write: { output.add($0) })
    progress.begin(label: "run", total: 100)
    progress.update(done: 50)
    progress.end(summary: "done")
    progress.update(done: 60)
    let drawn = output.text
    #expect(drawn.hasSuffix("\r\u{1B}[Krun  done\n"), "nothing is drawn after the end")
    #expect(drawn.contains("50 op/s"))
    #expect(drawn.dropLast().allSatisfy { $0 != "\n" })
  }

  private final class Output: Sendable {
    private let written = Mutex("")
    var text: String { written.withLock { $0 } }
    func add(_ part: String) { written.withLock { $0 += part } }
  }
}
