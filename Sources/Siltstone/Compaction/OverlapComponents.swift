/// A table, and the run that it is in.
struct PlacedTable {
  let level: Int
  let run: UInt64
  let table: TableMetadata
}

/// Tables split into the smallest groups that do not overlap one another: the connected components of "covers a common
/// key". A component's tables cover every key between its first and its last, so whatever overlaps the component as
/// a whole overlaps one of its tables.
enum OverlapComponents {
  /// The components in key order.
  static func of(_ tables: [PlacedTable]) -> [[PlacedTable]] {
    let sorted = tables.sorted { compareKeys($0.table.smallestKey, $1.table.smallestKey) < 0 }
    var components: [[PlacedTable]] = []
    var end: [UInt8] = []
    for placed in sorted {
      if components.isEmpty || compareKeys(placed.table.smallestKey, end) > 0 {
        components.append([placed])
        end = placed.table.largestKey
      } else {
        components[components.count - 1].append(placed)
        if compareKeys(placed.table.largestKey, end) > 0 { end = placed.table.largestKey }
      }
    }
    return components
  }

  /// A component by the runs that its tables come from. Within a run they are in key order, since the component is.
  static func byRun(_ component: [PlacedTable]) -> [TreeLayout.Run] {
    var runs: [(level: Int, run: TreeLayout.Run)] = []
    for placed in component {
      if let index = runs.firstIndex(where: { $0.level == placed.level && $0.run.id == placed.run }) {
        runs[index].run.tables.append(placed.table)
      } else {
        runs.append((placed.level, TreeLayout.Run(id: placed.run, tables: [placed.table])))
      }
    }
    return runs.map(\.run)
  }
}

extension TreeLayout {
  /// All tables of these runs of a level, with their places.
  func placed(_ runs: some Sequence<Run>, level: Int) -> [PlacedTable] {
    runs.flatMap { run in run.tables.map { PlacedTable(level: level, run: run.id, table: $0) } }
  }
}
