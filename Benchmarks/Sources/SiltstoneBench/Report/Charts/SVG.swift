import Foundation

/// Shapes of a drawing. How they look is the style sheet's business: each takes a class.
enum SVG {
  struct Point: Sendable {
    var x: Double
    var y: Double

    init(_ x: Double, _ y: Double) { (self.x, self.y) = (x, y) }
  }

  enum Anchor: String, Sendable { case start, middle, end }

  /// A drawing that scales with the page; `label` is read to those who cannot see it.
  static func drawing(width: Double, height: Double, label: String, classes: String = "", _ content: [Markup]) -> Markup
  {
    tag(
      "svg",
      [
        "xmlns": "http://www.w3.org/2000/svg", "viewBox": "0 0 \(number(width)) \(number(height))", "role": "img",
        "aria-label": label, "class": classes, "style": "max-width:\(number(width * 1.2))px",
      ]
    ) { content }
  }

  static func line(_ from: Point, _ to: Point, _ classes: String) -> Markup {
    tag(
      "line",
      ["x1": number(from.x), "y1": number(from.y), "x2": number(to.x), "y2": number(to.y), "class": classes])
  }

  static func rect(
    x: Double, y: Double, width: Double, height: Double, _ classes: String, title: String? = nil
  ) -> Markup {
    Markup(
      element: "rect",
      [
        "x": number(x), "y": number(y), "width": number(max(width, 0)), "height": number(max(height, 0)),
        "class": classes,
      ], SVG.title(title))
  }

  static func circle(_ centre: Point, radius: Double, _ classes: String, title: String? = nil) -> Markup {
    Markup(
      element: "circle", ["cx": number(centre.x), "cy": number(centre.y), "r": number(radius), "class": classes],
      SVG.title(title))
  }

  static func text(_ string: String, at point: Point, _ classes: String = "", anchor: Anchor = .start) -> Markup {
    tag(
      "text", ["x": number(point.x), "y": number(point.y), "text-anchor": anchor.rawValue, "class": classes]
    ) { string }
  }

  /// A line through all points; nothing if there is none.
  static func polyline(_ points: [Point], _ classes: String, title: String? = nil) -> Markup {
    guard !points.isEmpty else { return .empty }
    let list = points.map { "\(number($0.x)),\(number($0.y))" }.joined(separator: " ")
    return Markup(element: "polyline", ["points": list, "class": classes], SVG.title(title))
  }

  private static func title(_ title: String?) -> Markup { title.map { text in tag("title") { text } } ?? .empty }

  /// A coordinate, to a tenth of a pixel. What is no finite number is drawn at 0 rather than spoil the drawing.
  static func number(_ value: Double) -> String {
    value.isFinite ? Format.trimmed(String(format: "%.1f", value)) : "0"
  }

  /// About how wide a text of this many pixels' height is: digits and lower-case letters of a sans serif.
  static func width(of text: String, size: Double = 12) -> Double { Double(text.count) * size * 0.6 }
}
