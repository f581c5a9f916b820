import Foundation
import Testing

/// The rules of the house, held by a test: data flows down the floors, files say one thing, lines fit.
@Suite struct TidyTests {
  /// From the ground up. Rooms on one floor may name each other; nothing may name a room above it.
  static let floors: [[String]] = [
    ["Core"], ["Storage"], ["Sharing"], ["Memtable", "Table"], ["Values"], ["Tree"], ["Compaction"], ["Read"],
    ["Commit"], ["Engine", "API"],
  ]

  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  static let engine = root.appendingPathComponent("Sources/Siltstone")

  /// Where the project's code lies.
  static let folders = ["Sources", "CSupport", "Tests", "Benchmarks"]

  static func files(in folder: URL, endingWith suffixes: [String]) -> [URL] {
    let all = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.allObjects as? [URL] ?? []
    return all.filter { url in suffixes.contains { url.path.hasSuffix($0) } && !url.path.contains("/.build") }
  }

  static func text(_ url: URL) throws -> String { try String(contentsOf: url, encoding: .utf8) }

  /// The source without comments and string literals, so that words in them do not count.
  static func code(_ source: String) -> String {
    source.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      var line = String(line)
      line = line.replacing(/"(?:[^"\\]|\\.)*"/, with: "\"\"")
      if let comment = line.range(of: "//") { line = String(line[..<comment.lowerBound]) }
      return line
    }.joined(separator: "\n")
  }

  /// Types declared at the top level of a room: the names by which others can know it.
  static func topLevelTypes(in room: String) throws -> Set<String> {
    var names: Set<String> = []
    for file in files(in: engine.appendingPathComponent(room), endingWith: [".swift"]) {
      for line in code(try text(file)).split(separator: "\n") {
        let declaration =
          /^(?:[a-z@]+ )*(?:struct|class|enum|protocol|actor|typealias) (\w+)/
        if let match = line.firstMatch(of: declaration) { names.insert(String(match.1)) }
      }
    }
    return names
  }

  @Test func everyRoomHasItsFloor() throws {
    let rooms = try FileManager.default.contentsOfDirectory(atPath: Self.engine.path)
      .filter { !$0.hasSuffix(".docc") && !$0.hasSuffix(".swift") }
    #expect(Set(rooms) == Set(Self.floors.joined()))
    for room in Self.floors.joined() { #expect(try !Self.topLevelTypes(in: room).isEmpty, "\(room) is empty") }
  }

  @Test func noRoomNamesARoomAboveIt() throws {
    var above: Set<String> = []
    for floor in Self.floors.reversed() {
      for room in floor {
        for file in Self.files(in: Self.engine.appendingPathComponent(room), endingWith: [".swift"]) {
          let words = Set(Self.code(try Self.text(file)).matches(of: /\b[A-Z]\w+/).map { String($0.output) })
          let upward = words.intersection(above)
          #expect(upward.isEmpty, "\(room)/\(file.lastPathComponent) names \(upward.sorted()) from a floor above")
        }
      }
      for room in floor { above.formUnion(try Self.topLevelTypes(in: room)) }
    }
  }

  @Test func noFileOutgrowsOneIdea() throws {
    let files = Self.folders.flatMap {
      Self.files(in: Self.root.appendingPathComponent($0), endingWith: [".swift", ".c", ".h"])
    }
    #expect(files.count > 50)
    for file in files {
      let lines = try Self.text(file).split(separator: "\n", omittingEmptySubsequences: false).count
      #expect(lines <= 450, "\(file.lastPathComponent) has \(lines) lines")
    }
  }

  @Test func linesFitThePage() throws {
    let files = Self.folders.flatMap {
      Self.files(in: Self.root.appendingPathComponent($0), endingWith: [".swift", ".c", ".h"])
    }
    for file in files {
      for (number, line) in try Self.text(file).split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        #expect(line.count <= 120, "\(file.lastPathComponent):\(number + 1) has \(line.count) columns")
      }
    }
  }

  @Test func theEngineDoesWithoutFoundation() throws {
    for file in Self.files(in: Self.engine, endingWith: [".swift"]) {
      #expect(!Self.code(try Self.text(file)).contains("import Foundation"), "\(file.lastPathComponent)")
    }
  }

  @Test func theRingLibraryStaysOutOfHeaders() throws {
    for file in Self.files(in: Self.root.appendingPathComponent("CSupport"), endingWith: [".h"]) {
      #expect(!(try Self.text(file)).contains("#include <liburing.h>"), "\(file.lastPathComponent)")
    }
  }

  @Test func thereAreAtMostFifteenOptions() throws {
    let options = Self.engine.appendingPathComponent("API/Options.swift")
    let count = Self.code(try Self.text(options)).matches(of: /\n  public var \w+/).count
    #expect(count > 5 && count <= 15, "\(count) options")
  }
}
