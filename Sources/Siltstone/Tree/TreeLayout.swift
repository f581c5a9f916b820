/// Which tables make up which runs of which levels: the tree as the manifest knows it, without an open file.
///
/// A value. Recovery builds one from the manifest's edits, the picker looks for work in one, and a `Version` is one
/// with its tables open. Order is age: whatever a level holds of a key is newer than what deeper levels hold of it,
/// and within a level a run that comes earlier is newer.
struct TreeLayout: Equatable, Sendable {
  struct Run: Equatable, Sendable {
    let id: UInt64
    /// In key order; no two cover a common key.
    var tables: [TableMetadata]
  }

  struct Level: Equatable, Sendable {
    /// Newest first, which is by descending id. None is empty.
    var runs: [Run] = []
  }

  /// The last level is not empty.
  private(set) var levels: [Level] = []

  /// A level is at least twice as large as the one above and level 0 holds 128 KiB at the least, so level 47 would hold
  /// more than 2^64 bytes.
  static let maxLevels = 48
}

/// Something about an edit, or about a tree, that cannot be.
struct LayoutViolation: Error, Equatable { let message: String }

// MARK: - Sums

extension TreeLayout.Run {
  var sizeBytes: UInt64 { tables.reduce(0) { $0 + $1.sizeBytes } }
  var dataBytes: UInt64 { tables.reduce(0) { $0 + $1.dataBytes } }
  var entryCount: UInt64 { tables.reduce(0) { $0 + $1.entryCount } }
  var tombstoneCount: UInt64 { tables.reduce(0) { $0 + $1.tombstoneCount } }

  /// The tables that cover a key of the interval.
  func tables(overlapping interval: KeyInterval) -> ArraySlice<TableMetadata> {
    let first = firstIndex { compareKeys($0.largestKey, interval.smallest) >= 0 }
    let end = firstIndex { compareKeys($0.smallestKey, interval.largest) > 0 }
    return first < end ? tables[first..<end] : []
  }

  /// The first table for which `isBehind` holds. REQUIRES: it holds for all tables behind one for which it holds.
  func firstIndex(where isBehind: (TableMetadata) -> Bool) -> Int {
    var low = 0
    var high = tables.count
    while low < high {
      let middle = (low + high) / 2
      if isBehind(tables[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

extension TreeLayout.Level {
  var isEmpty: Bool { runs.isEmpty }
  var tables: [TableMetadata] { runs.flatMap(\.tables) }
  var sizeBytes: UInt64 { runs.reduce(0) { $0 + $1.sizeBytes } }
  var dataBytes: UInt64 { runs.reduce(0) { $0 + $1.dataBytes } }
  var entryCount: UInt64 { runs.reduce(0) { $0 + $1.entryCount } }
  var tombstoneCount: UInt64 { runs.reduce(0) { $0 + $1.tombstoneCount } }
}

extension TreeLayout {
  var tables: [TableMetadata] { levels.flatMap(\.tables) }
  var sizeBytes: UInt64 { levels.reduce(0) { $0 + $1.sizeBytes } }
  var entryCount: UInt64 { levels.reduce(0) { $0 + $1.entryCount } }
  var runCount: Int { levels.reduce(0) { $0 + $1.runs.count } }

  /// Bytes of values in log segments, by segment.
  var segmentUse: [UInt64: UInt64] {
    var bytes: [UInt64: UInt64] = [:]
    for level in levels {
      for run in level.runs {
        for table in run.tables { for use in table.segmentUse { bytes[use.segment, default: 0] += use.bytes } }
      }
    }
    return bytes
  }

  /// Level `index`, which may be one that nothing has reached yet.
  func level(_ index: Int) -> Level { index < levels.count ? levels[index] : Level() }

  /// The deepest level that holds something; level 0 counts as above it, since it takes flushes as they come.
  var lastLevel: Int { max(1, levels.count - 1) }

  func overlapsAnything(_ interval: KeyInterval) -> Bool {
    levels.contains { $0.runs.contains { !$0.tables(overlapping: interval).isEmpty } }
  }
}

// MARK: - Change

extension TreeLayout {
  /// Carries out the edit's removals and additions, or throws and has then an unspecified value.
  mutating func apply(_ edit: VersionEdit) throws(LayoutViolation) {
    var removals = Set(edit.removals)
    if removals.count != edit.removals.count { throw LayoutViolation(message: "a table is removed twice") }
    var touched: Set<Int> = []
    for index in levels.indices where !removals.isEmpty {
      if levels[index].remove(&removals) { touched.insert(index) }
    }
    if let number = removals.min() {
      throw LayoutViolation(message: "table \(number) is removed, but is not there")
    }
    for addition in edit.additions {
      guard addition.level >= 0, addition.level < TreeLayout.maxLevels else {
        throw LayoutViolation(message: "there is no level \(addition.level)")
      }
      while levels.count <= addition.level { levels.append(Level()) }
      levels[addition.level].insert(addition.table, run: addition.run)
      touched.insert(addition.level)
    }
    while let last = levels.last, last.isEmpty { levels.removeLast() }
    for index in touched where index < levels.count { try levels[index].check() }
    if !edit.additions.isEmpty { try checkNumbers() }
  }

  func checkInvariants() throws(LayoutViolation) {
    if let last = levels.last, last.isEmpty { throw LayoutViolation(message: "the last level is empty") }
    for level in levels { try level.check() }
    try checkNumbers()
  }

  private func checkNumbers() throws(LayoutViolation) {
    var seen: Set<UInt64> = []
    for level in levels {
      for run in level.runs {
        for table in run.tables where !seen.insert(table.number).inserted {
          throw LayoutViolation(message: "table \(table.number) is in two places")
        }
      }
    }
  }
}

extension TreeLayout.Level {
  /// Takes the tables that are here out of the level and out of `numbers`, and returns whether any were.
  fileprivate mutating func remove(_ numbers: inout Set<UInt64>) -> Bool {
    let before = numbers.count
    for index in runs.indices where runs[index].tables.contains(where: { numbers.contains($0.number) }) {
      let tables = runs[index].tables
      runs[index].tables = tables.filter { !numbers.contains($0.number) }
      for table in tables { numbers.remove(table.number) }
    }
    runs.removeAll { $0.tables.isEmpty }
    return numbers.count < before
  }

  fileprivate mutating func insert(_ table: TableMetadata, run id: UInt64) {
    let index = runs.firstIndex { $0.id <= id } ?? runs.count
    if index == runs.count || runs[index].id != id {
      runs.insert(TreeLayout.Run(id: id, tables: [table]), at: index)
    } else {
      let place = runs[index].firstIndex { compareKeys($0.smallestKey, table.smallestKey) > 0 }
      runs[index].tables.insert(table, at: place)
    }
  }

  fileprivate func check() throws(LayoutViolation) {
    for (run, older) in zip(runs, runs.dropFirst()) where run.id <= older.id {
      throw LayoutViolation(message: "run \(run.id) comes before run \(older.id)")
    }
    for run in runs {
      if run.tables.isEmpty { throw LayoutViolation(message: "run \(run.id) is empty") }
      for table in run.tables {
        guard compareKeys(table.smallestKey, table.largestKey) <= 0, table.entryCount > 0,
          table.tombstoneCount <= table.entryCount, table.smallestSequence <= table.largestSequence
        else { throw LayoutViolation(message: "table \(table.number) contradicts itself") }
      }
      for (table, next) in zip(run.tables, run.tables.dropFirst())
      where compareKeys(table.largestKey, next.smallestKey) >= 0 {
        throw LayoutViolation(message: "tables \(table.number) and \(next.number) of run \(run.id) overlap")
      }
    }
  }
}
