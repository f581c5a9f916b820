/// One figure of every engine: a bar to the median, a whisker from the least run to the largest, and the number.
struct BarChart {
  struct Bar {
    let engine: String
    let median: Double
    /// From the least run to the largest.
    let range: ClosedRange<Double>?
    /// The part of it that is drawn solid, if the rest is pale.
    var solid: Double?
    let text: String
    var isWide = false
  }

  let title: String
  let bars: [Bar]
  let palette: Palette
  /// The scale's end, if it is not the largest bar's.
  var top: Double?

  private static let width = 320.0
  private static let rowHeight = 25.0

  var markup: Markup {
    let names = bars.map { SVG.width(of: EngineTitle.of($0.engine)) + 12 }.max() ?? 0
    let left = min(max(62, names), 130)
    let texts = bars.map { SVG.width(of: $0.text) + 12 }.max() ?? 0
    let right = BarChart.width - min(max(texts, 50), 130)
    let extremes = bars.flatMap { [$0.median, $0.range?.upperBound ?? 0] }.filter(\.isFinite)
    let largest = top ?? extremes.max() ?? 1
    let scale = LinearScale(upTo: largest, range: (left, right), count: 4, isTight: true)
    let height = Double(bars.count) * BarChart.rowHeight + 6
    let rows = bars.enumerated().flatMap { index, bar in
      row(bar, y: Double(index) * BarChart.rowHeight + 4, scale)
    }
    let frame = [SVG.line(.init(left, 0), .init(left, height), "axis")]
    let end = top == nil ? [] : [SVG.line(.init(right, 0), .init(right, height), "limit")]
    return SVG.drawing(
      width: BarChart.width, height: height, label: title, classes: "bars", frame + end + rows)
  }

  private func row(_ bar: Bar, y: Double, _ scale: LinearScale) -> [Markup] {
    let (middle, left) = (y + BarChart.rowHeight / 2 - 4, scale.range.from)
    var parts = [SVG.text(EngineTitle.of(bar.engine), at: .init(left - 8, middle + 4), "barname", anchor: .end)]
    guard bar.median.isFinite else {
      return parts + [SVG.text("none", at: .init(left + 8, middle + 4), "note")]
    }
    let classes = palette.classes(bar.engine)
    let (height, end) = (13.0, scale.position(bar.median))
    let title = "\(EngineTitle.of(bar.engine)): \(bar.text)"
    parts.append(
      SVG.rect(
        x: left, y: middle - height / 2, width: max(end - left, 1), height: height,
        "bar \(bar.solid == nil ? "" : "pale ")" + classes, title: title))
    if let solid = bar.solid {
      parts.append(
        SVG.rect(
          x: left, y: middle - height / 2, width: max(scale.position(solid) - left, 1), height: height,
          "bar " + classes, title: title))
    }
    var labelAt = end
    if let range = bar.range, range.lowerBound < range.upperBound {
      let (low, high) = (scale.position(range.lowerBound), scale.position(range.upperBound))
      labelAt = max(end, high)
      if high - low > 2 { parts += whisker(low, high, middle) }
    }
    parts.append(SVG.text(bar.text, at: .init(labelAt + 7, middle + 4), "barvalue\(bar.isWide ? " uncertain" : "")"))
    return parts
  }

  private func whisker(_ low: Double, _ high: Double, _ y: Double) -> [Markup] {
    [
      SVG.line(.init(low, y), .init(high, y), "whisker"),
      SVG.line(.init(low, y - 3.5), .init(low, y + 3.5), "whisker"),
      SVG.line(.init(high, y - 3.5), .init(high, y + 3.5), "whisker"),
    ]
  }
}
