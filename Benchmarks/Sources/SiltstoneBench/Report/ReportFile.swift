import Foundation

/// A comparison as a JSON document, for machines and for later.
extension ComparisonReport {
  /// Numbers that JSON cannot write, by the names under which they are read back.
  private static let nonFinite = (positive: "inf", negative: "-inf", nan: "nan")

  /// As every report is written.
  static var encoder: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: nonFinite.positive, negativeInfinity: nonFinite.negative, nan: nonFinite.nan)
    return encoder
  }

  func json() throws -> Data { try ComparisonReport.encoder.encode(self) }

  init(json: Data) throws {
    let decoder = JSONDecoder()
    let names = ComparisonReport.nonFinite
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: names.positive, negativeInfinity: names.negative, nan: names.nan)
    let version = try decoder.decode(Version.self, from: json).formatVersion
    guard version == 1 else { throw BenchError("the report is of form \(version), and this is made for form 1") }
    self = try decoder.decode(ComparisonReport.self, from: json)
  }

  init(contentsOf path: String) throws {
    guard let json = FileManager.default.contents(atPath: path) else { throw BenchError("\(path) cannot be read") }
    do {
      self = try ComparisonReport(json: json)
    } catch let error as DecodingError {
      throw BenchError("\(path) is no saved comparison: \(error)")
    }
  }

  private struct Version: Decodable {
    var formatVersion: Int
  }

  func writeJSON(to path: String) throws {
    try (json() + Data("\n".utf8)).write(to: URL(fileURLWithPath: path), options: .atomic)
  }

  func writeHTML(to path: String) throws {
    try Data(ReportPage(self).text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
  }
}
