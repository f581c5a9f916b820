import Foundation

/// Operations a second over time: a line for each run, the median run of each engine strong and the others faint. A
/// strip below says how long each engine's median run worked, and how long it then settled.
struct ThroughputChart {
  let groups: [ResultGroup]
  let palette: Palette
  let size: ChartSize
  let isLogarithmic: Bool

  private static let stripHeight = 9.0

  init(_ groups: [ResultGroup], _ palette: Palette, _ size: ChartSize, isLogarithmic: Bool) {
    self.groups = groups.filter { $0.results.contains { $0.operations > 0 } }
    self.palette = palette
    self.size = size.taller(by: Double(self.groups.count) * ThroughputChart.stripHeight + 8)
    self.isLogarithmic = isLogarithmic
  }

  /// Whether rates lie so far apart that the slow engines' lines, and the short ones of the fast, could not be seen.
  static func needsLogarithm(_ groups: [ResultGroup]) -> Bool {
    let rates = groups.map { $0.median(\.operationsPerSecond) }.filter { $0.isFinite && $0 > 0 }
    guard let low = rates.min(), let high = rates.max() else { return false }
    return high / low > 8
  }

  var markup: Markup {
    let lines = groups.map { group in group.results.map { ThroughputChart.line($0, buckets: Int(size.width / 2)) } }
    let label = "Operations a second over time, \(groups.map(\.engine).joined(separator: ", "))"
    let classes = "\(size.classes) \(isLogarithmic ? "log" : "lin")"
    guard !lines.allSatisfy({ $0.allSatisfy(\.isEmpty) }) else {
      let content = [Frame.nothing("No run lasted long enough for a point.", size)]
      return SVG.drawing(width: size.width, height: size.height, label: label, classes: classes, content)
    }
    let (x, y) = scales(lines.flatMap(\.self).flatMap(\.self))
    let content =
      Frame.verticalAxis(y, size) { $0 == 0 ? "0" : Format.tick(Format.count($0)) }
      + axis(x) + settling(x) + curves(lines, x, y) + strips(x)
    return SVG.drawing(width: size.width, height: size.height, label: label, classes: classes, content)
  }

  // MARK: Points

  /// The rate in each interval, at its middle, with flat ends: a run of one interval is a line as well. Long runs are
  /// averaged down to about `buckets` points.
  static func line(_ result: RunResult, buckets: Int) -> [SVG.Point] {
    var intervals: [(from: Double, to: Double, operations: Double)] = []
    var from = 0.0
    for point in result.timeline {
      guard point.second.isFinite, point.second > from else { continue }
      let to = min(point.second, max(result.seconds, from))
      // What is left at the end can be too short for a rate: it belongs to the interval before.
      if to - from >= 0.25 {
        intervals.append((from, to, Double(point.operations)))
      } else if !intervals.isEmpty {
        intervals[intervals.count - 1].to = max(to, intervals[intervals.count - 1].to)
        intervals[intervals.count - 1].operations += Double(point.operations)
      }
      from = point.second
      if from >= result.seconds { break }
    }
    if intervals.isEmpty, result.seconds > 0, result.operations > 0 {
      intervals = [(0, result.seconds, Double(result.operations))]
    }
    let perBucket = max(1, (intervals.count + buckets - 1) / max(buckets, 1))
    let points = stride(from: 0, to: intervals.count, by: perBucket).map { index in
      let bucket = intervals[index..<min(index + perBucket, intervals.count)]
      let (begin, end) = (bucket.first?.from ?? 0, bucket.last?.to ?? 0)
      return SVG.Point((begin + end) / 2, bucket.reduce(0) { $0 + $1.operations } / (end - begin))
    }
    guard let first = points.first, let last = points.last, let end = intervals.last?.to else { return [] }
    return [SVG.Point(0, first.y)] + points + [SVG.Point(end, last.y)]
  }

  // MARK: Axes

  private var longest: Double { groups.flatMap(\.results).map { max($0.seconds, $0.settledSeconds) }.max() ?? 1 }

  private func scales(_ points: [SVG.Point]) -> (x: TimeScale, y: any Scale) {
    let (across, up) = ((from: size.left, to: size.plotRight), (from: size.plotBottom, to: size.top))
    guard isLogarithmic else {
      return (
        TimeScale(upTo: longest) {
          LinearScale(upTo: $0, range: across, count: size.hasEndLabels ? 8 : 5, isTight: true)
        },
        LinearScale(upTo: points.map(\.y).max() ?? 1, range: up, count: 5)
      )
    }
    // Stalls go down to nothing: what lies more than three decades below the top is drawn at the bottom.
    let top = points.map(\.y).max() ?? 1
    let shortest = groups.flatMap(\.results).map(\.seconds).filter { $0 > 0 }.min() ?? 1
    return (
      TimeScale(upTo: longest) {
        LogScale(spanning: [min(0.5, shortest / 2) / longest * $0, $0], range: across, isTight: true)
      },
      LogScale(spanning: points.map { max($0.y, top / 1_000) }, range: up)
    )
  }

  private func axis(_ x: TimeScale) -> [Markup] {
    Frame.horizontalAxis(x, size, title: "") { x.label($0) }
  }

  // MARK: Drawing

  private func curves(_ lines: [[[SVG.Point]]], _ x: any Scale, _ y: any Scale) -> [Markup] {
    var (faint, strong) = ([Markup](), [Markup]())
    var labels: [(text: String, y: Double, classes: String)] = []
    for (group, runs) in zip(groups, lines) {
      let median = group.medianRun?.operationsPerSecond
      var isMedianDrawn = false
      for (result, points) in zip(group.results, runs) {
        let isMedian = !isMedianDrawn && result.operationsPerSecond == median
        isMedianDrawn = isMedianDrawn || isMedian
        let drawn = points.map { SVG.Point(x.position($0.x), y.position($0.y)) }
        let title = "\(EngineTitle.of(group.engine)): \(Format.count(result.operationsPerSecond)) op/s on average"
        let shape = SVG.polyline(
          drawn, "line \(palette.classes(group.engine)) \(isMedian ? "strong" : "faint")", title: title)
        if isMedian { strong.append(shape) } else { faint.append(shape) }
        if isMedian, let last = drawn.last {
          strong.append(SVG.circle(last, radius: 3, "dot " + palette.classes(group.engine)))
          labels.append((EngineTitle.of(group.engine), last.y, palette.classes(group.engine)))
        }
      }
    }
    return faint + strong + (size.hasEndLabels ? Frame.endLabels(labels, size) : [])
  }

  /// With one engine or two, the time until it settled is shaded in the plot too; with more it would be a muddle.
  private func settling(_ x: any Scale) -> [Markup] {
    guard groups.count <= 2 else { return [] }
    return groups.compactMap { group in
      guard let run = group.medianRun, run.settledSeconds > run.seconds else { return nil }
      let (from, to) = (x.position(run.seconds), x.position(run.settledSeconds))
      return SVG.rect(
        x: from, y: size.top, width: to - from, height: size.plotBottom - size.top,
        "settling " + palette.classes(group.engine))
    }
  }

  private func strips(_ x: any Scale) -> [Markup] {
    let top = size.plotBottom + 28
    return groups.enumerated().flatMap { index, group -> [Markup] in
      guard let run = group.medianRun else { return [] }
      let y = top + Double(index) * ThroughputChart.stripHeight
      let (begin, end) = (x.position(0), x.position(run.seconds))
      let settled = x.position(max(run.seconds, run.settledSeconds))
      let (worked, whole) = (Format.seconds(run.seconds), Format.seconds(run.settledSeconds))
      let title = "\(EngineTitle.of(group.engine)): worked for \(worked), settled after \(whole)"
      let classes = palette.classes(group.engine)
      return [
        SVG.rect(x: begin, y: y, width: max(end - begin, 1), height: 5, "worked " + classes, title: title),
        SVG.rect(x: end, y: y, width: settled - end, height: 5, "settled " + classes, title: title),
      ]
    } + [
      SVG.text(
        size.hasEndLabels ? "worked (solid), settled (pale)" : "solid: worked, pale: settled",
        at: .init(size.left, top + Double(groups.count) * ThroughputChart.stripHeight + 13), "note")
    ]
  }
}
