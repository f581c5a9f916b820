import Siltstone

/// The demo's table: a column a database.
struct DemoReport {
  let results: [DemoResult]
  let disk: DiskProbe.Result

  var lines: [String] {
    var table = TextTable()
    table.add([""] + results.map(\.name))
    for (name, cell) in rows { table.add([name] + results.map(cell)) }
    return [""] + table.lines + [""] + notes
  }

  private var rows: [(String, (DemoResult) -> String)] {
    [
      ("entries", { Format.grouped($0.entries) }),
      ("keys and values", { Format.bytes($0.payloadBytes) }),
      ("entries/s, acknowledged", { Format.grouped(Double($0.entries) / $0.acknowledgedSeconds) }),
      ("MB/s, acknowledged", { Format.fixed(megabytes($0) / $0.acknowledgedSeconds, 1) }),
      ("entries/s, until settled", { Format.grouped(Double($0.entries) / $0.settledSeconds) }),
      ("MB/s, until settled", { Format.fixed(megabytes($0) / $0.settledSeconds, 1) }),
      ("CPU ns an entry, all threads", { Format.grouped(perEntry($0.processorNanoseconds, $0)) }),
      (
        "  of which making it",
        { $0.makingNanoseconds == 0 ? "-" : Format.grouped(perEntry($0.makingNanoseconds, $0)) }
      ),
      ("write amplification", { Format.fixed($0.writeAmplification, 2) }),
      ("  without the log", { Format.fixed($0.tableWriteAmplification, 2) }),
      ("space amplification", { Format.fixed($0.spaceAmplification, 2) }),
      ("read amplification, blocks a lookup", { Format.fixed($0.readAmplification, 2) }),
      ("writers stalled", { Format.nanoseconds($0.stallNanoseconds) }),
      ("memory under the budget, peak resident", { "\(Format.bytes($0.memoryBytes)), \(Format.bytes($0.peakBytes))" }),
      ("  the budget", { Format.bytes($0.memoryBudgetBytes) }),
      ("ingest, share of the disk's speed", { percent(megabytes($0) / $0.acknowledgedSeconds) }),
      ("  until settled", { percent(megabytes($0) / $0.settledSeconds) }),
      ("bytes to disk, share of its speed", { percent(Double($0.diskBytes) / 1e6 / $0.settledSeconds) }),
      ("scan, entries/s", { Format.grouped(Double($0.entries) / $0.scanSeconds) }),
      ("lookups/s, one thread, cold", { Format.grouped(Double($0.lookups) / $0.lookupSeconds) }),
      ("verified", { "\(Format.grouped($0.verifiedEntries)) in \($0.verifiedTables) tables" }),
    ]
  }

  private var notes: [String] {
    let how = disk.isDirect ? "past the page cache" : "through the page cache: no direct I/O here"
    return [
      "disk: \(Format.fixed(disk.bytesPerSecond / 1e6, 0)) MB/s sequential write, measured in this run "
        + "(\(disk.sizeBytes >> 20) MiB, 1 MiB pieces, 8 in flight, \(how))",
      "files: paced by find, which reads directories while it prints; events: paced by the database",
      "settled: flushed, and no compaction due. MB is 10^6 bytes of keys and values.",
      "verified: entries in all tables; those of files have the progress of the load among them",
      "read back: every record scanned and compared, \(Format.grouped(lookups)) looked up, checksums verified",
    ]
  }

  private var lookups: UInt64 { results.reduce(0) { $0 + UInt64($1.lookups) } }

  private func megabytes(_ result: DemoResult) -> Double { Double(result.payloadBytes) / 1e6 }

  private func perEntry(_ nanoseconds: UInt64, _ result: DemoResult) -> Double {
    Double(nanoseconds) / Double(max(1, result.entries))
  }

  private func percent(_ megabytesPerSecond: Double) -> String {
    Format.fixed(100 * megabytesPerSecond * 1e6 / disk.bytesPerSecond, 1) + " %"
  }
}
