import Foundation
import Testing

/// The probes that tracers look for, read from the built tool as they read them: notes in its ELF file.
@Suite struct ToolProbeTests {
  struct Probe {
    var name: String
    var arguments: [Substring]
  }

  /// A note's name is "stapsdt"; the descriptor behind it holds three addresses and then three strings.
  static func probes(_ file: Data) -> [Probe] {
    var probes: [Probe] = []
    var rest = file[...]
    while let note = rest.range(of: Data("stapsdt\0".utf8)) {
      rest = rest[note.upperBound...]
      let strings = rest.dropFirst(3 * 8).prefix(256).split(
        separator: 0, maxSplits: 3, omittingEmptySubsequences: false
      )
      .map { String(decoding: $0, as: UTF8.self) }
      guard strings.count == 4, strings[0] == "siltstone" else { continue }
      probes.append(Probe(name: strings[1], arguments: strings[2].split(separator: " ")))
    }
    return probes
  }

  @Test func everyProbeOfThePageIsInTheTool() throws {
    #if arch(x86_64) || arch(arm64)
      let probes = Self.probes(try Data(contentsOf: URL(fileURLWithPath: Tool.path)))
      let argumentCounts = [
        "flush__begin": 2, "flush__end": 3, "compaction__begin": 3, "compaction__end": 3, "stall__begin": 1,
        "stall__end": 1, "drain__begin": 3, "drain__end": 2, "commit__done": 3,
      ]
      #expect(Set(probes.map(\.name)) == Set(argumentCounts.keys))
      for probe in probes {
        #expect(probe.arguments.count == argumentCounts[probe.name], "\(probe.name)")
        #expect(probe.arguments.allSatisfy { $0.hasPrefix("8@") }, "\(probe.name): \(probe.arguments)")
      }
      let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources/Siltstone/Siltstone.docc/Observability.md")
      let text = try String(contentsOf: page, encoding: .utf8)
      for name in argumentCounts.keys { #expect(text.contains("| `\(name)` |"), "\(name) is not documented") }
    #endif
  }
}
