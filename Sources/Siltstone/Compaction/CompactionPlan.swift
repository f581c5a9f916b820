/// One compaction: tables that only change their place, tables that are merged, and where it all goes. It is installed
/// as one edit, when all of its merges are done.
///
/// Order is kept because a plan never leaves something older above what it moves down: it takes all runs of its source
/// level that exist when it is picked (or, within level 0, the newest ones, whose place its output then takes; or, by
/// hand, everything of its keys), and runs that arrive while it works are newer than all of those.
struct CompactionPlan: Sendable {
  enum Reason: String, Sendable {
    /// A level holds more runs than it may.
    case tooManyRuns
    /// A level holds more bytes than it is meant for.
    case overCapacity
    /// The last level outgrew its capacity: its run goes one level deeper as it is.
    case relabel
    /// Many small flushes, merged where they are before they go down.
    case smallRuns
    /// Tombstones that hide nothing any more, or too much.
    case tombstones
    /// Values that keep log segments of which most is garbage.
    case values
    case manual
  }

  enum Destination: Equatable, Sendable {
    /// A run that gets its id when the plan is installed, and so is newer than the runs that the level has then.
    case newRun
    /// Joins this run, or takes its place.
    case run(UInt64)
  }

  let reason: Reason
  let sourceLevel: Int
  let targetLevel: Int
  let destination: Destination
  /// Change their place only.
  let moves: [TableMetadata]
  let merges: [MergeInput]
  /// Tables of older runs that stay: below one of these a tombstone may still have something to hide.
  let beneath: [TreeLayout.Run]
}

/// Tables that overlap one another, if only through others: they must be merged together, and with nothing else.
struct MergeInput: Sendable {
  /// Each in key order without overlap.
  let runs: [TreeLayout.Run]
  /// How the outputs are built.
  let settings: TableSettings

  var tables: [TableMetadata] { runs.flatMap(\.tables) }
  var sizeBytes: UInt64 { runs.reduce(0) { $0 + $1.sizeBytes } }
}

extension CompactionPlan {
  /// Whether nothing is to be read or written: the plan can be installed at once.
  var isOnlyMoves: Bool { merges.isEmpty }
  /// Bytes that the merges read, and about as many that they write.
  var mergeBytes: UInt64 { merges.reduce(0) { $0 + $1.sizeBytes } }
  /// Entries that the merges read: the whole of what `JobProgress` counts.
  var mergeEntries: UInt64 { merges.reduce(0) { $0 + $1.runs.reduce(0) { $0 + $1.entryCount } } }
  var inputs: [TableMetadata] { moves + merges.flatMap(\.tables) }

  /// The edit that installs the plan. `outputs` are the tables that its merges made; `newRun` is an id never used
  /// before. The caller adds `nextFileNumber` and `nextRunID`.
  func edit(outputs: [TableMetadata], newRun: UInt64) -> VersionEdit {
    var edit = VersionEdit()
    var run = newRun
    if case .run(let id) = destination { run = id }
    for table in inputs { edit.remove(table.number) }
    for table in moves + outputs { edit.add(table, level: targetLevel, run: run) }
    return edit
  }
}

/// What running compactions have a claim on. A plan is picked so that it shares none of it with any other.
struct CompactionsInFlight: Sendable {
  private var tables: Set<UInt64> = []
  /// Runs that outputs will join, by plan: nobody may move them away meanwhile.
  private var joined: [UInt64: Int] = [:]

  mutating func insert(_ plan: CompactionPlan) {
    for table in plan.inputs {
      let inserted = tables.insert(table.number).inserted
      precondition(inserted, "table \(table.number) is in two compactions")
    }
    if case .run(let id) = plan.destination { joined[id, default: 0] += 1 }
  }

  mutating func remove(_ plan: CompactionPlan) {
    for table in plan.inputs { tables.remove(table.number) }
    if case .run(let id) = plan.destination, let count = joined[id] {
      joined[id] = count == 1 ? nil : count - 1
    }
  }

  var isEmpty: Bool { tables.isEmpty && joined.isEmpty }

  func contains(_ table: TableMetadata) -> Bool { tables.contains(table.number) }

  func touches(_ run: TreeLayout.Run) -> Bool {
    joined[run.id] != nil || run.tables.contains(where: contains)
  }
}
