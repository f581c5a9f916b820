import Testing

@testable import Siltstone

/// When the log goes to its files unasked. The clock is the test's.
@Suite struct DrainPolicyTests {
  static let ringBytes: UInt64 = 128 << 20
  static let millisecond: UInt64 = 1_000_000
  typealias Watermarks = DrainPolicy.Watermarks

  /// A log that does what the policy says, and what it has cost.
  struct Log {
    var policy = DrainPolicy(ringBytes: DrainPolicyTests.ringBytes)
    var marks = Watermarks(drained: 0, durable: 0, logStart: 0)
    var writtenBytes: UInt64 = 0
    var syncs = 0

    mutating func look(_ now: UInt64) {
      while true {
        let step = policy.next(marks, nowNanoseconds: now)
        switch step {
        case .rest: return
        case .drain(let end): write(upTo: end)
        case .sync(let end):
          write(upTo: end)
          marks.durable = max(marks.durable, end, marks.logStart)
          syncs += 1
        }
      }
    }

    mutating func write(upTo end: LogPosition) {
      let begin = max(marks.drained, marks.logStart)
      writtenBytes += end - min(begin, end)
      marks.drained = max(end, begin)
      #expect(marks.drained <= marks.reserved)
    }

    /// A flush, and the drainer's look at it.
    mutating func flush(upTo end: LogPosition) {
      marks.logStart = end
      marks.drained = max(marks.drained, end)
      marks.durable = max(marks.durable, end)
    }
  }

  /// However little is written, and whenever.
  @Test(arguments: [1, 30, 99, 100, 101, 450] as [UInt64])
  func whatIsOldBecomesDurable(interval: UInt64) {
    var log = Log()
    var ends: [(end: LogPosition, time: UInt64)] = []
    for time in stride(from: 0, to: 10_000 as UInt64, by: 10) {
      if time < 5_000, time % interval < 10 {
        log.marks.reserved += 100
        ends.append((log.marks.reserved, time))
      }
      log.look(time * Self.millisecond)
      ends.removeAll { $0.end <= log.marks.durable }
      #expect(ends.first.map { time - $0.time } ?? 0 <= 1_200)
    }
    #expect(log.marks.durable == log.marks.reserved)
    #expect(log.syncs <= 7, "about one a second")
  }

  /// Flushes that come within the second leave nothing to write.
  @Test func whatIsSoonInTablesIsNotWritten() {
    var log = Log()
    for time in stride(from: 0, to: 20_000 as UInt64, by: 10) {
      log.marks.reserved += 1 << 20
      log.look(time * Self.millisecond)
      if time % 400 == 390 { log.flush(upTo: log.marks.reserved - 10 << 20) }
    }
    #expect(log.writtenBytes == 0 && log.syncs == 0)
  }

  /// Flushes that come a little later leave little: only what is old is written.
  @Test func whatIsNotOldIsLeft() {
    var log = Log()
    for time in stride(from: 0, to: 20_000 as UInt64, by: 10) {
      log.marks.reserved += 512 << 10
      log.look(time * Self.millisecond)
      if time % 1_200 == 1_190 { log.flush(upTo: log.marks.reserved - 1 << 20) }
    }
    #expect(log.writtenBytes > 0 && log.writtenBytes < log.marks.reserved / 4)
  }

  /// Memtables that are full are flushed before two seconds are over.
  @Test func whatIsSealedHasAnotherSecond() {
    var log = Log()
    for time in stride(from: 0, to: 20_000 as UInt64, by: 10) {
      log.marks.reserved += 512 << 10
      if time % 900 == 890 {
        if time > 900 { log.flush(upTo: log.marks.sealedEnd) }
        log.marks.sealedEnd = log.marks.reserved
      }
      log.look(time * Self.millisecond)
    }
    #expect(log.writtenBytes == 0)
    // The flush fails, and nothing more is written.
    for time in stride(from: 20_000, to: 23_000 as UInt64, by: 10) { log.look(time * Self.millisecond) }
    #expect(log.marks.durable == log.marks.reserved)
  }

  /// Without a flush there is always room for what a writer brings between two looks.
  @Test func theRingNeverFills() {
    var log = Log()
    for step in 0..<2_000 as Range<UInt64> {
      log.marks.reserved += 4 << 20
      #expect(log.marks.reserved - log.marks.drained <= Self.ringBytes)
      log.look(step * Self.millisecond)
    }
    #expect(log.marks.reserved - log.marks.drained > Self.ringBytes / 2, "as late as is right")
  }

  /// Somebody waits for durability, and then does no more.
  @Test func whoWaitsNowAndThenFindsAShortTail() {
    var log = Log()
    var longest: UInt64 = 0
    for time in stride(from: 0, to: 4_000 as UInt64, by: 10) {
      log.marks.reserved += 1 << 20
      if time % 500 == 0, time < 2_000 {
        log.write(upTo: log.marks.reserved)
        log.marks.durable = log.marks.reserved
        log.marks.syncedWaits += 1
      }
      log.look(time * Self.millisecond)
      #expect(log.policy.isPrompt(time * Self.millisecond) == (500..<2_500).contains(time))
      if (500..<2_500).contains(time) { longest = max(longest, log.marks.reserved - log.marks.drained) }
    }
    #expect(longest < DrainPolicy.promptTailBytes)
    #expect(log.marks.reserved - log.marks.drained > 64 << 20)
  }
}
