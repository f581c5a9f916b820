import CSupport
import Testing

@testable import Siltstone

@Suite struct WritePacerTests {
  /// Nothing up to what is allowed; then more and more, and just what values are moved at in between.
  @Test func garbageHasItsPrice() {
    var pacer = WritePacer()
    var last = 0.0
    pacer.moved(4 << 30, nanoseconds: 1 << 32)
    for excess in [0, 0.5, 1, 1.5, 50] {
      pacer.update(WriteDebt(garbageExcess: excess), nowNanoseconds: 1)
      #expect(excess == 0 ? pacer.nanosecondsPerByte == 0 : pacer.nanosecondsPerByte > last)
      if excess == 1 { #expect(abs(pacer.nanosecondsPerByte - 1) < 0.05) }
      last = pacer.nanosecondsPerByte
    }
    #expect(last < 20)
  }

  /// What memtables hold little of costs merges little.
  @Test func valuesThatStayInTheLogAreNotChargedForMerges() {
    var (small, large) = (WritePacer(), WritePacer())
    for _ in 0..<100 {
      small.flushed(64 << 20, nanoseconds: 100_000_000)
      large.flushed(4 << 20, standingFor: 512 << 20, nanoseconds: 100_000_000)
    }
    for second in 0..<10 {
      for step in 0..<2 {
        let debt = WriteDebt(levelZeroExcess: 1)
        if step == 0 { small.update(debt, nowNanoseconds: UInt64(second) * 1_000_000_000) }
        if step == 1 { large.update(debt, nowNanoseconds: UInt64(second) * 1_000_000_000) }
      }
    }
    #expect(large.nanosecondsPerByte < small.nanosecondsPerByte / 50)
  }

  /// A disk, a flusher and a compactor on paper: memtables of 64 MB, four of them; level 0 is taken down six runs at a
  /// time, at `mergeFactor` bytes read for each byte.
  struct Simulation {
    var pacer = WritePacer()
    var wantedBytesPerSecond = 900e6
    var flushBytesPerSecond = 400e6
    var mergeBytesPerSecond = 300e6
    var mergeFactor = 4.0
    let memtable = 64e6

    var unflushed = 0.0
    var levelZeroRuns = 0.0
    var flushing = 0.0
    var merging = 0.0
    var mergingRuns = 0.0
    var stalls = 0
    /// Bytes taken in, second by second.
    var ingest: [Double] = []
    var worstRuns = 0.0

    mutating func run(seconds: Int) {
      let step = 0.01
      for second in 0..<seconds {
        ingest.append(0)
        for tick in 0..<100 {
          let now = UInt64((Double(second) + Double(tick) * step) * 1e9)
          let fraction = unflushed / (4 * memtable)
          let done = merging > 0 ? 1 - merging / (mergingRuns * memtable * mergeFactor) : 0
          let excess = max(0, (levelZeroRuns - done * mergingRuns) / 4 - 1)
          pacer.update(WriteDebt(memtableFraction: fraction, levelZeroExcess: excess), nowNanoseconds: now)
          write(step)
          flush(step)
          merge(step)
          worstRuns = max(worstRuns, levelZeroRuns)
        }
      }
    }

    private mutating func write(_ step: Double) {
      let secondsPerByte = 1 / wantedBytesPerSecond + pacer.nanosecondsPerByte / 1e9
      var bytes = step / secondsPerByte
      if unflushed + bytes > 4 * memtable {
        bytes = max(0, 4 * memtable - unflushed)
        stalls += 1
      }
      unflushed += bytes
      ingest[ingest.count - 1] += bytes
    }

    private mutating func flush(_ step: Double) {
      guard flushing > 0 || unflushed >= memtable else { return }
      if flushing == 0 { flushing = memtable }
      flushing -= flushBytesPerSecond * step
      guard flushing <= 0 else { return }
      flushing = 0
      unflushed -= memtable
      levelZeroRuns += 1
      pacer.flushed(UInt64(memtable), nanoseconds: UInt64(memtable / flushBytesPerSecond * 1e9))
    }

    private mutating func merge(_ step: Double) {
      guard merging > 0 || levelZeroRuns > 4 else { return }
      if merging == 0 {
        mergingRuns = levelZeroRuns
        merging = mergingRuns * memtable * mergeFactor
      }
      merging -= mergeBytesPerSecond * step
      guard merging <= 0 else { return }
      let bytes = mergingRuns * memtable * mergeFactor
      pacer.merged(UInt64(bytes), nanoseconds: UInt64(bytes / mergeBytesPerSecond * 1e9))
      merging = 0
      levelZeroRuns -= mergingRuns
    }
  }

  private func mean(_ values: ArraySlice<Double>) -> Double { values.reduce(0, +) / Double(values.count) }

  private func spread(_ values: ArraySlice<Double>) -> Double {
    let mean = mean(values)
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot() / mean
  }

  @Test(arguments: [
    (400e6, 300e6, 4.0), (400e6, 100e6, 6.0), (100e6, 600e6, 2.0), (200e6, 200e6, 1.0), (50e6, 50e6, 8.0),
  ])
  func theDebtStaysBoundedAndTheRateSteady(flush: Double, merge: Double, factor: Double) {
    var simulation = Simulation()
    simulation.flushBytesPerSecond = flush
    simulation.mergeBytesPerSecond = merge
    simulation.mergeFactor = factor
    simulation.run(seconds: 600)
    let sustainable = min(flush, merge / factor)
    let later = simulation.ingest[200...]
    #expect(mean(later) > 0.9 * sustainable, "\(mean(later) / 1e6) of \(sustainable / 1e6) MB/s")
    #expect(mean(later) < 1.05 * sustainable)
    #expect(spread(later) < 0.25, "\(spread(later))")
    #expect(simulation.worstRuns <= 25, "\(simulation.worstRuns)")
    #expect(simulation.stalls == 0)
  }

  @Test func aSlowWriterIsLeftAlone() {
    var simulation = Simulation()
    simulation.wantedBytesPerSecond = 30e6
    simulation.run(seconds: 300)
    #expect(mean(simulation.ingest[20...]) > 0.98 * 30e6)
    #expect(simulation.stalls == 0)
  }

  @Test func aDiskThatBecomesSlowIsFollowed() {
    var simulation = Simulation()
    simulation.run(seconds: 200)
    simulation.mergeBytesPerSecond = 60e6
    simulation.flushBytesPerSecond = 80e6
    simulation.ingest = []
    simulation.run(seconds: 600)
    #expect(mean(simulation.ingest[300...]) < 1.1 * 60e6 / 4)
    #expect(mean(simulation.ingest[300...]) > 0.8 * 60e6 / 4)
    #expect(simulation.worstRuns < 30)
  }

  @Test func thePriceRisesWithoutAJump() {
    var last = 0.0
    for step in 0...1000 {
      var pacer = WritePacer()
      pacer.update(WriteDebt(memtableFraction: Double(step) / 1000), nowNanoseconds: 1)
      #expect(pacer.nanosecondsPerByte >= last)
      if step <= 500 { #expect(pacer.nanosecondsPerByte == 0) }
      // At most 1 % of the pressure a step, and at p < 0.9 that changes the price by no more than 0.2 / 256 MB/s.
      if step < 950 { #expect(pacer.nanosecondsPerByte - last < 1) }
      last = pacer.nanosecondsPerByte
    }
    #expect(last > 50)
  }
}

@Suite struct WriteThrottleTests {
  /// Memory as processes share it.
  private final class Words {
    let words = UnsafeMutablePointer<csup_pacing>.allocate(capacity: 1)
    init() { words.initialize(to: csup_pacing()) }
    deinit { words.deallocate() }
  }

  @Test func withoutAPriceNobodyWaits() {
    let shared = Words()
    let throttle = WriteThrottle(shared.words)
    #expect((0..<100).allSatisfy { _ in throttle.admit(1 << 20, now: { 5 }) == 0 })
  }

  /// Writers that sleep as they are told come out at the price's rate, in few sleeps, however many there are, and in
  /// however many processes.
  @Test(arguments: [(1, 1), (2, 1), (7, 1), (2, 2), (8, 4)])
  func allWritersTogetherKeepTheRate(writers: Int, processes: Int) {
    let shared = Words()
    let throttles = (0..<processes).map { _ in WriteThrottle(shared.words) }
    throttles[0].setPrice(nanosecondsPerByte: 10)
    var clocks = [UInt64](repeating: 1_000_000, count: writers)
    var bytes = 0
    var sleeps = 0
    var shortest = UInt64.max
    var writes = 0
    while let next = clocks.indices.min(by: { clocks[$0] < clocks[$1] }), clocks[next] < 1_001_000_000 {
      let wait = throttles[next % processes].admit(100, now: { clocks[next] })
      if wait > 0 {
        sleeps += 1
        shortest = min(shortest, wait)
      }
      clocks[next] += wait + 300  // the write itself
      bytes += 100
      writes += 1
    }
    // 10 ns a byte are 100 MB in a second.
    #expect(abs(Double(bytes) - 100e6) < 2e6, "\(bytes)")
    #expect(shortest >= WriteThrottle.minSleepNanoseconds)
    #expect(sleeps > 100 && sleeps <= writes / 20, "\(sleeps) sleeps in \(writes) writes")
  }

  /// Whatever another process has written over them, no word makes a writer wait for long, or ends it.
  @Test func noWordMakesAWriterWaitForEver() {
    let shared = Words()
    let throttle = WriteThrottle(shared.words)
    let limit = WriteThrottle.maxQueueNanoseconds
    for price in [Double.nan, -.infinity, -1, .infinity, .greatestFiniteMagnitude, 1e-300] {
      shared.words.pointee.price = price.bitPattern
      for freeAt in [0, 1, limit - 1, limit * 2, UInt64.max] {
        shared.words.pointee.free_at = freeAt
        for now in [5, limit, UInt64.max / 2] { #expect(throttle.admit(1 << 30, now: { now }) <= limit) }
      }
    }
  }
}
