import Testing

@testable import Siltstone

@Suite struct RetentionRuleTests {
  /// What a read at `position` finds among a key's versions, newest first.
  static func visible(_ versions: [OwnedEntry], at position: LogPosition) -> OwnedEntry? {
    versions.first { $0.sequence < position }
  }

  @Test func keepsExactlyWhatSomebodySees() {
    var generator = SeededGenerator(seed: 31)
    var dropped = 0
    for _ in 0..<2000 {
      let snapshots = (0..<Int.random(in: 0...4, using: &generator)).map { _ in generator.next() % 40 }.sorted()
      var entries: [OwnedEntry] = []
      for key in 1...3 as ClosedRange<UInt8> {
        let sequences = Set((0..<Int.random(in: 0...6, using: &generator)).map { _ in generator.next() % 40 })
        entries += sequences.sorted(by: >).map { OwnedEntry(key: [key], sequence: $0) }
      }
      var rule = RetentionRule(snapshots: snapshots)
      for (index, entry) in entries.enumerated() {
        let keeps = entry.key.withView { rule.keeps($0, entry.trailer) }
        let versions = entries.filter { $0.key == entry.key }
        let isSeen = (snapshots + [.max]).contains { Self.visible(versions, at: $0) == entry }
        #expect(keeps == isSeen)
        #expect(rule.startsKey == (index == 0 || entries[index - 1].key != entry.key))
        #expect(rule.isSeenByAll == snapshots.allSatisfy { entry.sequence < $0 })
        dropped += keeps ? 0 : 1
      }
    }
    #expect(dropped > 1000)
  }

  @Test func aRepeatedEntryIsDropped() {
    var rule = RetentionRule(snapshots: [3, 9])
    let key: [UInt8] = [1]
    #expect(key.withView { rule.keeps($0, KeyTrailer(5, .put)) } == true)
    #expect(key.withView { rule.keeps($0, KeyTrailer(5, .put)) } == false)
  }

  @Test func whatLiesBeneathIsFoundInOnePass() {
    var generator = SeededGenerator(seed: 32)
    for _ in 0..<200 {
      let runs = (0..<Int.random(in: 0...4, using: &generator)).map { id in
        var key = 0
        let tables = (0..<Int.random(in: 1...5, using: &generator)).map { number in
          let smallest = key + Int.random(in: 1...6, using: &generator)
          key = smallest + Int.random(in: 0...6, using: &generator)
          return paperTable(UInt64(number), smallest, key)
        }
        return TreeLayout.Run(id: UInt64(id), tables: tables)
      }
      var beneath = BeneathRuns(runs)
      for number in 0..<60 where Int.random(in: 0..<3, using: &generator) > 0 {
        let key = paperKey(number)
        let expected = runs.contains { run in
          run.tables.contains { compareKeys($0.smallestKey, key) <= 0 && compareKeys(key, $0.largestKey) <= 0 }
        }
        let found = key.withView { beneath.mayHold($0) }
        #expect(found == expected)
      }
    }
  }
}
