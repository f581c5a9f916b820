import Foundation

/// Draws a tree of stacks as one self-contained SVG: callers below, what they call above, as wide as the time it took,
/// in the colour of the room whose work it is. A click zooms, Ctrl-F or the word at the top searches.
struct FlameGraph {
  private let tree: FlameTree
  private let title: String
  private let colors: [String: String]
  private let legend: String
  /// Above this there is no room for frames.
  private let top: Double
  private let height: Double

  private static let width = 1_400.0
  private static let rowHeight = 18.0
  private static let margin = 10.0
  /// What would be narrower than a pixel shows nothing.
  private static let minShare = 1 / width
  private static let characterWidth = 6.7

  init(_ tree: FlameTree, title: String) {
    let tree = tree.pruned(below: FlameGraph.minShare)
    self.tree = tree
    self.title = title
    colors = FlameGraph.colors(tree)
    (legend, top) = FlameGraph.legend(colors)
    height = top + Double(tree.depth) * FlameGraph.rowHeight + FlameGraph.margin
  }

  /// Rooms of the house get hues by name, neighbours far apart (the golden angle); libraries and the kernel stay grey.
  private static func colors(_ tree: FlameTree) -> [String: String] {
    var rooms: Set<String> = []
    func visit(_ node: FlameTree.Node) {
      rooms.insert(node.frame.room)
      node.children.forEach(visit)
    }
    tree.root.children.forEach(visit)
    let (services, own) = (rooms.filter(Room.isService).sorted(), rooms.filter { !Room.isService($0) }.sorted())
    var colors = [Room.unknown: "#d9d6d0"]
    for (index, room) in own.enumerated() {
      colors[room] = "hsl(\((20 + Int(Double(index) * 137.5)) % 360) 66% \(index % 2 == 0 ? 68 : 76)%)"
    }
    for (index, room) in services.enumerated() where room != Room.unknown {
      colors[room] = "hsl(215 \(8 + 4 * index)% \(84 - 5 * index)%)"
    }
    return colors
  }

  func svg() -> String {
    var text = """
      <svg xmlns="http://www.w3.org/2000/svg" width="\(Int(FlameGraph.width))" height="\(Int(height))" \
      viewBox="0 0 \(Int(FlameGraph.width)) \(Int(height))" font-family="ui-monospace, Menlo, Consolas, monospace" \
      font-size="11">
      <style>
        .f { cursor: pointer } .f:hover rect { stroke: #222; stroke-width: 1 }
        .f.hit rect { fill: #e8308c } .f.past { opacity: .45 } .f text { pointer-events: none; fill: #1a1a1a }
        .tool { cursor: pointer; fill: #2456a6 }
      </style>
      <rect width="100%" height="100%" fill="#fdfcfa"/>
      <text x="\(FlameGraph.margin)" y="22" font-size="16" font-weight="bold">\(FlameGraph.escaped(title))</text>
      <text id="search" class="tool" x="\(FlameGraph.width - 190)" y="22">search</text>
      <text id="reset" class="tool" x="\(FlameGraph.width - 130)" y="22">whole picture</text>
      <text id="note" x="\(FlameGraph.margin)" y="\(top - 10)" font-size="12"> </text>

      """
    text += legend
    text += "<g id=\"frames\">\n"
    let scale = (FlameGraph.width - 2 * FlameGraph.margin) / Double(max(tree.root.nanoseconds, 1))
    draw(tree.root, x: FlameGraph.margin, level: 0, scale: scale, into: &text)
    return text + "</g>\n<script><![CDATA[\n\(FlameGraph.script)\n]]></script>\n</svg>\n"
  }

  /// A key to the colours, in as many lines as it takes, and where the next line would begin.
  private static func legend(_ colors: [String: String]) -> (text: String, bottom: Double) {
    var (x, y) = (margin, 34.0)
    var text = ""
    for room in colors.keys.sorted(by: { (Room.isService($0) ? 1 : 0, $0) < (Room.isService($1) ? 1 : 0, $1) }) {
      let itemWidth = 28 + Double(room.count) * characterWidth
      if x + itemWidth > width - margin { (x, y) = (margin, y + 18) }
      text += "<rect x=\"\(x)\" y=\"\(y)\" width=\"11\" height=\"11\" rx=\"2\" fill=\"\(colors[room]!)\"/>"
      text += "<text x=\"\(x + 15)\" y=\"\(y + 10)\">\(escaped(room))</text>\n"
      x += itemWidth
    }
    return (text, y + 44)
  }

  private func draw(
    _ node: FlameTree.Node, x: Double, level: Int, scale: Double, into text: inout String
  ) {
    let width = Double(node.nanoseconds) * scale
    let y = height - FlameGraph.margin - Double(level + 1) * FlameGraph.rowHeight
    let share = 100 * Double(node.nanoseconds) / Double(max(tree.root.nanoseconds, 1))
    let name = FlameGraph.escaped(node.frame.function)
    let about = String(
      format: "%.2f %%, %.3f s, %@", share, Double(node.nanoseconds) / 1e9, FlameGraph.escaped(node.frame.room))
    text += String(
      format: "<g class=\"f\" data-x=\"%.2f\" data-w=\"%.2f\" data-n=\"%@\"><title>%@\n%@</title>"
        + "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" rx=\"1.5\" fill=\"%@\"/>"
        + "<text x=\"%.2f\" y=\"%.1f\">%@</text></g>\n",
      x, width, name, name, about, x, y, max(width - 0.4, 0.2), FlameGraph.rowHeight - 1,
      colors[node.frame.room] ?? "#d9d6d0", x + 3, y + 12.5, FlameGraph.clipped(node.frame.function, to: width))
    var x = x
    for child in node.children {
      draw(child, x: x, level: level + 1, scale: scale, into: &text)
      x += Double(child.nanoseconds) * scale
    }
  }

  private static func clipped(_ name: String, to width: Double) -> String {
    let room = Int((width - 6) / characterWidth)
    if name.count <= room { return escaped(name) }
    return room < 3 ? "" : escaped(String(name.prefix(room - 1))) + "…"
  }

  static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }

  /// Zoom: everything is laid out again so that the clicked frame fills the width; what is below it stays, pale.
  private static let script = """
    const all = [...document.querySelectorAll('.f')], left = \(margin), wide = \(width - 2 * margin);
    const note = document.getElementById('note');
    const at = f => [+f.dataset.x, +f.dataset.w];
    function zoom(target) {
      const [x0, w0] = at(target), y0 = +target.querySelector('rect').getAttribute('y');
      for (const f of all) {
        const [x, w] = at(f), [box, label] = [f.querySelector('rect'), f.querySelector('text')];
        const below = +box.getAttribute('y') > y0 && x <= x0 + .02 && x + w >= x0 + w0 - .02;
        const inside = x >= x0 - .02 && x + w <= x0 + w0 + .02 && +box.getAttribute('y') <= y0;
        f.style.display = below || inside ? '' : 'none';
        f.classList.toggle('past', below);
        if (!below && !inside) continue;
        const nx = below ? left : left + (x - x0) / w0 * wide, nw = below ? wide : w / w0 * wide;
        box.setAttribute('x', nx); box.setAttribute('width', Math.max(nw - .4, .2)); label.setAttribute('x', nx + 3);
        const room = Math.floor((nw - 6) / \(characterWidth)), name = f.dataset.n;
        label.textContent = name.length <= room ? name : room < 3 ? '' : name.slice(0, room - 1) + '…';
      }
    }
    function search(text) {
      let found = 0, end = -1;
      const hits = all.filter(f => { const hit = !!text && f.dataset.n.toLowerCase().includes(text.toLowerCase());
                                     f.classList.toggle('hit', hit); return hit; });
      for (const [x, w] of hits.map(at).sort((a, b) => a[0] - b[0] || b[1] - a[1]))
        if (x >= end - .02) { found += w; end = x + w; }
      note.textContent = text ? `"${text}": ${(100 * found / wide).toFixed(2)} % of all time` : ' ';
    }
    for (const f of all) {
      f.addEventListener('click', () => zoom(f));
      f.addEventListener('mouseover', () =>
        { note.textContent = f.querySelector('title').textContent.replace('\\n', '   '); });
    }
    document.getElementById('reset').addEventListener('click', () => { zoom(all[0]); search(''); });
    const ask = () => search(prompt('search for a part of a function\\u2019s name') || '');
    document.getElementById('search').addEventListener('click', ask);
    addEventListener('keydown', e => { if (e.ctrlKey && e.key === 'f') { e.preventDefault(); ask(); } });
    """
}
