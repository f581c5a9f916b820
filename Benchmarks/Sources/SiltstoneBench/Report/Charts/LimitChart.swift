/// Siltstone's rate beside what disk, cores, writers and syncs would each allow.
struct LimitChart {
  let limit: IngestLimit
  let palette: Palette
  let size: (width: Double, classes: String)

  static func name(_ bound: IngestLimit.Bound) -> String {
    switch bound {
    case .disk: "disk saturated"
    case .cores: "all cores busy"
    case .writers: "writers busy"
    case .syncs: "waiting for syncs"
    }
  }

  var markup: Markup {
    let rates = limit.rates
    let binding = limit.binding?.bound
    let (left, right) = (126.0, size.width - 84)
    let largest = max(rates.map(\.operationsPerSecond).max() ?? 1, limit.measuredOperationsPerSecond)
    let scale = LinearScale(upTo: largest, range: (left, right), count: 4, isTight: true)
    let rowHeight = 30.0
    let height = Double(rates.count + 1) * rowHeight + 8
    var parts = row("settled", limit.measuredOperationsPerSecond, 0, scale, "bar " + palette.classes("siltstone"), "")
    for (index, rate) in rates.enumerated() {
      let isBinding = rate.bound == binding
      parts += row(
        LimitChart.name(rate.bound), rate.operationsPerSecond, Double(index + 1) * rowHeight, scale,
        isBinding ? "bound binding" : "bound", isBinding ? "strongtext" : "")
    }
    if let binding = limit.binding {
      let x = scale.position(binding.operationsPerSecond)
      parts.append(SVG.line(.init(x, 0), .init(x, height), "limit"))
    }
    parts.append(SVG.line(.init(left, 0), .init(left, height), "axis"))
    return SVG.drawing(
      width: size.width, height: height, label: "Siltstone's rate and its limits", classes: size.classes, parts)
  }

  private func row(
    _ name: String, _ rate: Double, _ y: Double, _ scale: LinearScale, _ classes: String, _ textClasses: String
  ) -> [Markup] {
    let middle = y + 17
    let (left, end) = (scale.range.from, scale.position(rate))
    let text = "\(Format.count(rate)) op/s"
    return [
      SVG.text(name, at: .init(left - 8, middle + 4), "barname " + textClasses, anchor: .end),
      SVG.rect(x: left, y: middle - 8, width: max(end - left, 1), height: 16, classes, title: "\(name): \(text)"),
      SVG.text(text, at: .init(end + 7, middle + 4), "barvalue " + textClasses),
    ]
  }
}
