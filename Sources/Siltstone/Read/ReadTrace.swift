/// What one lookup did: every structure it probed, in order, and why it stopped.
public struct ReadTrace: Sendable, CustomStringConvertible {
  /// One structure.
  public struct Step: Sendable, CustomStringConvertible {
    /// What was probed: a memtable, or a run and the table in it that could hold the key.
    public let structure: String
    /// What it said.
    public let outcome: String
    /// Filters asked.
    public let filterProbes: Int
    /// Of those, how many ruled the key out.
    public let filterNegatives: Int
    /// Blocks that had to be read from disk.
    public let blocksRead: Int
    /// Blocks found in the cache.
    public let cacheHits: Int

    /// One line.
    public var description: String {
      let padded = structure + String(repeating: " ", count: max(2, 52 - structure.count))
      return "\(padded)\(outcome)  [filters \(filterProbes), blocks read \(blocksRead), cached \(cacheHits)]"
    }
  }

  /// From newest to oldest.
  public internal(set) var steps: [Step] = []
  /// The value, if the key has one.
  public internal(set) var value: [UInt8]?
  /// Why the lookup stopped where it did.
  public internal(set) var reason = ""

  /// Blocks read from disk by the whole lookup.
  public var blocksRead: Int { steps.reduce(0) { $0 + $1.blocksRead } }

  /// A line for each step, then the reason.
  public var description: String {
    (steps.enumerated().map { "\($0.offset + 1). \($0.element)" } + [reason]).joined(separator: "\n")
  }
}

/// Builds a `ReadTrace` as a lookup goes.
struct TraceObserver: LookupObserver {
  var trace = ReadTrace()

  mutating func probedMemtable(_ memtable: Memtable, isActive: Bool, outcome: LookupResult.Outcome) {
    let name = isActive ? "active memtable" : "sealed memtable"
    trace.steps.append(
      ReadTrace.Step(
        structure: "\(name) from position \(memtable.firstPosition), \(memtable.entryCount) entries",
        outcome: word(outcome), filterProbes: 0, filterNegatives: 0, blocksRead: 0, cacheHits: 0))
  }

  mutating func probedRun(
    level: Int, _ run: Run, _ table: Table?, before: LookupProbes, after: borrowing LookupResult
  ) {
    let probes = LookupProbes(after)
    let filtered = probes.filterNegatives > before.filterNegatives
    var outcome = word(after.outcome)
    if table == nil {
      outcome = "no table of the run covers the key"
    } else if filtered {
      outcome = "ruled out by the filter"
    }
    let tableName = table.map { " table \($0.metadata.number)" } ?? ""
    trace.steps.append(
      ReadTrace.Step(
        structure: "level \(level) run \(run.id)\(tableName)", outcome: outcome,
        filterProbes: probes.filterProbes - before.filterProbes,
        filterNegatives: probes.filterNegatives - before.filterNegatives,
        blocksRead: probes.blocksRead - before.blocksRead, cacheHits: probes.cacheHits - before.cacheHits))
  }

  /// Gets the value where it lies apart, as `LookupResult.resolve` does.
  mutating func resolve(_ result: inout LookupResult, _ values: ValueReader) throws(SiltstoneError) {
    guard result.isApart, let pointer = ValuePointer(result.value) else { return try result.resolve(with: values) }
    let (cached, drained) = (values.isCached(pointer), values.isDrained(pointer))
    try result.resolve(with: values)
    let place = "\(values.fileName(pointer.position)) at \(values.offset(of: pointer.position))"
    trace.steps.append(
      ReadTrace.Step(
        structure: "value segment \(place), \(pointer.length) bytes",
        outcome: cached ? "value, from the cache" : drained ? "value, from the file" : "value, from the ring",
        filterProbes: 0, filterNegatives: 0, blocksRead: cached || !drained ? 0 : 1, cacheHits: cached ? 1 : 0))
  }

  mutating func finish(_ result: borrowing LookupResult) -> ReadTrace {
    switch result.outcome {
    case .found:
      trace.value = result.value.copied()
      trace.reason = "found: the newest version that the read sees is there, so nothing older was asked"
    case .deleted: trace.reason = "absent: a tombstone hides whatever lies below"
    case .notFound: trace.reason = "absent: every structure was asked, and none knows the key"
    }
    return trace
  }

  private func word(_ outcome: LookupResult.Outcome) -> String {
    switch outcome {
    case .found: "found"
    case .deleted: "tombstone"
    case .notFound: "not here"
    }
  }
}
