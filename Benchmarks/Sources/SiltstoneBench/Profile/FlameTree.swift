/// Stacks folded into a tree: each node is a function as called along one path, and how much time it took.
struct FlameTree: Sendable {
  struct Node: Sendable {
    var frame: StackFrame
    /// With all that it calls.
    var nanoseconds: UInt64 = 0
    /// By name, so that the same profile makes the same picture.
    var children: [Node] = []
  }

  private(set) var root = Node(frame: StackFrame(function: "all", room: Room.unknown))

  /// `stacks` are outermost first.
  init(_ stacks: [(stack: [StackFrame], nanoseconds: UInt64)]) {
    // Sorted, so that what shares a beginning lies side by side and each node is made once.
    let sorted = stacks.map { ($0.stack, $0.nanoseconds) }.sorted { left, right in
      left.0.lexicographicallyPrecedes(right.0) { ($0.function, $0.room) < ($1.function, $1.room) }
    }
    root.children = FlameTree.fold(sorted[...], depth: 0)
    root.nanoseconds = root.children.reduce(0) { $0 + $1.nanoseconds }
  }

  private static func fold(_ stacks: ArraySlice<([StackFrame], UInt64)>, depth: Int) -> [Node] {
    var nodes: [Node] = []
    var rest = stacks.drop { $0.0.count <= depth }
    while let first = rest.first {
      let frame = first.0[depth]
      let alike = rest.prefix { $0.0[depth] == frame }
      nodes.append(
        Node(frame: frame, nanoseconds: alike.reduce(0) { $0 + $1.1 }, children: fold(alike, depth: depth + 1)))
      rest = rest[alike.endIndex...]
    }
    return nodes
  }

  /// The tree without what took less than `share` of all time.
  func pruned(below share: Double) -> FlameTree {
    let limit = UInt64(Double(root.nanoseconds) * share)
    func pruned(_ node: Node) -> Node {
      var node = node
      node.children = node.children.filter { $0.nanoseconds >= limit }.map(pruned)
      return node
    }
    var tree = self
    tree.root = pruned(root)
    return tree
  }

  var depth: Int {
    func depth(_ node: Node) -> Int { 1 + (node.children.map(depth).max() ?? 0) }
    return depth(root)
  }
}
