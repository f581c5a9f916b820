import Foundation
import Synchronization

/// Puts as fast as it can, until it is killed.
enum Victim {
  private static let keys: UInt64 = 1_000

  static func run(_ engine: SiltstoneEngine) throws {
    let session = engine.makeSession()
    var keys = KeyMaker(keyBytes: engine.specification.keyBytes)
    var values = ValueMaker(seed: 1, largest: engine.specification.valueBytes, compressible: true)
    ParentProcess.send("ready")
    guard readLine() == "go" else { return }
    for number in 0...UInt64.max {
      try session.put(keys.make(number % Victim.keys), values.make(engine.specification.valueBytes))
    }
  }
}

/// Puts at fixed times, far below what it could, and knows when each was acknowledged.
final class Survivor: Sendable {
  /// The last acknowledgements, by number: the thread that puts writes, the one that is asked reads what is counted.
  private nonisolated(unsafe) let times = UnsafeMutablePointer<UInt64>.allocate(capacity: Survivor.capacity)
  private let count = Atomic<Int>(0)
  private let over = StopSign()

  private static let capacity = 1 << 16
  static let intervalNanoseconds: UInt64 = 200_000

  deinit { times.deallocate() }

  static func run(_ engine: SiltstoneEngine) throws {
    let survivor = Survivor()
    ParentProcess.send("ready")
    try Threads.run(2) { index in
      if index == 0 { return try survivor.put(engine) }
      defer { survivor.over.set() }
      while let line = readLine() {
        let words = line.split(separator: " ")
        guard words.count == 3, words[0] == "pause", let begin = UInt64(words[1]), let end = UInt64(words[2]) else {
          throw BenchError("survivor: told \(line)")
        }
        let pause = survivor.longestPause(from: begin, to: end)
        ParentProcess.send("pause \(pause) \(UInt64(engine.internals["takeovers"] ?? 0))")
      }
    }
  }

  private func put(_ engine: SiltstoneEngine) throws {
    defer { over.set() }
    let session = engine.makeSession()
    var keys = KeyMaker(keyBytes: engine.specification.keyBytes)
    var values = ValueMaker(seed: 2, largest: engine.specification.valueBytes, compressible: true)
    var due = Clock.nanoseconds()
    while !over.isSet {
      let number = count.load(ordering: .relaxed)
      try session.put(keys.make(UInt64(number % 1_000)), values.make(engine.specification.valueBytes))
      let now = Clock.nanoseconds()
      times[number % Survivor.capacity] = now
      count.store(number + 1, ordering: .releasing)
      // What was missed is not made up for: that would hide how long the next one takes.
      due = max(due + Survivor.intervalNanoseconds, now)
      Clock.sleep(until: due)
    }
  }

  /// Waits until something was acknowledged behind that time.
  private func longestPause(from begin: UInt64, to end: UInt64) -> UInt64 {
    while newest < end, !over.isSet { usleep(200) }
    let count = count.load(ordering: .acquiring)
    let known = min(count, Survivor.capacity / 2)
    return Survivor.longestPause(
      (0..<known).lazy.map { self.times[(count - 1 - $0) % Survivor.capacity] }, from: begin, to: end)
  }

  /// The longest time between `begin` and `end` in which nothing was acknowledged.
  static func longestPause(_ newestFirst: some Sequence<UInt64>, from begin: UInt64, to end: UInt64) -> UInt64 {
    var longest: UInt64 = 0
    var next: UInt64?
    for time in newestFirst {
      if let next {
        if next <= begin { break }
        if time < end { longest = max(longest, min(next, end) - max(time, begin)) }
      }
      next = time
    }
    return longest
  }

  private var newest: UInt64 {
    let count = count.load(ordering: .acquiring)
    return count == 0 ? 0 : times[(count - 1) % Survivor.capacity]
  }
}

/// Kills a process that puts, again and again, and asks two others how long they stood still.
struct PauseMeasurement {
  let specification: RunSpecification
  let kills: Int
  let progress: LiveProgress

  private static let windowNanoseconds: UInt64 = 40_000_000

  private struct Outcome {
    var control: [Double] = []
    /// By whether the lock had to be taken over from the dead one.
    var owners: [Double] = []
    var others: [Double] = []
  }

  func measure() throws -> ProcessSection {
    try FileManager.default.createDirectory(atPath: specification.directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: specification.directory) }
    let survivors = try (0..<2).map { _ in try ProcessPeer.start(.survivor, specification) }
    var outcome = Outcome()
    var noise = Noise(seed: UInt64(Date().timeIntervalSince1970))
    progress.begin(label: "kills", total: UInt64(kills))
    for number in 0..<kills {
      try killOne(survivors, &outcome, &noise)
      progress.update(done: UInt64(number + 1))
    }
    progress.end(summary: "\(outcome.owners.count) of \(kills) hit the owner of the lock")
    for process in survivors { try process.end() }
    return section(outcome)
  }

  private func killOne(_ survivors: [ChildProcess], _ outcome: inout Outcome, _ noise: inout Noise) throws {
    var guest = specification
    guest.sharing = .guest
    let victim = try ProcessPeer.start(.victim, guest)
    let begin = Clock.nanoseconds()
    let before = try pause(survivors, from: begin, to: begin + 1).takeovers
    try victim.send("go")
    // It is at its puts by then; then comes a while as long as that after the kill, for comparison.
    let calm = Clock.nanoseconds() + 5_000_000
    Clock.sleep(until: calm + PauseMeasurement.windowNanoseconds + noise.next(below: 2_000_000))
    let killed = Clock.nanoseconds()
    victim.kill()
    Clock.sleep(until: killed + PauseMeasurement.windowNanoseconds)
    let after = try pause(survivors, from: killed, to: killed + PauseMeasurement.windowNanoseconds)
    outcome.control.append(try pause(survivors, from: calm, to: calm + PauseMeasurement.windowNanoseconds).longest)
    if after.takeovers > before { outcome.owners.append(after.longest) } else { outcome.others.append(after.longest) }
    guard victim.wait() == .signal(SIGKILL) else { throw BenchError("processes: the one to be killed has failed") }
  }

  /// The longest of both, and how often they have taken the lock over by now.
  private func pause(
    _ survivors: [ChildProcess], from begin: UInt64, to end: UInt64
  ) throws -> (longest: Double, takeovers: UInt64) {
    for process in survivors { try process.send("pause \(begin) \(end)") }
    let answers = try survivors.map { try $0.expect("pause").split(separator: " ").compactMap { UInt64($0) } }
    guard answers.allSatisfy({ $0.count == 2 }) else { throw BenchError("processes: a survivor has failed") }
    return (Double(answers.map { $0[0] }.max() ?? 0), answers.reduce(0) { $0 + $1[1] })
  }

  private func section(_ outcome: Outcome) -> ProcessSection {
    func figure(
      _ name: String, _ values: [Double], _ percentile: Double, target: ProcessFigure.Target? = nil
    ) -> ProcessFigure {
      ProcessFigure(
        name: name, unit: .nanoseconds, values: [Statistics.percentile(values, percentile)],
        others: [Statistics.percentile(outcome.control, percentile)], target: target)
    }
    return ProcessSection(
      title: "Pause of two others", columns: ["after a kill", "without"],
      figures: [
        figure("the lock's owner, longest", outcome.owners, 100, target: .below(10_000_000)),
        figure("the lock's owner, p99", outcome.owners, 99), figure("the lock's owner, median", outcome.owners, 50),
        figure("another, longest", outcome.others, 100), figure("another, median", outcome.others, 50),
      ],
      note: "\(outcome.owners.count) of \(kills) kills hit the owner of the lock, which was taken over and what it had "
        + "begun finished. A pause is the longest time without an acknowledgement, of puts that come every "
        + "\(Format.nanoseconds(Double(Survivor.intervalNanoseconds))), in the "
        + "\(Format.nanoseconds(Double(PauseMeasurement.windowNanoseconds))) from a kill on, and in as long before it.")
  }
}
