import Glibc

/// Whether and how text is set off.
enum TerminalStyle: Sendable {
  case plain, colour

  /// Colour if standard output is a terminal and nobody asked for none (`NO_COLOR`).
  static var forStandardOutput: TerminalStyle {
    isatty(STDOUT_FILENO) == 1 && (getenv("NO_COLOR").map { $0.pointee == 0 } ?? true) ? .colour : .plain
  }

  enum Role: String, Sendable {
    case plain = ""
    case heading = "1"
    case faint = "2"
    case warning = "33"
    case better = "32"
  }

  func apply(_ role: Role, _ text: String) -> String {
    self == .plain || role == .plain || text.isEmpty ? text : "\u{1B}[\(role.rawValue)m\(text)\u{1B}[0m"
  }
}

/// Columns of text, the first to the left and the others to the right, as wide as what is in them.
struct TerminalTable {
  struct Cell {
    var text: String
    var role = TerminalStyle.Role.plain

    init(_ text: String, _ role: TerminalStyle.Role = .plain) { (self.text, self.role) = (text, role) }
  }

  private var rows: [[Cell]] = []
  /// Spaces before each column.
  let gaps: [Int]

  /// `gaps` has one number for each column.
  init(gaps: [Int]) { self.gaps = gaps }

  /// Cells that are missing at the end are empty.
  mutating func add(_ cells: [Cell]) {
    precondition(cells.count <= gaps.count)
    rows.append(cells)
  }

  func lines(_ style: TerminalStyle) -> [String] {
    let widths = gaps.indices.map { column in
      rows.map { column < $0.count ? $0[column].text.count : 0 }.max() ?? 0
    }
    return rows.map { row in
      var line = ""
      var pending = ""
      for (column, cell) in row.enumerated() {
        pending += String(repeating: " ", count: widths[column] == 0 ? 0 : gaps[column])
        let padding = String(repeating: " ", count: widths[column] - cell.text.count)
        if column > 0 { pending += padding }
        if !cell.text.isEmpty {
          line += pending + style.apply(cell.role, cell.text)
          pending = ""
        }
        if column == 0 { pending += padding }
      }
      return line
    }
  }
}
