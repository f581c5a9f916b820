import Foundation

/// Processor time by room of the house and by thread.
struct RoomTable: Sendable {
  struct Row: Sendable, Equatable {
    var room: String
    /// In the room's own code.
    var ownNanoseconds: UInt64 = 0
    /// With what the libraries and the kernel did on its behalf.
    var chargedNanoseconds: UInt64 = 0
    var ownByThread: [String: UInt64] = [:]
  }

  private(set) var rows: [Row] = []
  private(set) var threads: [(name: String, nanoseconds: UInt64)] = []
  private(set) var totalNanoseconds: UInt64 = 0

  init(_ samples: [(thread: String, stack: [StackFrame], nanoseconds: UInt64)]) {
    var rooms: [String: Row] = [:]
    var threads: [String: UInt64] = [:]
    for sample in samples {
      guard let own = sample.stack.last?.room else { continue }
      let charged = sample.stack.last { !Room.isService($0.room) }?.room ?? own
      rooms[own, default: Row(room: own)].ownNanoseconds += sample.nanoseconds
      rooms[own]?.ownByThread[sample.thread, default: 0] += sample.nanoseconds
      rooms[charged, default: Row(room: charged)].chargedNanoseconds += sample.nanoseconds
      threads[sample.thread, default: 0] += sample.nanoseconds
      totalNanoseconds += sample.nanoseconds
    }
    rows = rooms.values.sorted { ($1.ownNanoseconds, $0.room) < ($0.ownNanoseconds, $1.room) }
    self.threads = threads.map { ($0.key, $0.value) }.sorted { ($1.1, $0.0) < ($0.1, $1.0) }
  }

  /// For a terminal: a line for each room, a column for each of the busiest threads.
  var text: String {
    let columns = threads.prefix(6).map(\.name)
    func row(_ title: String, _ cells: [String]) -> String {
      title.padding(toLength: 20, withPad: " ", startingAt: 0)
        + cells.map { String(repeating: " ", count: max(1, 15 - $0.count)) + $0 }.joined()
    }
    func share(_ nanoseconds: UInt64) -> String {
      nanoseconds == 0 ? "-" : String(format: "%.1f %%", 100 * Double(nanoseconds) / Double(max(totalNanoseconds, 1)))
    }
    func seconds(_ nanoseconds: UInt64) -> String { String(format: "%.2f s", Double(nanoseconds) / 1e9) }
    var lines = [row("processor time in", ["self", "share", "charged"] + columns)]
    lines += rows.map { line in
      row(
        line.room,
        [seconds(line.ownNanoseconds), share(line.ownNanoseconds), share(line.chargedNanoseconds)]
          + columns.map { share(line.ownByThread[$0] ?? 0) })
    }
    lines.append(
      row("all", [seconds(totalNanoseconds), "", ""] + threads.prefix(6).map { share($0.nanoseconds) }))
    lines.append(
      "self: in the room's own code, inlined or not. charged: with what libraries and the kernel did for it.")
    return lines.joined(separator: "\n") + "\n"
  }
}
