import Siltstone

/// The processes that have a database open, for people and for machines.
struct ProcessReport {
  let processes: [ProcessMetrics]
  /// What the same processes had done some seconds ago, if rates are wanted.
  var before: [ProcessMetrics] = []
  var seconds = 0.0

  var lines: [String] {
    var table = TextTable()
    let isRate = seconds > 0
    table.add([
      "process", "as", "roles", isRate ? "puts/s" : "puts", isRate ? "MB/s" : "written", isRate ? "gets/s" : "gets",
      "behind", "snapshots", "pins", "",
    ])
    for one in processes { table.add(row(one)) }
    return table.lines
  }

  private func row(_ one: ProcessMetrics) -> [String] {
    let old = before.first { $0.process == one.process }
    func count(_ value: KeyPath<ProcessMetrics, UInt64>) -> String {
      guard seconds > 0 else { return Format.grouped(one[keyPath: value]) }
      let change = one[keyPath: value] - min(one[keyPath: value], old?[keyPath: value] ?? one[keyPath: value])
      return Format.grouped(UInt64(Double(change) / seconds))
    }
    let written = one.bytesWritten - min(one.bytesWritten, old?.bytesWritten ?? one.bytesWritten)
    let pins =
      one.pinnedMemtableBytes == 0 && one.pinnedTables == 0
      ? "-" : "\(Format.bytes(one.pinnedMemtableBytes)), \(Format.counted(UInt64(one.pinnedTables), "table"))"
    let snapshots = one.snapshots == 0 ? "-" : "\(one.snapshots), \(Format.bytes(one.oldestSnapshotBytes)) old"
    return [
      String(one.process), one.sharing, one.roles.isEmpty ? "-" : one.roles.joined(separator: ","),
      count(\.entriesWritten),
      seconds > 0 ? Format.fixed(Double(written) / 1e6 / seconds, 1) : Format.bytes(one.bytesWritten),
      count(\.lookups), String(one.changesBehind), snapshots, pins, state(one),
    ]
  }

  private func state(_ one: ProcessMetrics) -> String {
    if one.isSelf { return "this one" }
    if one.silentSeconds <= 3 { return "" }
    let locks = one.locks.map { ", holds the \($0) lock" }.joined()
    return "silent for \(one.silentSeconds) s\(locks)"
  }

  var json: JSONValue {
    .array(
      processes.map { one in
        .object([
          ("process", .integer(UInt64(one.process))), ("isSelf", .bool(one.isSelf)), ("sharing", .string(one.sharing)),
          ("roles", .array(one.roles.map { .string($0) })), ("locks", .array(one.locks.map { .string($0) })),
          ("attachedSeconds", .integer(one.attachedSeconds)),
          ("silentSeconds", .integer(one.silentSeconds)), ("entriesWritten", .integer(one.entriesWritten)),
          ("bytesWritten", .integer(one.bytesWritten)), ("lookups", .integer(one.lookups)),
          ("stallNanoseconds", .integer(one.stallNanoseconds)), ("changesBehind", .integer(one.changesBehind)),
          ("snapshots", .integer(UInt64(one.snapshots))), ("oldestSnapshotBytes", .integer(one.oldestSnapshotBytes)),
          ("pinnedMemtableBytes", .integer(one.pinnedMemtableBytes)),
          ("pinnedTables", .integer(UInt64(one.pinnedTables))),
        ])
      })
  }
}
