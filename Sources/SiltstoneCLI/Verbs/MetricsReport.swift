import Siltstone

/// The engine's metrics, for people and for machines.
struct MetricsReport {
  private let metrics: Metrics

  init(_ metrics: Metrics) { self.metrics = metrics }

  var lines: [String] {
    var levels = TextTable()
    levels.add(["level", "runs", "tables", "entries", "size"])
    for level in metrics.levels {
      levels.add([
        String(level.level), String(level.runs), String(level.tables), Format.grouped(level.entries),
        Format.bytes(level.sizeBytes),
      ])
    }
    var facts = TextTable()
    for (name, value) in plainFacts { facts.add([name, value]) }
    return levels.lines + [""] + facts.lines
  }

  private var plainFacts: [(String, String)] {
    [
      (
        "written by users",
        "\(Format.grouped(metrics.entriesWritten)) entries, \(Format.bytes(metrics.bytesWritten))"
      ),
      ("write amplification", Format.fixed(metrics.writeAmplification, 2)),
      ("read amplification", Format.fixed(metrics.readAmplification, 2)),
      ("space amplification", Format.fixed(metrics.spaceAmplification, 2)),
      ("log written", Format.bytes(metrics.logBytesWritten)),
      ("flushed", "\(Format.bytes(metrics.flushBytesWritten)) in \(metrics.flushes)"),
      ("compacted", "\(Format.bytes(metrics.compactionBytesWritten)) in \(metrics.compactions)"),
      ("waiting to be compacted", Format.bytes(metrics.pendingCompactionBytes)),
      ("writers stalled", Format.nanoseconds(metrics.stallNanoseconds)),
      ("block cache", "\(Format.bytes(metrics.blockCacheBytes)), \(hitRate) hits"),
      ("memtables", Format.bytes(metrics.memtableBytes)),
      ("memory", "\(Format.bytes(metrics.memoryBytes)) of \(Format.bytes(metrics.memoryBudgetBytes))"),
      ("commit p50 / p99 / max", latencies(metrics.commitLatency)),
      ("lookup p50 / p99 / max", latencies(metrics.lookupLatency)),
      ("I/O", backend),
    ]
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
      ("entriesWritten", .integer(metrics.entriesWritten)),
      ("bytesWritten", .integer(metrics.bytesWritten)),
      ("lookups", .integer(metrics.lookups)),
      ("logSyncs", .integer(metrics.logSyncs)),
      ("unflushedBytes", .integer(metrics.unflushedBytes)),
      ("batchesWritten", .integer(metrics.batchesWritten)),
      ("logBytesWritten", .integer(metrics.logBytesWritten)),
      ("flushBytesWritten", .integer(metrics.flushBytesWritten)),
      ("compactionBytesWritten", .integer(metrics.compactionBytesWritten)),
      ("compactionBytesRead", .integer(metrics.compactionBytesRead)),
      ("writeAmplification", .number(metrics.writeAmplification)),
      ("readAmplification", .number(metrics.readAmplification)),
      ("spaceAmplification", .number(metrics.spaceAmplification)),
      ("pendingCompactionBytes", .integer(metrics.pendingCompactionBytes)),
      ("slowdownNanoseconds", .integer(metrics.slowdownNanoseconds)),
      ("stallNanoseconds", .integer(metrics.stallNanoseconds)),
      ("blockCacheHits", .integer(metrics.blockCacheHits)),
      ("blockCacheMisses", .integer(metrics.blockCacheMisses)),
      ("blockCacheBytes", .integer(metrics.blockCacheBytes)),
      ("memtableBytes", .integer(metrics.memtableBytes)),
      ("memoryBytes", .integer(metrics.memoryBytes)),
      ("memoryBudgetBytes", .integer(metrics.memoryBudgetBytes)),
      ("flushes", .integer(metrics.flushes)),
      ("compactions", .integer(metrics.compactions)),
      ("trivialMoves", .integer(metrics.trivialMoves)),
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
      ("sizeBytes", .integer(level.sizeBytes)),
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
