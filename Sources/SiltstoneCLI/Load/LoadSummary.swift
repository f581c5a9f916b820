import Siltstone

/// What a load has done.
struct LoadSummary {
  let streamName: String
  /// What was loaded before, if this load resumed.
  let earlier: LoadProgress
  /// All of it.
  let now: LoadProgress
  let seconds: Double
  let metrics: Metrics

  var records: UInt64 { now.stored - earlier.stored }
  var skipped: UInt64 { now.skipped - earlier.skipped }
  var bytes: UInt64 { now.bytes - earlier.bytes }
  private var recordsPerSecond: Double { Double(records) / seconds }
  private var megabytesPerSecond: Double { Double(bytes) / seconds / 1e6 }

  var lines: [String] {
    var text = "\(Format.grouped(records)) records, \(Format.bytes(bytes)) in \(Format.fixed(seconds, 2)) s: "
    text += "\(Format.grouped(recordsPerSecond)) records/s, \(Format.fixed(megabytesPerSecond, 1)) MB/s"
    var lines = [text]
    if earlier.records > 0 { lines.append("resumed after \(Format.counted(earlier.records, "record"))") }
    if skipped > 0 { lines.append("\(Format.counted(skipped, "bad record")) skipped") }
    let runs = metrics.levels.map { String($0.runs) }.joined(separator: "/")
    lines.append(
      "runs by level \(runs.isEmpty ? "none yet" : runs), stalled \(Format.nanoseconds(metrics.stallNanoseconds)), "
        + "write amplification \(Format.fixed(metrics.writeAmplification, 2))")
    return lines
  }

  var json: JSONValue {
    .object([
      ("stream", .string(streamName)),
      ("records", .integer(records)),
      ("skipped", .integer(skipped)),
      ("resumedAfter", .integer(earlier.records)),
      ("totalRecords", .integer(now.stored)),
      ("totalSkipped", .integer(now.skipped)),
      ("bytes", .integer(bytes)),
      ("seconds", .number(seconds)),
      ("recordsPerSecond", .number(recordsPerSecond)),
      ("megabytesPerSecond", .number(megabytesPerSecond)),
      ("stallNanoseconds", .integer(metrics.stallNanoseconds)),
      ("runsAtEachLevel", .array(metrics.levels.map { .integer(UInt64($0.runs)) })),
      ("writeAmplification", .number(metrics.writeAmplification)),
    ])
  }
}
