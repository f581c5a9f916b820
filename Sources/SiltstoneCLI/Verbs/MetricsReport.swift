import Siltstone

/// The engine's metrics, for people and for machines.
struct MetricsReport {
  private let metrics: Metrics

  init(_ metrics: Metrics) { self.metrics = metrics }

  var lines: [String] {
    levelLines + [""] + table(standing) + [""] + ProcessReport(processes: metrics.processes).lines
      + ["", "since this process opened the database:"] + table(work)
  }

  var levelLines: [String] {
    var levels = TextTable()
    levels.add(["level", "runs", "tables", "entries", "tombstones", "size"])
    for level in metrics.levels {
      levels.add([
        String(level.level), String(level.runs), String(level.tables), Format.grouped(level.entries),
        Format.grouped(level.tombstones), Format.bytes(level.sizeBytes),
      ])
    }
    return levels.lines
  }

  private func table(_ facts: [(String, String)]) -> [String] {
    var table = TextTable()
    for (name, value) in facts { table.add([name, value]) }
    return table.lines
  }

  /// How the database stands.
  private var standing: [(String, String)] {
    [
      ("space amplification", Format.fixed(metrics.spaceAmplification, 2)),
      ("waiting to be compacted", Format.bytes(metrics.pendingCompactionBytes)),
      ("log segments", Format.grouped(UInt64(max(0, metrics.liveLogSegments)))),
      ("values in the log", valuesInLog),
      ("memtables", Format.bytes(metrics.memtableBytes)),
      ("memory", "\(Format.bytes(metrics.memoryBytes)) of \(Format.bytes(metrics.memoryBudgetBytes))"),
      ("I/O", backend),
    ]
  }

  /// What has been done, which in a tool that has just opened the database is next to nothing.
  private var work: [(String, String)] {
    [
      ("written", "\(Format.grouped(metrics.entriesWritten)) entries, \(Format.bytes(metrics.bytesWritten))"),
      ("write amplification", Format.fixed(metrics.writeAmplification, 2)),
      ("read amplification", Format.fixed(metrics.readAmplification, 2)),
      ("log written", Format.bytes(metrics.logBytesWritten)),
      ("flushed", "\(Format.bytes(metrics.flushBytesWritten)) in \(metrics.flushes)"),
      ("compacted", "\(Format.bytes(metrics.compactionBytesWritten)) in \(metrics.compactions)"),
      ("writers stalled", Format.nanoseconds(metrics.stallNanoseconds)),
      ("block cache", "\(Format.bytes(metrics.blockCacheBytes)), \(hitRate) hits"),
      ("commit p50 / p99 / max", latencies(metrics.commitLatency)),
      ("lookup p50 / p99 / max", latencies(metrics.lookupLatency)),
    ]
  }

  private var valuesInLog: String {
    if metrics.valueBytes == 0 { return "none" }
    return "\(Format.bytes(metrics.valueBytes)); \(metrics.valueSegments) log segments are kept for them, with "
      + "\(Format.bytes(metrics.garbageValueBytes)) of garbage"
  }

  private var backend: String {
    (metrics.usesIOURing ? "io_uring" : "system calls") + (metrics.usesDirectIO ? ", direct" : ", buffered")
  }

  private var hitRate: String {
    let probes = metrics.blockCacheHits + metrics.blockCacheMisses
    return probes == 0 ? "no" : Format.fixed(100 * Double(metrics.blockCacheHits) / Double(probes), 1) + " %"
  }

  private func latencies(_ summary: LatencySummary) -> String {
    [summary.p50Nanoseconds, summary.p99Nanoseconds, summary.maxNanoseconds]
      .map(Format.nanoseconds).joined(separator: " / ")
  }

  var json: JSONValue {
    .object([
      ("levels", .array(metrics.levels.map(MetricsReport.json(of:)))),
      ("runCount", .integer(metrics.runCount)),
      ("batchesWritten", .integer(metrics.batchesWritten)),
      ("entriesWritten", .integer(metrics.entriesWritten)),
      ("bytesWritten", .integer(metrics.bytesWritten)),
      ("lookups", .integer(metrics.lookups)),
      ("logBytesWritten", .integer(metrics.logBytesWritten)),
      ("logSyncs", .integer(metrics.logSyncs)),
      ("flushBytesWritten", .integer(metrics.flushBytesWritten)),
      ("compactionBytesWritten", .integer(metrics.compactionBytesWritten)),
      ("compactionBytesRead", .integer(metrics.compactionBytesRead)),
      ("valueBytesMoved", .integer(metrics.valueBytesMoved)),
      ("flushes", .integer(metrics.flushes)),
      ("compactions", .integer(metrics.compactions)),
      ("trivialMoves", .integer(metrics.trivialMoves)),
      ("tablesSearched", .integer(metrics.tablesSearched)),
      ("blocksRead", .integer(metrics.blocksRead)),
      ("writeAmplification", .number(metrics.writeAmplification)),
      ("tableWriteAmplification", .number(metrics.tableWriteAmplification)),
      ("readAmplification", .number(metrics.readAmplification)),
      ("spaceAmplification", .number(metrics.spaceAmplification)),
      ("pendingCompactionBytes", .integer(metrics.pendingCompactionBytes)),
      ("unflushedBytes", .integer(metrics.unflushedBytes)),
      ("publishedPosition", .integer(metrics.publishedPosition)),
      ("durablePosition", .integer(metrics.durablePosition)),
      ("processes", ProcessReport(processes: metrics.processes).json),
      ("snapshots", .integer(metrics.snapshots)),
      ("liveLogSegments", .integer(metrics.liveLogSegments)),
      ("valueBytes", .integer(metrics.valueBytes)),
      ("garbageValueBytes", .integer(metrics.garbageValueBytes)),
      ("valueSegments", .integer(metrics.valueSegments)),
      ("stallNanoseconds", .integer(metrics.stallNanoseconds)),
      ("slowdownNanoseconds", .integer(metrics.slowdownNanoseconds)),
      ("takeovers", .integer(metrics.takeovers)),
      ("blockCacheHits", .integer(metrics.blockCacheHits)),
      ("blockCacheMisses", .integer(metrics.blockCacheMisses)),
      ("blockCacheBytes", .integer(metrics.blockCacheBytes)),
      ("memtableBytes", .integer(metrics.memtableBytes)),
      ("memoryBytes", .integer(metrics.memoryBytes)),
      ("memoryBudgetBytes", .integer(metrics.memoryBudgetBytes)),
      ("commitLatency", MetricsReport.json(of: metrics.commitLatency)),
      ("lookupLatency", MetricsReport.json(of: metrics.lookupLatency)),
      ("usesIOURing", .bool(metrics.usesIOURing)),
      ("usesDirectIO", .bool(metrics.usesDirectIO)),
    ])
  }

  private static func json(of level: Metrics.Level) -> JSONValue {
    .object([
      ("level", .integer(UInt64(level.level))), ("runs", .integer(UInt64(level.runs))),
      ("tables", .integer(UInt64(level.tables))), ("entries", .integer(level.entries)),
      ("tombstones", .integer(level.tombstones)), ("sizeBytes", .integer(level.sizeBytes)),
      ("valueBytes", .integer(level.valueBytes)),
    ])
  }

  private static func json(of summary: LatencySummary) -> JSONValue {
    .object([
      ("count", .integer(summary.count)), ("p50Nanoseconds", .integer(summary.p50Nanoseconds)),
      ("p99Nanoseconds", .integer(summary.p99Nanoseconds)),
      ("p999Nanoseconds", .integer(summary.p999Nanoseconds)),
      ("maxNanoseconds", .integer(summary.maxNanoseconds)),
    ])
  }
}
