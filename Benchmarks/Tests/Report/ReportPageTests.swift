import Foundation
import FoundationXML
import Testing

@testable import SiltstoneBench

@Suite struct ReportPageTests {
  @Test func textIsEscaped() {
    #expect(Markup("a<b & \"c\" 'd'>").text == "a&lt;b &amp; &quot;c&quot; &#39;d&#39;&gt;")
    #expect(tag("p", ["title": "\"<"]) { "x\u{0}\u{1B}y\n" }.text == "<p title=\"&quot;&lt;\">x\u{FFFD}\u{FFFD}y\n</p>")
    #expect(tag("br").text == "<br/>")
    #expect(tag("td").text == "<td></td>")
  }

  @Test func aReportSurvivesJSON() throws {
    var report = SampleReport.make(rounds: 2)
    report.runs[0].result.extra = ["one": 1.5, "nan": .nan, "more": .infinity]
    report.runs[1].result.latency = nil
    let json = try report.json()
    let back = try ComparisonReport(json: json)
    #expect(try back.json() == json)
    #expect(back.runs[0].result.extra["nan"]?.isNaN == true && back.runs[0].result.extra["more"] == .infinity)
    #expect(back.runs[1].result.latency == nil && back.runs.count == report.runs.count)
    let text = String(decoding: json, as: UTF8.self)
    let other = text.replacing("\"formatVersion\" : 1", with: "\"formatVersion\" : 2")
    #expect(other != text)
    #expect(throws: BenchError.self) { try ComparisonReport(json: Data(other.utf8)) }
    #expect(throws: DecodingError.self) { try ComparisonReport(json: Data("{}".utf8)) }
    #expect(throws: BenchError.self) { try ComparisonReport(contentsOf: "/nowhere/at all.json") }
  }

  /// Reports in which something is missing, odd or hostile.
  enum Edge: String, CaseIterable {
    case whole, empty, oneEngine, onlyPeers, twoRounds, noDevice, noLatency, notANumber, shorterThanASecond
    case nothingDone, hostileNames, manyEngines, stallsOnly, oneRound

    var report: ComparisonReport {
      switch self {
      case .whole: SampleReport.make()
      case .empty: SampleReport.make(workloads: [], devices: 0)
      case .oneEngine: SampleReport.make(engines: ["siltstone"])
      case .onlyPeers: SampleReport.make(engines: ["lmdb", "sqlite"])
      case .twoRounds: SampleReport.make(rounds: 2)
      case .oneRound: SampleReport.make(rounds: 1)
      case .noDevice: SampleReport.make(devices: 0)
      case .noLatency: SampleReport.make { $0.latency = nil }
      case .notANumber:
        SampleReport.make { result in
          (result.seconds, result.settledSeconds, result.stalledSeconds) = (.nan, .infinity, .nan)
          result.extra = ["odd": .nan]
          result.timeline[0].second = .nan
        }
      case .shorterThanASecond:
        SampleReport.make { result in
          (result.seconds, result.settledSeconds) = (0.02, 0.03)
          result.timeline = []
        }
      case .nothingDone:
        SampleReport.make { result in
          result = RunResult(engine: result.engine, specification: result.specification)
        }
      case .hostileNames:
        SampleReport.make(engines: ["</script><b>\u{1}", "\"'&", "a\u{0}b"], workloads: ["<svg onload=x>", "]]>"]) {
          $0.engine.settings = [.init("<i>", "</style>")]
          $0.engine.build = "<!-- "
        }
      case .manyEngines: SampleReport.make(engines: SampleReport.engines + (0..<9).map { "engine-\($0)" })
      case .stallsOnly:
        SampleReport.make { result in
          for index in result.timeline.indices { result.timeline[index].operations = 0 }
        }
      }
    }
  }

  @Test(arguments: Edge.allCases)
  func thePageIsWellFormed(edge: Edge) throws {
    let text = ReportPage(edge.report).text
    let document = try XMLDocument(xmlString: String(text.dropFirst("<!DOCTYPE html>\n".count)))
    let root = try #require(document.rootElement())
    #expect(root.name == "html")
    let drawings = try elements(root, "svg")
    let workloads = edge.report.comparisons.count
    #expect(workloads == 0 ? drawings.isEmpty : drawings.count >= 6 * workloads)
    var checked = 0
    for name in ["x", "y", "cx", "cy", "x1", "x2", "y1", "y2", "width", "height", "points", "viewBox"] {
      for drawing in drawings {
        for node in try drawing.nodes(forXPath: ".//@\(name)") {
          let numbers = (node.stringValue ?? "").split { $0 == " " || $0 == "," }.map { Double($0) }
          #expect(numbers.allSatisfy { $0?.isFinite == true }, "\(name)=\(node.stringValue ?? "")")
          checked += numbers.count
        }
      }
    }
    #expect(checked >= drawings.count * 4)
  }

  @Test(arguments: Edge.allCases)
  func nothingIsDrawnOutsideItsDrawing(edge: Edge) throws {
    let document = try XMLDocument(
      xmlString: String(ReportPage(edge.report).text.dropFirst("<!DOCTYPE html>\n".count)))
    for drawing in try elements(try #require(document.rootElement()), "svg") {
      let box = try attribute(drawing, "viewBox").split(separator: " ")
      let (width, height) = (try #require(Double(box[2])), try #require(Double(box[3])))
      for point in try elements(drawing, "polyline") {
        for pair in try attribute(point, "points").split(separator: " ") {
          let coordinates = pair.split(separator: ",").compactMap { Double($0) }
          #expect((0...width).contains(coordinates[0]) && (0...height).contains(coordinates[1]))
        }
      }
      for label in try elements(drawing, "text") {
        let y = try #require(Double(try attribute(label, "y")))
        #expect((0...height).contains(y))
      }
    }
  }

  @Test func thePageNeedsNothingFromElsewhere() {
    let text = ReportPage(SampleReport.make()).text
    let addresses = text.matches(of: /https?:\/\/[^"]*/).map { String($0.output) }
    #expect(Set(addresses) == ["http://www.w3.org/2000/svg"])
    for word in ["<link", "@import", "url(", "<img", "src="] { #expect(!text.contains(word), "\(word)") }
  }

  @Test func hostileNamesStayText() {
    let text = ReportPage(Edge.hostileNames.report).text
    #expect(!text.contains("<svg onload") && !text.contains("</script><b>") && !text.contains("<i>"))
    #expect(text.contains("&lt;svg onload=x&gt;"))
  }

  @Test func enginesKeepTheirColours() {
    let all = Palette(SampleReport.engines + ["x", "y"])
    #expect(all.classes("rocksdb") == Palette(["rocksdb"]).classes("rocksdb"))
    #expect(Set((SampleReport.engines + ["x", "y"]).map(all.classes)).count == 7)
    #expect(Palette.light.count == Palette.dark.count)
  }

  @Test func ratiosAreShadedByWhichWayIsBetter() {
    #expect(SummarySection.shade(5, .higher) == "better3" && SummarySection.shade(5, .lower) == "worse3")
    #expect(SummarySection.shade(0.4, .higher) == "worse2" && SummarySection.shade(0.4, .lower) == "better2")
    #expect(SummarySection.shade(1.05, .higher) == "even" && SummarySection.shade(0.95, .lower) == "even")
    #expect(SummarySection.shade(.nan, .higher) == "even" && SummarySection.shade(9, .neither) == "even")
  }

  /// By path: elements of a namespace hide their attributes from `attribute(forName:)`.
  private func attribute(_ element: XMLElement, _ name: String) throws -> String {
    try #require(try element.nodes(forXPath: "@\(name)").first?.stringValue)
  }

  private func elements(_ root: XMLElement, _ name: String) throws -> [XMLElement] {
    try root.nodes(forXPath: ".//*[local-name()='\(name)']").compactMap { $0 as? XMLElement }
  }
}
