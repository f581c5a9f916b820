import Testing

@testable import Siltstone

@Suite struct TreeLayoutTests {
  @Test func tablesFindTheirPlaces() throws {
    var layout = TreeLayout()
    var edit = VersionEdit()
    edit.add(paperTable(2, 50, 60), level: 1, run: 3)
    edit.add(paperTable(1, 10, 20), level: 1, run: 3)
    edit.add(paperTable(3, 10, 90), level: 1, run: 7)
    edit.add(paperTable(4, 10, 90), level: 3, run: 1)
    try layout.apply(edit)
    #expect(layout.levels.count == 4)
    #expect(layout.levels[1].runs.map(\.id) == [7, 3])
    #expect(layout.levels[1].runs[1].tables.map(\.number) == [1, 2])
    #expect(layout.lastLevel == 3)
    #expect(layout.runCount == 3)
    try layout.checkInvariants()

    // A move takes a table out before it puts it elsewhere; empty runs and levels go.
    var move = VersionEdit()
    move.remove(4)
    move.remove(3)
    move.add(paperTable(4, 10, 90), level: 2, run: 1)
    try layout.apply(move)
    #expect(layout.levels.count == 3)
    #expect(layout.levels[1].runs.map(\.id) == [3])
    #expect(layout.levels[2].runs[0].tables.map(\.number) == [4])
  }

  @Test func whatCannotBeIsRefused() throws {
    let base = try paperLayout([[[paperTable(1, 10, 20), paperTable(2, 30, 40)]]])
    func message(_ change: (inout VersionEdit) -> Void) -> String? {
      var layout = base
      var edit = VersionEdit()
      change(&edit)
      do throws(LayoutViolation) { try layout.apply(edit) } catch { return error.message }
      return nil
    }
    #expect(message { $0.remove(9) } == "table 9 is removed, but is not there")
    #expect(
      message {
        $0.remove(1)
        $0.remove(1)
      } == "a table is removed twice")
    #expect(message { $0.add(paperTable(2, 1, 2), level: 1, run: 1) } == "table 2 is in two places")
    #expect(
      message { $0.add(paperTable(3, 20, 25), level: 0, run: 1000) } == "tables 1 and 3 of run 1000 overlap")
    #expect(message { $0.add(paperTable(3, 25, 22), level: 0, run: 1) } == "table 3 contradicts itself")
    #expect(message { $0.add(paperTable(3, 1, 2), level: 99, run: 1) } == "there is no level 99")
    #expect(message { $0.add(paperTable(3, 25, 25), level: 0, run: 1000) } == nil)
  }

  @Test func overlapIsFoundLikeByBruteForce() {
    var generator = SeededGenerator(seed: 4)
    for _ in 0..<300 {
      var bounds: Set<Int> = []
      while bounds.count < 12 { bounds.insert(Int.random(in: 0..<60, using: &generator)) }
      let sorted = bounds.sorted()
      let tables = (0..<6).map { paperTable(UInt64($0), sorted[2 * $0], sorted[2 * $0 + 1]) }
      let run = TreeLayout.Run(id: 1, tables: tables)
      let low = Int.random(in: 0..<60, using: &generator)
      let high = Int.random(in: low..<60, using: &generator)
      let interval = KeyInterval(smallest: paperKey(low), largest: paperKey(high))
      let expected = tables.filter { $0.interval.overlaps(interval) }.map(\.number)
      let byHand = (0..<6).filter { sorted[2 * $0] <= high && sorted[2 * $0 + 1] >= low }
      #expect(run.tables(overlapping: interval).map(\.number) == expected)
      #expect(expected == byHand.map(UInt64.init))
    }
  }

  @Test func theStateRefusesNumbersThatWereNeverGivenOut() throws {
    var state = TreeState(.init(database: DatabaseID(high: 1, low: 2), logSegmentBytes: 4096))
    var edit = VersionEdit(logStart: 500, nextFileNumber: 10, nextRunID: 4)
    edit.add(paperTable(9, 1, 2), level: 0, run: 3)
    try state.apply(edit)
    var copy = state
    var bad = VersionEdit()
    bad.add(paperTable(10, 1, 2), level: 0, run: 2)
    #expect(throws: LayoutViolation.self) { try copy.apply(bad) }
    copy = state
    #expect(throws: LayoutViolation.self) { try copy.apply(VersionEdit(logStart: 499)) }
    copy = state
    #expect(throws: LayoutViolation.self) { try copy.apply(VersionEdit(creation: state.creation)) }
    let again = try TreeState(first: state.snapshot)
    #expect(again == state)
  }
}
