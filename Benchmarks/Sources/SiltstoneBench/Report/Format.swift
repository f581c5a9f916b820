import Foundation

/// Numbers as people read them: three significant digits and a unit that fits. ASCII, so that any terminal shows them.
enum Format {
  /// Stands for a figure that a run does not have.
  static let missing = "-"

  /// Three significant digits: `1.42`, `14.2`, `142`, and whole numbers above. Below 0.01 it is 0.
  static func number(_ value: Double) -> String {
    guard value.isFinite else { return missing }
    let size = abs(value)
    let decimals = size < 0.005 ? 0 : size < 0.0995 ? 3 : size < 9.995 ? 2 : size < 99.95 ? 1 : 0
    return String(format: "%.\(decimals)f", value)
  }

  /// Plain or with k, M, G for thousands, as in `213 k`.
  static func count(_ value: Double) -> String { scaled(value, ["", "k", "M", "G", "T"]) }

  /// An exact count, without zeros that say nothing: `5 M`, `1.5 M`, `200 k`.
  static func exact(_ value: UInt64) -> String {
    var (value, unit) = (Double(value), "")
    for next in ["k", "M", "G"] where value >= 1_000 { (value, unit) = (value / 1_000, next) }
    return trimmed(String(format: "%.3f", value)) + (unit.isEmpty ? "" : " " + unit)
  }

  /// In powers of ten: a MB is 10^6 bytes.
  static func bytes(_ value: Double) -> String { scaled(value, ["B", "kB", "MB", "GB", "TB"]) }

  static func bytesPerSecond(_ value: Double) -> String {
    value.isFinite ? bytes(value) + "/s" : missing
  }

  static func nanoseconds(_ value: Double) -> String { scaled(value, ["ns", "us", "ms", "s"]) }

  static func seconds(_ value: Double) -> String { value == 0 ? "0 s" : nanoseconds(value * 1e9) }

  static func ratio(_ value: Double) -> String { value.isFinite ? number(value) + "x" : missing }

  /// Of a share: `0.41` is `41 %`.
  static func percent(_ share: Double) -> String {
    guard share.isFinite else { return missing }
    let value = share * 100
    let decimals = value == 0 || abs(value) >= 9.95 ? 0 : abs(value) < 0.095 ? 2 : 1
    return String(format: "%.\(decimals)f %%", value)
  }

  /// Of a spread, in whole percent, or as a multiple from ten times the median on: `31%`, `84x`.
  static func spread(_ share: Double) -> String {
    guard share.isFinite else { return missing }
    return share < 10 ? String(format: "%.0f%%", share * 100) : count(share.rounded()) + "x"
  }

  /// A round number without zeros that say nothing, for axes: `10.0 us` is `10 us`.
  static func tick(_ text: String) -> String {
    let parts = text.split(separator: " ", maxSplits: 1)
    guard let digits = parts.first else { return text }
    return ([trimmed(String(digits))] + parts.dropFirst().map(String.init)).joined(separator: " ")
  }

  /// Hours, minutes and seconds, as in a progress bar: `0:42`, `12:05`, `1:02:30`.
  static func clock(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return "-:--" }
    let whole = Int(max(0, seconds).rounded())
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    return hours > 0 ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
  }

  static func trimmed(_ decimal: String) -> String {
    guard decimal.contains(".") else { return decimal }
    let end = decimal.lastIndex { $0 != "0" }.map(decimal.index(after:)) ?? decimal.endIndex
    return decimal[..<end].last == "." ? String(decimal[..<end].dropLast()) : String(decimal[..<end])
  }

  private static func scaled(_ value: Double, _ units: [String]) -> String {
    guard value.isFinite else { return missing }
    var (scaled, index) = (value, 0)
    // 999.6 would be printed as 1000: it is 1.00 of the next unit.
    while abs(scaled) >= 999.5, index + 1 < units.count { (scaled, index) = (scaled / 1_000, index + 1) }
    // A whole number of the smallest unit has no decimals to show.
    let digits = index == 0 && scaled == scaled.rounded() ? String(format: "%.0f", scaled) : number(scaled)
    return units[index].isEmpty ? digits : digits + " " + units[index]
  }
}
