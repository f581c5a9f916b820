/// Where a chart is drawn: twice, for wide screens and for narrow ones, so that the text keeps its size.
struct ChartSize: Sendable {
  let width: Double
  let height: Double
  /// Pixels beside and below the plot.
  let left: Double
  let right: Double
  let top: Double
  let bottom: Double
  /// For the style sheet.
  let classes: String

  /// Room at the right for the engines' names.
  static let wide = ChartSize(width: 648, height: 330, left: 60, right: 96, top: 14, bottom: 46, classes: "wide")
  static let narrow = ChartSize(width: 380, height: 290, left: 56, right: 14, top: 12, bottom: 46, classes: "narrow")

  var hasEndLabels: Bool { classes == "wide" }
  var plotRight: Double { width - right }
  var plotBottom: Double { height - bottom }

  func taller(by pixels: Double) -> ChartSize {
    ChartSize(
      width: width, height: height + pixels, left: left, right: right, top: top, bottom: bottom + pixels,
      classes: classes)
  }
}

/// Grid lines, ticks and their labels.
enum Frame {
  static func verticalAxis(_ scale: any Scale, _ size: ChartSize, label: (Double) -> String) -> [Markup] {
    scale.ticks.flatMap { tick in
      let y = scale.position(tick)
      return [
        SVG.line(.init(size.left, y), .init(size.plotRight, y), tick == scale.ticks.first ? "axis" : "grid"),
        SVG.text(label(tick), at: .init(size.left - 8, y + 4), "tick", anchor: .end),
      ]
    }
  }

  /// Labels that would touch the one before are left out, their grid lines are not.
  static func horizontalAxis(
    _ scale: any Scale, _ size: ChartSize, title: String, label: (Double) -> String
  ) -> [Markup] {
    var parts: [Markup] = []
    var taken = -Double.infinity
    for tick in scale.ticks {
      let (x, text) = (scale.position(tick), label(tick))
      parts.append(SVG.line(.init(x, size.top), .init(x, size.plotBottom), "grid"))
      let half = SVG.width(of: text, size: 11) / 2
      guard x - half > taken + 4, x + half <= size.width else { continue }
      taken = x + half
      parts.append(SVG.text(text, at: .init(x, size.plotBottom + 17), "tick", anchor: .middle))
    }
    let middle = (size.left + size.plotRight) / 2
    return parts + [SVG.text(title, at: .init(middle, size.plotBottom + 35), "caption", anchor: .middle)]
  }

  /// Names at the ends of lines, moved apart where they would overlap.
  static func endLabels(_ labels: [(text: String, y: Double, classes: String)], _ size: ChartSize) -> [Markup] {
    let height = 15.0
    let sorted = labels.sorted { $0.y < $1.y }
    let ys = spread(sorted.map(\.y), apart: height, within: size.top + 4...size.plotBottom)
    return zip(sorted, ys).map { label, y in
      SVG.text(label.text, at: .init(size.plotRight + 9, y + 4), "endlabel " + label.classes)
    }
  }

  /// Ascending positions at least `distance` apart, as close to where they were as a pass down and a pass up make them.
  static func spread(_ positions: [Double], apart distance: Double, within bounds: ClosedRange<Double>) -> [Double] {
    var result = positions.map { min(max($0, bounds.lowerBound), bounds.upperBound) }
    for index in result.indices.dropFirst() { result[index] = max(result[index], result[index - 1] + distance) }
    var ceiling = bounds.upperBound
    for index in result.indices.reversed() {
      result[index] = min(result[index], ceiling)
      ceiling = result[index] - distance
    }
    return result
  }

  /// Said in the middle of a chart that has nothing to show.
  static func nothing(_ reason: String, _ size: ChartSize) -> Markup {
    SVG.text(
      reason, at: .init((size.left + size.plotRight) / 2, (size.top + size.plotBottom) / 2), "caption",
      anchor: .middle)
  }
}
