/// Numbers for people. MB is 10^6 bytes, as disks are sold.
enum Format {
  /// `1234567` as `1,234,567`.
  static func grouped(_ value: UInt64) -> String {
    let digits = Array(String(value))
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return text
  }

  static func grouped(_ value: Double) -> String {
    value.isFinite && value >= 0 && value < 1e18 ? grouped(UInt64(value.rounded())) : "-"
  }

  /// With exactly `places` digits after the point.
  static func fixed(_ value: Double, _ places: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "-" }
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = UInt64((abs(value) * scale).rounded())
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard places > 0 else { return sign + String(scaled) }
    let fraction = String(scaled % UInt64(scale))
    let zeros = String(repeating: "0", count: places - fraction.count)
    return "\(sign)\(scaled / UInt64(scale)).\(zeros)\(fraction)"
  }

  /// `1 record`, `2,000 records`.
  static func counted(_ count: UInt64, _ noun: String) -> String {
    "\(grouped(count)) \(noun)\(count == 1 ? "" : "s")"
  }

  /// As `bytes` of an unsigned count.
  static func bytes(_ value: Int) -> String { bytes(UInt64(max(0, value))) }

  /// Bytes in the unit that leaves the fewest digits: `512 B`, `1.5 kB`, `20.3 MB`.
  static func bytes(_ value: UInt64) -> String {
    var scaled = Double(value)
    if value < 1000 { return "\(value) B" }
    for unit in ["kB", "MB", "GB"] {
      scaled /= 1000
      if scaled < 1000 { return "\(fixed(scaled, 1)) \(unit)" }
    }
    return "\(fixed(scaled / 1000, 1)) TB"
  }

  /// A latency: `850 ns`, `12.3 us`, `4.5 ms`.
  static func nanoseconds(_ value: UInt64) -> String {
    switch value {
    case ..<1_000: "\(value) ns"
    case ..<1_000_000: "\(fixed(Double(value) / 1e3, 1)) us"
    case ..<1_000_000_000: "\(fixed(Double(value) / 1e6, 1)) ms"
    default: "\(fixed(Double(value) / 1e9, 2)) s"
    }
  }

  static func padded(_ text: String, _ width: Int, right: Bool = true) -> String {
    let space = String(repeating: " ", count: max(0, width - text.count))
    return right ? space + text : text + space
  }
}

/// A table of text: the first column to the left, the others to the right.
struct TextTable {
  private var rows: [[String]] = []

  mutating func add(_ row: [String]) { rows.append(row) }

  var lines: [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      let cells = row.enumerated().map { Format.padded($1, widths[$0], right: $0 > 0) }
      let line = cells.joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed())
    }
  }
}
