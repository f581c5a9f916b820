/// How the page looks. No `<` and no `&`, so that the page stays well-formed XML.
enum PageStyle {
  static var text: String {
    let light = variables(Palette.light)
    let dark = variables(Palette.dark)
    let slots = Palette.light.indices.map { ".e\($0) { --c: var(--c\($0)); }" }.joined(separator: "\n")
    return """

      :root {
      \(lightTheme)
      \(light)
      }
      @media screen and (prefers-color-scheme: dark) {
      :root {
      \(darkTheme)
      \(dark)
      }
      }
      \(slots)
      \(layout)
      \(tables)
      \(charts)
      \(narrowAndPrint)

      """
  }

  private static func variables(_ colours: [String]) -> String {
    colours.enumerated().map { "--c\($0.offset): \($0.element);" }.joined(separator: " ")
  }

  private static let lightTheme = """
    color-scheme: light;
    --page: #f6f7f9; --card: #ffffff; --ink: #16202b; --soft: #5a6675; --faint: #8a94a1; --rule: #e3e7ec;
    --grid: #eceff3; --axis: #aab3be; --better: 0, 107, 125; --worse: 190, 84, 20; --warn: #9a4a06; --shade: #eef1f4;
    """

  private static let darkTheme = """
    color-scheme: dark;
    --page: #10151b; --card: #182028; --ink: #e4e9ee; --soft: #a0acb8; --faint: #78848f; --rule: #2a343e;
    --grid: #242e37; --axis: #56626e; --better: 60, 178, 196; --worse: 232, 134, 74; --warn: #f0a868; --shade: #1f2831;
    """

  private static let layout = """
    * { box-sizing: border-box; }
    html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
    body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI",
      Roboto, "Helvetica Neue", Arial, sans-serif; position: relative; }
    header, main, footer { max-width: 1400px; margin: 0 auto; padding: 0 32px; }
    header { padding-top: 40px; }
    h1 { font-size: 32px; line-height: 1.2; letter-spacing: -.015em; margin: 4px 0 24px; font-weight: 650;
      text-wrap: balance; }
    h2 { font-size: 21px; letter-spacing: -.01em; margin: 0 0 4px; font-weight: 650; }
    h2 span { font-size: 15px; font-weight: 400; letter-spacing: 0; color: var(--soft); margin-left: 12px; }
    h3 { font-size: 15px; margin: 0 0 10px; font-weight: 600; }
    h3 span { font-weight: 400; color: var(--soft); }
    p { margin: 0 0 8px; }
    a { color: inherit; text-decoration-color: var(--axis); text-underline-offset: 3px; }
    code { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
    .overline { text-transform: uppercase; letter-spacing: .08em; font-size: 12px; color: var(--soft); margin: 0; }
    .facts { display: flex; flex-wrap: wrap; gap: 12px 36px; margin: 0 0 20px; }
    .facts dt { font-size: 12px; color: var(--soft); }
    .facts dd { margin: 0; font-weight: 500; overflow-wrap: anywhere; }
    .versions { list-style: none; margin: 0 0 24px; padding: 14px 0 0; display: flex; flex-wrap: wrap; gap: 6px 28px;
      border-top: 1px solid var(--rule); }
    .version { color: var(--soft); margin-left: 8px; }
    .engine { font-weight: 600; white-space: nowrap; }
    .chip { display: inline-block; width: 10px; height: 10px; border-radius: 2px; background: var(--c);
      margin-right: 7px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
    nav { position: relative; display: flex; flex-wrap: wrap; gap: 6px; margin-bottom: 24px; }
    nav a { text-decoration: none; font-size: 13px; padding: 3px 11px; border: 1px solid var(--rule);
      border-radius: 99px; background: var(--card); color: var(--soft); }
    nav a:hover { color: var(--ink); border-color: var(--axis); }
    section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 24px 28px;
      margin-bottom: 24px; }
    section .conditions { color: var(--soft); margin-bottom: 14px; }
    .engines { display: flex; flex-wrap: wrap; gap: 2px 20px; margin: 0; }
    .engines .engine { font-weight: 500; font-size: 13px; }
    .tiles { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: 14px;
      margin: 14px 0 26px; }
    .tile { border-radius: 8px; padding: 14px 18px; }
    .tile p { margin: 0; }
    .tiletitle { font-size: 13px; color: var(--soft); }
    .tilevalue { font-size: 30px; font-weight: 650; letter-spacing: -.02em; line-height: 1.3; }
    .tilevalue span { font-size: 15px; font-weight: 400; letter-spacing: 0; }
    .tilenote { font-size: 13px; color: var(--soft); }
    .buttons { display: flex; flex-wrap: wrap; gap: 6px; margin-bottom: 16px; }
    button { font: inherit; font-size: 13px; color: var(--soft); background: none; border: 1px solid var(--rule);
      border-radius: 6px; padding: 3px 11px; cursor: pointer; }
    button:hover { color: var(--ink); border-color: var(--axis); }
    button[aria-pressed="true"] { color: var(--ink); background: var(--shade); border-color: var(--axis); }
    button.scale { position: absolute; right: 0; top: 0; font-size: 12px; padding: 1px 9px; }
    .switched { margin-top: 14px; }
    .metric { margin-bottom: 22px; }
    .scripted .metric { margin-bottom: 12px; }
    .wide-spreads { font-size: 13px; color: var(--soft); border-left: 3px solid var(--warn); padding: 2px 0 2px 14px;
      margin-top: 18px; }
    .wide-spreads ul { margin: 0; padding-left: 18px; }
    .explanations { display: grid; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); gap: 16px 32px;
      margin: 16px 0 0; }
    .explanations dt { font-weight: 600; }
    .explanations dd { margin: 0; color: var(--soft); font-size: 14px; }
    .command { margin-top: 16px; color: var(--soft); }
    footer { color: var(--faint); font-size: 13px; padding-bottom: 40px; }
    .tip { position: absolute; pointer-events: none; background: var(--ink); color: var(--card); font-size: 12px;
      padding: 3px 9px; border-radius: 5px; z-index: 9; white-space: nowrap; }
    """

  private static let tables = """
    .scroll { overflow-x: auto; }
    table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
    th { text-align: left; font-weight: 500; }
    th, td { padding: 5px 10px; white-space: nowrap; }
    thead th { font-size: 13px; color: var(--soft); border-bottom: 1px solid var(--axis); }
    tbody th, tbody td { border-bottom: 1px solid var(--rule); }
    tbody th { padding-left: 0; }
    thead th:first-child { padding-left: 0; }
    .grid { border-collapse: separate; border-spacing: 3px; }
    .grid th, .grid td { border: 0; }
    .grid thead th { text-align: center; color: var(--ink); }
    .grid thead th:first-child { text-align: left; color: var(--soft); }
    .grid td { text-align: center; border-radius: 5px; padding: 7px 12px; min-width: 104px;
      width: 188px; }
    .grid b { display: block; font-weight: 600; font-size: 16px; line-height: 1.3; }
    .grid small { display: block; font-size: 12px; color: var(--soft); }
    .grid em { font-style: normal; color: var(--warn); font-weight: 600; }
    .grid .none { color: var(--faint); font-size: 13px; }
    .base, .even { background: var(--shade); }
    .better1 { background: rgba(var(--better), .12); }
    .better2 { background: rgba(var(--better), .26); }
    .better3 { background: rgba(var(--better), .42); }
    .worse1 { background: rgba(var(--worse), .12); }
    .worse2 { background: rgba(var(--worse), .26); }
    .worse3 { background: rgba(var(--worse), .42); }
    .legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 12px; color: var(--soft); margin: 0; }
    .legend i { display: inline-block; width: 14px; height: 12px; border-radius: 3px; margin-right: 6px;
      vertical-align: -1px; }
    details { margin-top: 14px; }
    summary { cursor: pointer; font-weight: 600; margin-bottom: 8px; }
    .figures table { min-width: min(100%, 560px); }
    .figures thead tr:first-child th + th { border-bottom: 0; padding-bottom: 0; text-align: center; }
    .figures thead th { vertical-align: bottom; }
    .figures .columns th { text-align: right; font-size: 12px; font-weight: 400; color: var(--faint); padding-top: 0; }
    .figures td { text-align: right; }
    .figures .value { font-weight: 500; padding-left: 18px; padding-right: 4px; }
    .figures .spread, .figures .ratio { color: var(--faint); font-size: 13px; padding-left: 7px; padding-right: 4px; }
    .figures .ratio { color: var(--soft); padding-right: 10px; }
    .figures th[title] { cursor: help; }
    .figures .spread.uncertain { color: var(--warn); font-weight: 600; }
    .tablenote { font-size: 13px; color: var(--soft); margin-top: 8px; }
    .device, .settings { margin-top: 10px; }
    .settings th { color: var(--soft); font-weight: 400; padding-right: 28px; }
    .settings td { white-space: normal; }
    """

  private static let charts = """
    figure { margin: 0; min-width: 0; position: relative; }
    figcaption { margin-bottom: 8px; line-height: 1.35; }
    figcaption b { font-weight: 600; display: block; }
    figcaption span { font-size: 12.5px; color: var(--soft); display: block; }
    .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(560px, 100%), 1fr)); gap: 28px 36px;
      margin-top: 20px; }
    .panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(290px, 100%), 1fr)); gap: 26px 32px;
      margin: 28px 0; padding-top: 24px; border-top: 1px solid var(--rule); }
    .limitbox { padding: 24px 0 6px; border-top: 1px solid var(--rule); margin-bottom: 8px; }
    .limitrow { display: flex; flex-wrap: wrap; gap: 8px 40px; align-items: center; }
    .limitrow div:first-child { flex: 1 1 340px; max-width: 700px; }
    .limittext { flex: 1 1 280px; max-width: 460px; font-size: 14px; color: var(--soft); }
    .limitshare { font-size: 30px; font-weight: 650; color: var(--ink); letter-spacing: -.02em; margin: 0; }
    .limitshare span { font-size: 15px; font-weight: 400; letter-spacing: 0; }
    svg { display: block; width: 100%; height: auto; overflow: visible; }
    svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
      fill: var(--ink); font-variant-numeric: tabular-nums; }
    svg .tick { font-size: 11px; fill: var(--soft); }
    svg .caption { fill: var(--soft); }
    svg .note { font-size: 11px; fill: var(--faint); }
    line.grid { stroke: var(--grid); }
    line.axis { stroke: var(--axis); }
    line.limit { stroke: var(--soft); stroke-dasharray: 3 3; }
    .line { fill: none; stroke: var(--c); stroke-linejoin: round; stroke-linecap: round; }
    .line.strong { stroke-width: 2.25; }
    .line.faint { stroke-width: 1; opacity: .38; }
    .dot { fill: var(--c); stroke: var(--card); stroke-width: 1; }
    svg .endlabel { fill: var(--c); font-weight: 600; }
    .settling { fill: var(--c); opacity: .09; }
    .worked { fill: var(--c); }
    .settled { fill: var(--c); opacity: .32; }
    .bar { fill: var(--c); }
    .bar.pale { opacity: .35; }
    .whisker { stroke: var(--ink); stroke-width: 1.25; opacity: .75; }
    svg .barname { fill: var(--soft); }
    svg .barvalue { font-weight: 600; paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
    svg .endlabel { paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
    svg .barvalue.uncertain { fill: var(--warn); }
    .bound { fill: var(--shade); stroke: var(--axis); }
    .bound.binding { fill: var(--axis); }
    svg .strongtext { font-weight: 700; fill: var(--ink); }
    .narrow, .off, .showlog .lin, .showlin .log { display: none; }
    """

  private static let narrowAndPrint = """
    @media screen and (max-width: 1000px) {
    .tiles { grid-auto-flow: row; grid-template-columns: 1fr 1fr; }
    }
    @media screen and (max-width: 700px) {
    svg.wide { display: none; }
    svg.narrow { display: block; }
    .showlog svg.lin, .showlin svg.log { display: none; }
    header, main, footer { padding: 0 14px; }
    header { padding-top: 24px; }
    h1 { font-size: 25px; margin-bottom: 18px; }
    h2 span { display: block; margin: 2px 0 0; }
    section { padding: 18px 16px; margin-bottom: 16px; }
    .tiles { gap: 8px; }
    .tile { padding: 10px 12px; }
    .tilevalue { font-size: 24px; }
    .tilevalue span { font-size: 13px; }
    .facts { gap: 10px 24px; }
    .grid th:first-child, .figures th:first-child { position: sticky; left: 0; background: var(--card); }
    .grid td { min-width: 92px; width: auto; padding: 6px; }
    button.scale { position: static; margin-top: 6px; }
    }
    @media print {
    body { background: none; font-size: 12px; }
    header, main, footer { max-width: none; padding: 0; }
    section { border: 0; padding: 0; break-inside: auto; }
    section.workload { break-before: page; }
    figure, table, .metric, .tiles { break-inside: avoid; }
    h2, h3, figcaption, summary { break-after: avoid; }
    figcaption span, .explanations dd, .limittext, .conditions { font-size: 11px; }
    .scroll { overflow: visible; }
    th, td { padding: 3px 6px; }
    .figures table { font-size: 9px; min-width: 0; }
    .figures thead th, .figures .spread, .figures .ratio { font-size: 8px; }
    .figures th, .figures td, .figures .value, .figures .spread, .figures .ratio { padding: 2px 1px 2px 4px; }
    .charts { grid-template-columns: 1fr 1fr; gap: 16px 20px; }
    .panels { grid-template-columns: repeat(4, 1fr); gap: 14px 18px; margin: 16px 0; padding-top: 14px; }
    .tilevalue { font-size: 22px; }
    .tilevalue span { font-size: 12px; }
    .limitbox { padding-top: 14px; }
    nav, button, .buttons, .tip { display: none; }
    .metric.off { display: block; }
    svg rect, .grid td, .tile, .legend i { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
    }
    """
}
