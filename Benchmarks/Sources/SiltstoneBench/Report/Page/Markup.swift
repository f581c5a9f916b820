/// A piece of HTML or SVG in which everything that opens is closed: the only ways to make one are to escape text and to
/// wrap pieces in elements. What comes out is well-formed XML too.
struct Markup: Sendable {
  let text: String

  private init(markup: String) { text = markup }

  static let empty = Markup(markup: "")

  /// Text, whatever characters are in it.
  init(_ plain: String) { text = Markup.escape(plain) }

  /// Pieces, one behind the other.
  init(_ parts: [Markup]) { text = parts.map(\.text).joined() }

  /// An element. Without content it closes itself.
  init(element name: String, _ attributes: KeyValuePairs<String, String>, _ content: Markup) {
    let list = attributes.map { " \($0.key)=\"\(Markup.escape($0.value))\"" }.joined()
    let closesItself = content.text.isEmpty && Markup.void.contains(name)
    text = closesItself ? "<\(name)\(list)/>" : "<\(name)\(list)>\(content.text)</\(name)>"
  }

  /// A style sheet or script of the harness's own, which must have no `<` or `&` in it.
  init(element name: String, source: String) {
    precondition(!source.contains { $0 == "<" || $0 == "&" })
    text = "<\(name)>\(source)</\(name)>"
  }

  /// Elements that HTML or SVG lets close themselves; of the others HTML wants both tags.
  private static let void: Set<String> = [
    "meta", "br", "hr", "col", "line", "rect", "path", "circle", "polyline",
  ]

  /// Escapes what means something in text or in a quoted attribute, and replaces what XML cannot hold.
  static func escape(_ plain: String) -> String {
    var result = ""
    for scalar in plain.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\t", "\n", "\r": result.unicodeScalars.append(scalar)
      case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF: result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

/// Strings between the elements are text, and escaped.
@resultBuilder
enum MarkupBuilder {
  static func buildExpression(_ markup: Markup) -> Markup { markup }
  static func buildExpression(_ parts: [Markup]) -> Markup { Markup(parts) }
  static func buildExpression(_ plain: String) -> Markup { Markup(plain) }
  static func buildBlock(_ parts: Markup...) -> Markup { Markup(parts) }
  static func buildOptional(_ part: Markup?) -> Markup { part ?? .empty }
  static func buildEither(first: Markup) -> Markup { first }
  static func buildEither(second: Markup) -> Markup { second }
  static func buildArray(_ parts: [Markup]) -> Markup { Markup(parts) }
}

/// An element with its content.
func tag(
  _ name: String, _ attributes: KeyValuePairs<String, String> = [:], @MarkupBuilder _ content: () -> Markup
) -> Markup {
  Markup(element: name, attributes, content())
}

/// An element without content.
func tag(_ name: String, _ attributes: KeyValuePairs<String, String> = [:]) -> Markup {
  Markup(element: name, attributes, .empty)
}
