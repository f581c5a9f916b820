/// The device, every engine's settings, what was left out, how it was run, and what the figures mean.
struct Appendix {
  let report: ComparisonReport
  let palette: Palette

  var markup: Markup {
    Markup([device, settings, omissions, about])
  }

  // MARK: Device

  private var device: Markup {
    guard !report.device.isEmpty else { return .empty }
    let depths = report.device.flatMap { $0.randomReads.map(\.depth) }.reduce(into: [Int]()) {
      if !$0.contains($1) { $0.append($1) }
    }
    return tag("section", ["id": "device"]) {
      tag("h2") {
        "The device"
        tag("span") { "measured in the same directory, before the first run and after the last" }
      }
      tag("div", ["class": "scroll"]) {
        tag("table", ["class": "device"]) {
          tag("thead") { deviceHeading }
          tag("tbody") {
            deviceRow("sequential write") { Format.bytesPerSecond($0.sequentialWriteBytesPerSecond) }
            deviceRow("sequential read") { Format.bytesPerSecond($0.sequentialReadBytesPerSecond) }
            depths.map { depth in
              deviceRow("4 KiB random reads, \(depth) in flight") { Appendix.randomReads($0, depth) }
            }
            deviceRow("append and fdatasync, p50") { Appendix.time($0.syncP50Nanoseconds) }
            deviceRow("append and fdatasync, p99") { Appendix.time($0.syncP99Nanoseconds) }
            deviceRow("access") { $0.isDirect ? "direct" : "through the page cache" }
          }
        }
      }
    }
  }

  private var deviceHeading: Markup {
    let moments = report.device.indices.map { index in
      report.device.count == 1 ? "measured" : index == 0 ? "before" : index == 1 ? "after" : "\(index + 1)"
    }
    return tag("tr") {
      tag("th", ["scope": "col"]) { "Figure" }
      moments.map { moment in tag("th", ["scope": "col"]) { moment } }
    }
  }

  private func deviceRow(_ name: String, _ text: (DeviceFigures) -> String) -> Markup {
    tag("tr") {
      tag("th", ["scope": "row"]) { name }
      report.device.map { device in tag("td") { text(device) } }
    }
  }

  private static func randomReads(_ device: DeviceFigures, _ depth: Int) -> String {
    guard let reads = device.randomReads.first(where: { $0.depth == depth }) else { return "–" }
    return "\(Format.count(reads.operationsPerSecond))/s, p50 \(time(reads.p50Nanoseconds)), "
      + "p99 \(time(reads.p99Nanoseconds))"
  }

  private static func time(_ nanoseconds: UInt64) -> String { Html.micro(Format.nanoseconds(Double(nanoseconds))) }

  // MARK: Settings

  private var settings: Markup {
    guard !report.identities.isEmpty else { return .empty }
    return tag("section", ["id": "settings"]) {
      tag("h2") {
        "Settings"
        tag("span") { "of every engine, as a knowledgeable user would choose them" }
      }
      report.identities.map(identity)
      if !report.arguments.isEmpty {
        tag("p", ["class": "command"]) {
          "Run as "
          tag("code") { report.arguments.joined(separator: " ") }
        }
      }
    }
  }

  private func identity(_ identity: ComparisonReport.Identity) -> Markup {
    let engine = identity.engine
    let isOneOfSeveral = report.identities.filter { $0.engine.name == engine.name }.count > 1
    return tag("details") {
      tag("summary") {
        Html.name(engine.name, palette)
        tag("span", ["class": "version"]) { engine.version + (engine.build.isEmpty ? "" : ", \(engine.build)") }
      }
      if isOneOfSeveral { tag("p") { "In " + identity.workloads.joined(separator: ", ") } }
      tag("table", ["class": "settings"]) {
        tag("tbody") { engine.settings.map(setting) }
      }
    }
  }

  private func setting(_ setting: RunResult.Setting) -> Markup {
    tag("tr") {
      tag("th", ["scope": "row"]) { setting.name }
      tag("td") { setting.value }
    }
  }

  private var omissions: Markup {
    guard !report.omissions.isEmpty else { return .empty }
    return tag("section", ["id": "omissions"]) {
      tag("h2") { "Left out" }
      tag("ul") {
        report.omissions.map { omission in
          tag("li") { "\(EngineTitle.of(omission.engine)), \(omission.workload): \(omission.reason)" }
        }
      }
    }
  }

  // MARK: Explanations

  private var about: Markup {
    tag("section", ["id": "about"]) {
      tag("h2") { "What the figures mean" }
      tag("p") {
        "Every figure is taken in the same way for every engine, from outside it. Each run has a fresh process and "
          + "directory; the engines take turns, and ratios are taken between runs that stood side by side."
      }
      tag("dl", ["class": "explanations"]) {
        Figure.all.map { explanation($0.name, $0.explanation) }
        explanation(
          "the limit",
          "The rate at which the disk would write in sequence all the time, at the bytes that each operation was seen "
            + "to cost; the one at which all cores would be busy; the one at which the writing threads would be; and, "
            + "for synced writes, the one at which every writer would wait for the disk all the time. The least of "
            + "them binds. What is held against it is the settled rate, for the costs are counted until then.")
      }
    }
  }

  private func explanation(_ name: String, _ text: String) -> Markup {
    tag("div") {
      tag("dt") { name }
      tag("dd") { text }
    }
  }
}
