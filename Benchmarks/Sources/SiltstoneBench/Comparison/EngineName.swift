/// An engine as it is named on the command line: `rocksdb`, or `rocksdb@/path/to/siltstone-bench` for the engine of
/// that name in another build of this program, so that two versions of a library can run side by side.
struct EngineName: Hashable, Sendable {
  /// What the engine is called in the build that runs it.
  let engine: String
  /// The program that runs it; nil for this one.
  let executable: String?

  init(_ text: String) throws {
    let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard !parts[0].isEmpty, parts[0].allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }) else {
      throw BenchError("\"\(text)\" is no engine: expected a name, or a name, an @ and the path of another build")
    }
    guard parts.count == 1 || !parts[1].isEmpty else {
      throw BenchError("\"\(text)\": the path after the @ is missing")
    }
    engine = parts[0]
    executable = parts.count == 1 ? nil : parts[1]
  }

  /// Names with commas between them, each one once.
  static func list(_ text: String) throws -> [EngineName] {
    let names = try text.split(separator: ",", omittingEmptySubsequences: false).map { try EngineName(String($0)) }
    for (index, name) in names.enumerated() where names[..<index].contains(name) {
      throw BenchError("\(name) is named twice")
    }
    return names
  }

  /// What tables and plots call it: with the version if it is another build's (`rocksdb@11.9`), and with as much of the
  /// path as it takes if there is no telling by the version.
  func label(version: String) -> String {
    guard executable != nil else { return engine }
    return engine + "@" + EngineName.short(version)
  }

  /// The labels of several engines, of which no two are the same. `versions` are in the same order, as the engines'
  /// libraries tell them.
  static func labels(_ names: [EngineName], versions: [String]) -> [String] {
    let labels = zip(names, versions).map { $0.label(version: $1) }
    return zip(names, labels).map { name, label in
      guard labels.count(where: { $0 == label }) > 1, let executable = name.executable else { return label }
      return name.engine + "@" + executable
    }
  }

  /// Major and minor version: the patch level says little in a plot.
  private static func short(_ version: String) -> String {
    version.split(separator: ".").prefix(2).joined(separator: ".")
  }
}

extension EngineName: CustomStringConvertible {
  /// As on the command line.
  var description: String { executable.map { engine + "@" + $0 } ?? engine }
}
