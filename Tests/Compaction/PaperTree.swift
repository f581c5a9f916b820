import Testing

@testable import Siltstone

/// A tree on paper that a picker works on: flushes and compactions change its layout, and no byte is written.
struct PaperTree {
  let picker: CompactionPicker
  var layout = TreeLayout()
  private var nextTable: UInt64 = 1
  private var nextRun: UInt64 = 1
  private(set) var bytesFlushed: UInt64 = 0
  private(set) var bytesMerged: UInt64 = 0
  private(set) var plansDone = 0
  private var sequence: UInt64 = 1

  init(_ shape: CompactionShape) { picker = CompactionPicker(shape: shape) }

  /// A run on level 0 of one table.
  mutating func flush(_ smallest: Int, _ largest: Int, dataBytes: UInt64, tombstones: UInt64 = 0) throws {
    var edit = VersionEdit()
    sequence += 1
    edit.add(
      paperTable(
        nextTable, smallest, largest, dataBytes: dataBytes, tombstones: tombstones, largestSequence: sequence),
      level: 0, run: nextRun)
    nextTable += 1
    nextRun += 1
    bytesFlushed += edit.additions[0].table.dataBytes
    try layout.apply(edit)
  }

  /// What merging would write if no key were written twice: tables of the target size over the inputs' keys.
  mutating func outputs(_ plan: CompactionPlan) -> [TableMetadata] {
    plan.merges.flatMap { merge -> [TableMetadata] in
      let bytes = merge.tables.reduce(0) { $0 + $1.dataBytes }
      bytesMerged += bytes
      let numbers = merge.tables.flatMap { [PaperTree.number($0.smallestKey), PaperTree.number($0.largestKey)] }
      let (low, high) = (numbers.min()!, numbers.max()!)
      let count = max(1, min(Int(bytes / picker.shape.targetTableBytes), high - low + 1))
      return (0..<count).map { part in
        let begin = low + (high - low + 1) * part / count
        let end = low + (high - low + 1) * (part + 1) / count - 1
        defer { nextTable += 1 }
        return paperTable(nextTable, begin, end, dataBytes: bytes / UInt64(count), largestSequence: sequence)
      }
    }
  }

  static func number(_ key: [UInt8]) -> Int { key.reduce(0) { $0 << 8 | Int($1) } }

  mutating func install(_ plan: CompactionPlan, _ outputs: [TableMetadata]) throws {
    try layout.apply(plan.edit(outputs: outputs, newRun: nextRun))
    nextRun += 1
    plansDone += 1
  }

  /// Compacts until nothing is to be done; false if that takes more than `limit` plans.
  mutating func settle(limit: Int = 200) throws -> Bool {
    for _ in 0..<limit {
      guard let plan = picker.pick(layout, CompactionsInFlight()) else { return true }
      try install(plan, outputs(plan))
    }
    return false
  }
}

extension CompactionShape {
  /// A memtable of 100 kB, so that a level has round numbers.
  static func small(sizeRatio: Int = 4, runsPerLevel: Int? = nil) -> CompactionShape {
    var shape = CompactionShape()
    shape.memtableBytes = 100_000
    shape.targetTableBytes = 100_000
    shape.sizeRatio = sizeRatio
    shape.runsPerLevel = runsPerLevel
    return shape
  }
}
