import CSupport
import Foundation
import Testing

@testable import Siltstone

/// Crashes at any moment of a busy life, one after the other, and what must be there afterwards.
@Suite struct RecoveryTests {
  @Test(arguments: [1, 2] as [UInt64])
  func aChainOfProcessDeathsLosesNothing(seed: UInt64) throws {
    try Self.chain(seed: seed, rounds: 6) { _ in .process }
  }

  @Test(arguments: [11, 12, 13] as [UInt64])
  func aChainOfPowerCutsLosesOnlyWhatWasNotSynced(seed: UInt64) throws {
    try Self.chain(seed: seed, rounds: 6) { .power(&$0) }
  }

  @Test(arguments: [21, 22] as [UInt64])
  func deathsAndPowerCutsMix(seed: UInt64) throws {
    try Self.chain(seed: seed, rounds: 7) { random in Bool.random(using: &random) ? .process : .power(&random) }
  }

  /// With a ring that holds many memtables hardly anything is drained before it is in tables.
  @Test(arguments: 31...36 as ClosedRange<UInt64>)
  func whatWasNeverDrainedIsThere(seed: UInt64) throws {
    var options = Options.small()
    options.ringBytes = 1 << 19
    try Self.chain(seed: seed, rounds: 5, options) { random in Bool.random(using: &random) ? .process : .power(&random)
    }
  }

  /// Runs the workload on what the last crash left, lets it crash at some moment, and checks.
  static func chain(
    seed: UInt64, rounds: Int, _ options: Options = .small(), _ loss: (inout SeededGenerator) -> CrashDisk.Loss
  ) throws {
    var random = SeededGenerator(seed: seed)
    var disk = CrashDisk()
    var counts = [Int](repeating: 0, count: CrashWorkload.writers)
    for round in 0..<rounds {
      let engine = try Engine.open("", options, on: disk)
      let promises = CrashWorkload.Promises()
      for writer in 0..<CrashWorkload.writers {
        promises.acknowledge(writer, counts[writer], .staged)
      }
      // What was recovered is not promised to survive a power cut until it was synced; half of the time it is.
      if Bool.random(using: &random) {
        try engine.sync()
        for writer in 0..<CrashWorkload.writers { promises.acknowledge(writer, counts[writer], .synced) }
      }
      let stop = CrashWorkload.Stop()
      let threads = CrashWorkload.run(engine, from: counts, seed: random.next(), promises, stop)
      usleep(UInt32.random(in: 1_000...120_000, using: &random))
      let kind = loss(&random)
      let isPowerCut = if case .power = kind { true } else { false }
      let promised = isPowerCut ? promises.synced : promises.staged
      let survivor = disk.crashed(kind)
      stop.set()
      #expect(stop.wait(), "writers hang")
      #expect(threads.count == CrashWorkload.writers && stop.errors.isEmpty, "\(stop.errors)")
      try engine.close()

      let recovered = try Engine.open("", options, on: survivor)
      let state = try CrashWorkload.check(recovered, atLeast: promised)
      #expect(state.problems.isEmpty, "seed \(seed), round \(round): \(state.problems)")
      // Nothing was written since, so to die once more right here must change nothing.
      let again = try Engine.open("", options, on: survivor.crashed(.process))
      let same = try CrashWorkload.check(again, atLeast: state.counts)
      #expect(same.problems.isEmpty && same.counts == state.counts, "seed \(seed), round \(round): \(same)")
      try again.close()
      try recovered.close()
      counts = state.counts
      disk = survivor
    }
    #expect(counts.reduce(0, +) > 20)
  }

  /// Recovery itself dies, at moments that its own flushes give it.
  @Test func recoveryMayDieToo() throws {
    var random = SeededGenerator(seed: 5)
    let disk = CrashDisk()
    let engine = try Engine.open("", Self.roomy, on: disk)
    for number in 1...400 { try CrashWorkload.commit(engine, 0, number, &random, .staged) }
    var left = disk.crashed(.process)
    try engine.close()
    // A smaller memtable makes the replay of what was left flush in the middle, time and again.
    for _ in 0..<12 {
      let storage = FaultStorage(left)
      let after = Int.random(in: 0..<60, using: &random)
      storage.inject(
        .init(call: .write, nameSuffix: "", after: after, isSticky: true, error: FaultStorage.ioError("x")))
      if let opened = try? Engine.open("", .small(), on: storage) {
        _ = try? opened.text("x")
        let next = left.crashed(.process)
        try? opened.close()
        left = next
      } else {
        left = left.crashed(.process)
      }
    }
    let recovered = try Engine.open("", .small(), on: left)
    let state = try CrashWorkload.check(recovered, atLeast: [400, 0, 0])
    #expect(state.problems.isEmpty, "\(state.problems)")
    for number in 401...500 { try CrashWorkload.commit(recovered, 0, number, &random, .synced) }
    #expect(try CrashWorkload.check(recovered, atLeast: [500, 0, 0]).problems.isEmpty)
    try recovered.close()
  }

  /// What recovery has flushed was in the ring and in no file. Its segments may be used again at once, so it must not
  /// be drained any more.
  @Test func whatRecoveryFlushedIsNotDrained() throws {
    let disk = CrashDisk()
    let engine = try Engine.open("", Self.roomy, on: disk)
    let value = String(repeating: "v", count: 1_000)
    for number in 0..<200 { try engine.put("key\(number)", value) }
    let left = disk.crashed(.process)
    try engine.close()
    let recovered = try Engine.open("", .small(), on: left)
    let segmentBytes = recovered.segments.segmentBytes
    #expect(recovered.tree.logStart > 2 * segmentBytes)
    try recovered.segments.prepare(upTo: recovered.shared.reserved + 6 * segmentBytes)  // takes all spares
    try recovered.put("after", "1", .synced)
    let again = try Engine.open("", .small(), on: left.crashed(.power(keep: { _, _, _ in 0 }, journal: { _ in 0 })))
    for number in 0..<200 { #expect(try again.text("key\(number)") == value) }
    #expect(try again.text("after") == "1")
    try again.close()
    try recovered.close()
  }

  /// Room for everything in memory, so that nothing is synced for the sake of a flush.
  static var roomy: Options {
    var options = Options.small()
    options.memtableBytes = 1 << 20
    options.ringBytes = 1 << 19
    return options
  }

  /// A value that makes the record of a key of six bytes 1,024 bytes long, so that every fourth one ends with a block.
  static func filler(_ text: String) -> String {
    let overhead = RecordFraming.headerBytes + 1 + 1 + 2 + 6
    return text + String(repeating: "-", count: 1_024 - overhead - text.utf8.count)
  }

  /// A database with a log that is in the files, but not synced from `begin` on, and whose `write` was done behind
  /// that. Tries again if the background was faster, which syncs once a second.
  static func unsynced(
    _ write: (Engine) throws -> Void, _ crash: (CrashDisk, _ begin: LogPosition) throws -> Void
  ) throws {
    for _ in 0..<20 {
      let disk = CrashDisk()
      let engine = try Engine.open("", roomy, on: disk)
      try engine.put("before", filler("before"), .synced)
      let begin = engine.shared.reserved
      #expect(begin == 1_024)
      try write(engine)
      try engine.drainer.waitDrained(engine.shared.reserved)
      let copy = disk.crashed(.process)
      let isUnsynced = engine.shared.durable == begin
      try engine.close()
      if isUnsynced { return try crash(copy, begin) }
    }
    Issue.record("the background was always faster")
  }

  /// All records have one length, and one of them is lost to a power cut, while those behind it reached the disk, the
  /// next segment's included. New records take the lost ones' places exactly, and end where a block ends, or the
  /// segment, so that nothing stands between them and what is behind: it must not come back.
  @Test(arguments: [3, 7, 20])
  func whatStandsBehindAHoleNeverComesBack(lost: Int) throws {
    let count = 110
    let key = { (number: Int) in "key\(100 + number)" }
    try Self.unsynced { engine in
      for number in 1..<count { try engine.put(key(number), Self.filler("\(number) in life 1")) }
    } _: { disk, _ in
      let hole = (LogSegment.headerBytes + lost * 1_024) / 512
      var left = disk.crashed(
        .power(
          keep: { name, sector, versions in
            name == SharedState.fileName || name == LogSegment.fileName(0) && sector == hole ? 0 : versions
          }, journal: { $0 }))
      var next = lost
      for life in 2...5 {
        let recovered = try Engine.open("", Self.roomy, on: left)
        #expect(recovered.shared.reserved == UInt64(next) * 1_024, "life \(life)")
        for number in 1..<count {
          let found = try recovered.text(key(number))
          #expect(number < lost ? found == Self.filler("\(number) in life 1") : (found != nil) == (number < next))
        }
        let end = life == 3 ? recovered.segments.segmentBytes : StorageAlignment.roundUp(UInt64(next + 1) * 1_024)
        while recovered.shared.reserved < end {
          try recovered.put(key(next), Self.filler("\(next) in life \(life)"), .synced)
          next += 1
        }
        // Without the shared state nothing but the log itself says where it ends.
        let cut = left.crashed(
          .power(keep: { name, _, versions in name == SharedState.fileName ? 0 : versions }, journal: { $0 }))
        try recovered.close()
        left = cut
      }
    }
  }

  /// Several records make one batch; the power goes when only some of them are on the disk.
  @Test func halfABatchNeverWas() throws {
    try Self.unsynced { engine in
      try engine.put("large", [UInt8](repeating: 7, count: 300_000))
    } _: { disk, begin in
      for cut in stride(from: 4_096, to: 300_000, by: 23_000) {
        let limit = Int(begin) + cut
        let left = disk.crashed(
          .power(
            keep: { name, sector, versions in
              guard let number = LogSegment.number(fromFileName: name) else { return 0 }
              return Int(number) * 65_536 + sector * 512 - LogSegment.headerBytes < limit ? versions : 0
            }, journal: { $0 }))
        let recovered = try Engine.open("", .small(), on: left)
        #expect(try recovered.text("before") != nil)
        #expect(try recovered.text("large") == nil)
        try recovered.put("after", "2", .staged)
        let again = try Engine.open("", .small(), on: left.crashed(.process))
        #expect(try again.text("large") == nil && again.text("before") != nil && again.text("after") == "2")
        try again.close()
        try recovered.close()
      }
    }
  }

  /// The making of a database dies at each of its steps; the next attempt makes it whole.
  @Test func aHalfMadeDatabaseIsMadeAnew() throws {
    var random = SeededGenerator(seed: 9)
    var failures = 0
    for call in [FaultStorage.Call.create, .write, .sync, .rename, .syncDirectory, .preallocate, .remove] {
      for after in 0..<12 {
        let disk = CrashDisk()
        let storage = FaultStorage(disk)
        storage.inject(
          .init(call: call, nameSuffix: "", after: after, isSticky: true, error: FaultStorage.ioError("x")))
        let opened = try? Engine.open("", .small(), on: storage)
        if opened == nil { failures += 1 }
        let left = disk.crashed(Bool.random(using: &random) ? .process : .power(&random))
        try? opened?.close()
        let engine = try Engine.open("", .small(), on: left)
        try engine.put("a", "1", .synced)
        try engine.close()
        let again = try Engine.open("", .small(), on: left)
        #expect(try again.text("a") == "1")
        try again.close()
      }
    }
    #expect(failures > 10)
  }
}
