import Foundation

/// How long calls took: percentiles by their nines across, latency upwards, both logarithmic.
struct LatencyChart {
  let groups: [ResultGroup]
  let palette: Palette
  let size: ChartSize

  init(_ groups: [ResultGroup], _ palette: Palette, _ size: ChartSize) {
    self.groups = groups.filter { $0.results.contains { $0.latency != nil } }
    (self.palette, self.size) = (palette, size)
  }

  var markup: Markup {
    let label = "Latency percentiles, \(groups.map(\.engine).joined(separator: ", "))"
    let points = groups.map { group in group.results.map { LatencyChart.points($0.latency) } }
    let all = points.flatMap(\.self).flatMap(\.self)
    guard !all.isEmpty else {
      let content = [Frame.nothing("This workload has no latencies.", size)]
      return SVG.drawing(width: size.width, height: size.height, label: label, classes: size.classes, content)
    }
    let x = NinesScale(nines: min(7, all.map(\.x).max() ?? 1), range: (size.left, size.plotRight))
    let y = LogScale(spanning: all.map(\.y), range: (size.plotBottom, size.top))
    let content =
      Frame.verticalAxis(y, size) { Html.micro(Format.tick(Format.nanoseconds($0))) }
      + Frame.horizontalAxis(x, size, title: "percentile of calls", label: LatencyChart.percentile)
      + curves(points, x, y)
    return SVG.drawing(width: size.width, height: size.height, label: label, classes: size.classes, content)
  }

  private static func percentile(_ value: Double) -> String {
    value == 0 ? "0" : value == 50 ? "50" : Format.trimmed(String(format: "%.4f", value))
  }

  /// Nines and nanoseconds. The longest of n calls stands at log10(n) nines, and nothing beyond: it could not be known.
  static func points(_ latency: RunResult.Latency?) -> [SVG.Point] {
    guard let latency, latency.count > 0 else { return [] }
    let end = max(1, log10(Double(latency.count)))
    return latency.curve.compactMap { point in
      let nines = NinesScale.nines(ofPercentile: point.percentile)
      guard nines < end || point.percentile >= 100, point.nanoseconds > 0 else { return nil }
      return SVG.Point(min(nines, end), Double(point.nanoseconds))
    }
  }

  private func curves(_ points: [[[SVG.Point]]], _ x: NinesScale, _ y: LogScale) -> [Markup] {
    var (faint, strong) = ([Markup](), [Markup]())
    var labels: [(text: String, y: Double, classes: String)] = []
    for (group, runs) in zip(groups, points) {
      let classes = palette.classes(group.engine)
      let median = group.results.firstIndex { $0.operationsPerSecond == group.medianRun?.operationsPerSecond } ?? 0
      for (index, run) in runs.enumerated() {
        let drawn = run.map { SVG.Point(x.position(nines: $0.x), y.position($0.y)) }
        guard index == median else {
          faint.append(SVG.polyline(drawn, "line faint " + classes))
          continue
        }
        strong.append(SVG.polyline(drawn, "line strong " + classes, title: EngineTitle.of(group.engine)))
        strong += dots(run, drawn, group.engine, classes)
        if let last = drawn.last { labels.append((EngineTitle.of(group.engine), last.y, classes)) }
      }
    }
    return faint + strong + (size.hasEndLabels ? Frame.endLabels(labels, size) : [])
  }

  /// At the percentiles that the axis names, with the figure to be read on top of them.
  private func dots(_ run: [SVG.Point], _ drawn: [SVG.Point], _ engine: String, _ classes: String) -> [Markup] {
    let named = NinesScale.percentiles.map { ($0, NinesScale.nines(ofPercentile: $0)) }
    return zip(run, drawn).enumerated().compactMap { index, pair in
      let percentile = named.first { abs($0.1 - pair.0.x) < 1e-6 }
      guard percentile != nil || index == run.count - 1 else { return nil }
      let name = percentile.map { "p" + LatencyChart.percentile($0.0) } ?? "longest"
      let time = Html.micro(Format.nanoseconds(pair.0.y))
      return SVG.circle(pair.1, radius: 3, "dot " + classes, title: "\(EngineTitle.of(engine)) \(name): \(time)")
    }
  }
}
