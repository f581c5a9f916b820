/// All figures of one workload: for each engine the median, the spread, and the ratio to the peer.
struct FigureTable {
  let comparison: WorkloadComparison
  let palette: Palette

  private var groups: [ResultGroup] { comparison.groups }
  private var base: ResultGroup? { comparison.peer }

  var markup: Markup {
    tag("details", ["open": "open", "class": "figures"]) {
      tag("summary") { "All figures" }
      tag("div", ["class": "scroll"]) {
        tag("table") {
          tag("thead") { heading }
          tag("tbody") { comparison.figures.map(row) }
        }
      }
      tag("p", ["class": "tablenote"]) { explanation }
    }
  }

  private var explanation: String {
    let rounds = groups.map(\.results.count).max() ?? 0
    let spread =
      rounds > 1
      ? "Medians of \(rounds) runs; span: from the least to the largest, as a share of the median" : "One run"
    guard let base, groups.count > 1 else { return spread + "." }
    return "\(spread); ratio: to \(EngineTitle.of(base.engine)), the median over the rounds."
  }

  private var heading: Markup {
    Markup([
      tag("tr") {
        tag("th", ["scope": "col", "rowspan": "2"]) { "Figure" }
        groups.map { group in
          tag("th", ["scope": "colgroup", "colspan": "3"]) { Html.name(group.engine, palette) }
        }
      },
      tag("tr", ["class": "columns"]) { groups.flatMap(columns) },
    ])
  }

  private func columns(_ group: ResultGroup) -> [Markup] {
    let (hasSpread, hasRatio) = (group.results.count > 1, base != nil && base?.engine != group.engine)
    let titles = [("value", "median"), ("spread", hasSpread ? "span" : ""), ("ratio", hasRatio ? "ratio" : "")]
    return titles.map { classes, title in
      tag("th", ["scope": "col", "class": classes]) { title }
    }
  }

  private func row(_ figure: Figure) -> Markup {
    tag("tr") {
      tag("th", ["scope": "row", "title": figure.explanation]) { figure.name }
      groups.flatMap { cells(figure, $0) }
    }
  }

  private func cells(_ figure: Figure, _ group: ResultGroup) -> [Markup] {
    let cell = comparison.cell(figure, group, against: base)
    let hasSpread = cell.values.count > 1 && cell.spread.isFinite
    return [
      tag("td", ["class": "value"]) { Html.micro(figure.text(cell.median)) },
      tag("td", ["class": cell.isWide ? "spread uncertain" : "spread"]) {
        hasSpread ? Html.micro(Format.spread(cell.spread)) : ""
      },
      tag("td", ["class": "ratio"]) { cell.ratio.isFinite ? Html.micro(Format.ratio(cell.ratio)) : "" },
    ]
  }
}
