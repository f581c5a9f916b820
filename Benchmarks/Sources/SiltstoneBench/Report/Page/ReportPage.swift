/// A comparison as one page: HTML that needs nothing from anywhere else, and reads fully without its script.
struct ReportPage {
  let report: ComparisonReport
  private let comparisons: [WorkloadComparison]
  private let palette: Palette

  init(_ report: ComparisonReport) {
    self.report = report
    comparisons = report.comparisons
    palette = Palette(report.engines)
  }

  var text: String {
    "<!DOCTYPE html>\n"
      + tag("html", ["lang": "en"]) {
        head
        tag("body") {
          header
          tag("main") {
            SummarySection(comparisons: comparisons, engines: report.engines, palette: palette).markup
            comparisons.map { WorkloadSection(comparison: $0, palette: palette).markup }
            Appendix(report: report, palette: palette).markup
          }
          tag("footer") { "Made by siltstone-bench. This page loads nothing from the network." }
          Markup(element: "script", source: PageScript.text)
        }
      }.text + "\n"
  }

  private var title: String {
    let peers = report.engines.filter { $0 != "siltstone" }
    guard report.engines.contains("siltstone") else {
      return peers.isEmpty ? "Benchmark" : EngineTitle.list(peers) + ", measured side by side"
    }
    return peers.isEmpty ? "Siltstone, measured" : "Siltstone beside " + EngineTitle.list(peers)
  }

  private var head: Markup {
    tag("head") {
      tag("meta", ["charset": "utf-8"])
      tag("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"])
      tag("meta", ["name": "color-scheme", "content": "light dark"])
      tag("title") { title }
      Markup(element: "style", source: PageStyle.text)
    }
  }

  // MARK: Header

  private var header: Markup {
    tag("header") {
      tag("p", ["class": "overline"]) { "Storage engine benchmark" }
      tag("h1") { title }
      tag("dl", ["class": "facts"]) { facts.map { fact($0.name, $0.value) } }
      tag("ul", ["class": "versions"]) { versions }
      navigation
    }
  }

  private var facts: [(name: String, value: String)] {
    let machine = report.machine
    var facts = [
      ("date", ReportPage.readable(report.date)),
      ("processor", "\(machine.processor), \(machine.cores) core\(machine.cores == 1 ? "" : "s")"),
      ("memory", Format.bytes(Double(machine.memoryBytes))),
      ("storage", machine.storage),
      ("kernel", machine.kernel),
    ]
    let yardstick = Yardstick(report)
    if yardstick.diskWriteBytesPerSecond.isFinite {
      let (write, sync) = (
        Format.bytesPerSecond(yardstick.diskWriteBytesPerSecond),
        Html.micro(Format.nanoseconds(yardstick.syncNanoseconds))
      )
      facts.append(("device", "writes \(write) in sequence, fdatasync in \(sync)"))
    }
    return facts.map { (name: $0.0, value: $0.1) }
  }

  private func fact(_ name: String, _ value: String) -> Markup {
    tag("div") {
      tag("dt") { name }
      tag("dd") { value.isEmpty ? "unknown" : value }
    }
  }

  /// `2026-11-26T11:25:00Z` without its letters; anything else as it is.
  static func readable(_ date: String) -> String {
    let parts = date.split(separator: "T")
    guard parts.count == 2, parts[1].count >= 5, parts[0].count == 10 else { return date }
    return "\(parts[0]) \(parts[1].prefix(5))" + (parts[1].hasSuffix("Z") ? " UTC" : "")
  }

  private var versions: [Markup] {
    var seen: [String] = []
    return report.identities.compactMap { identity in
      let engine = identity.engine
      let text = engine.version + (engine.build.isEmpty ? "" : ", \(engine.build)")
      guard !seen.contains(engine.name + text) else { return nil }
      seen.append(engine.name + text)
      return tag("li") {
        Html.name(engine.name, palette)
        tag("span", ["class": "version"]) { text }
      }
    }
  }

  private var navigation: Markup {
    guard comparisons.count > 1 else { return .empty }
    return tag("nav", ["aria-label": "Workloads"]) {
      tag("a", ["href": "#summary"]) { "Summary" }
      comparisons.map { comparison in
        tag("a", ["href": "#" + Html.anchor(comparison.workload)]) { comparison.workload }
      }
      tag("a", ["href": "#about"]) { "What the figures mean" }
    }
  }
}
