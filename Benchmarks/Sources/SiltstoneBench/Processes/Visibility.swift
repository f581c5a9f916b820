import Foundation
import Histogram
import Synchronization

/// How long it takes until a put in one process is read in another: one puts numbers under a key, the other does
/// nothing but get that key, and each notes when. The monotonic clock is the same for all processes of a machine.
struct Visibility: Sendable {
  private let count: Int
  private let keyBytes: Int

  /// Between two puts: long enough for a get to have seen the one before, and not a multiple of what a get takes.
  private static let pauseNanoseconds: ClosedRange<UInt64> = 1_000...5_000
  private static let patienceNanoseconds: UInt64 = 120_000_000_000

  init(_ specification: RunSpecification) {
    count = Int(specification.operationCount)
    keyBytes = specification.keyBytes
  }

  // MARK: - The processes' side

  func put(_ engine: SiltstoneEngine) throws {
    ParentProcess.send("ready")
    guard readLine() == "go" else { return }
    try send(try putAll(engine.makeSession()))
    _ = readLine()
  }

  func watch(_ engine: SiltstoneEngine) throws {
    ParentProcess.send("ready")
    try send([try watchAll(engine.makeSession())])
    _ = readLine()
  }

  /// The same by two threads of one process.
  func both(_ engine: SiltstoneEngine) throws {
    ParentProcess.send("ready")
    guard readLine() == "go" else { return }
    let times = Mutex([[UInt64]](repeating: [], count: 3))
    try Threads.run(2) { index in
      if index == 0 {
        let seen = try watchAll(engine.makeSession())
        times.withLock { $0[2] = seen }
      } else {
        usleep(10_000)
        let puts = try putAll(engine.makeSession())
        times.withLock { $0.replaceSubrange(0..<2, with: puts) }
      }
    }
    try send(times.withLock { $0 })
    _ = readLine()
  }

  private func send(_ times: [[UInt64]]) throws {
    ParentProcess.send("times " + String(decoding: try JSONEncoder().encode(times), as: UTF8.self))
  }

  /// When each put began, and when it was acknowledged.
  private func putAll(_ session: SiltstoneEngine.Session) throws -> [[UInt64]] {
    var times = [[UInt64](repeating: 0, count: count + 1), [UInt64](repeating: 0, count: count + 1)]
    var keys = KeyMaker(keyBytes: keyBytes)
    let key = keys.make(1)
    var noise = Noise(seed: 7)
    for number in 1...count {
      let due = Clock.nanoseconds() + UInt64.random(in: Visibility.pauseNanoseconds, using: &noise)
      while Clock.nanoseconds() < due {}
      try withUnsafeBytes(of: UInt64(number)) { value in
        times[0][number] = Clock.nanoseconds()
        try session.put(key, value)
        times[1][number] = Clock.nanoseconds()
      }
    }
    return times
  }

  /// When each number was first seen; 0 for those that went by between two gets.
  private func watchAll(_ session: SiltstoneEngine.Session) throws -> [UInt64] {
    var seen = [UInt64](repeating: 0, count: count + 1)
    var keys = KeyMaker(keyBytes: keyBytes)
    let key = keys.make(1)
    let deadline = Clock.nanoseconds() + Visibility.patienceNanoseconds
    return try withUnsafeTemporaryAllocation(byteCount: 8, alignment: 8) { value in
      var last = 0
      while last < count {
        let isThere = try session.get(key, into: value) != nil
        let now = Clock.nanoseconds()
        if now > deadline { throw BenchError("processes: put \(last + 1) of \(count) is never seen") }
        let number = isThere ? Int(value.load(as: UInt64.self)) : 0
        guard number != last else { continue }
        guard number > last, number <= count else { throw BenchError("processes: \(number) after \(last)") }
        seen[number] = now
        last = number
      }
      return seen
    }
  }
}

/// The side that starts the processes.
struct VisibilityMeasurement {
  let specification: RunSpecification
  let rounds: Int
  let progress: LiveProgress

  private static let puts: UInt64 = 50_000

  /// What one round has come to.
  struct Sample {
    /// From the acknowledgement, in nanoseconds; what was seen before it counts as 0.
    var afterAcknowledgement = LatencyRecorder.emptyHistogram
    var afterBegin = LatencyRecorder.emptyHistogram
    var early: UInt64 = 0

    /// Begins, acknowledgements and first reads, by number.
    init(_ times: [[UInt64]]) {
      for (index, seen) in times[2].enumerated() where seen > 0 {
        let (begun, acknowledged) = (times[0][index], times[1][index])
        afterBegin.record(seen - min(begun, seen))
        afterAcknowledgement.record(seen - min(acknowledged, seen))
        if seen < acknowledged { early += 1 }
      }
    }

    var earlyShare: Double { Double(early) / Double(max(1, afterBegin.totalCount)) }
  }

  func measure() throws -> ProcessSection {
    var specification = specification
    specification.operations = VisibilityMeasurement.puts
    defer { try? FileManager.default.removeItem(atPath: specification.directory) }
    var samples: [[Sample]] = [[], []]
    for round in 0..<rounds {
      for side in 0..<2 {
        try? FileManager.default.removeItem(atPath: specification.directory)
        try FileManager.default.createDirectory(atPath: specification.directory, withIntermediateDirectories: true)
        let name = side == 0 ? "two processes" : "two threads"
        progress.begin(label: "put and read by \(name), round \(round + 1)", total: 0)
        let sample = Sample(side == 0 ? try ofProcesses(specification) : try ofThreads(specification))
        samples[side].append(sample)
        progress.end(
          summary: Format.nanoseconds(Double(sample.afterAcknowledgement.valueAtPercentile(50))) + " at the median")
      }
    }
    return section(samples)
  }

  private func ofProcesses(_ specification: RunSpecification) throws -> [[UInt64]] {
    let putter = try ProcessPeer.start(.putter, specification)
    var guest = specification
    guest.sharing = .guest
    let watcher = try ProcessPeer.start(.watcher, guest)
    usleep(10_000)  // it is at its gets by then
    let puts = try times(putter.ask("go", "times"))
    let seen = try times(watcher.expect("times"))
    for process in [putter, watcher] { try process.end() }
    return puts + seen
  }

  private func ofThreads(_ specification: RunSpecification) throws -> [[UInt64]] {
    let process = try ProcessPeer.start(.both, specification)
    let all = try times(process.ask("go", "times"))
    try process.end()
    return all
  }

  private func times(_ json: String) throws -> [[UInt64]] {
    try JSONDecoder().decode([[UInt64]].self, from: Data(json.utf8))
  }

  private func section(_ samples: [[Sample]]) -> ProcessSection {
    func figure(
      _ name: String, _ percentile: Double, _ path: KeyPath<Sample, Histogram<UInt64>>,
      _ target: ProcessFigure.Target? = nil
    ) -> ProcessFigure {
      let values = samples.map { $0.map { Double($0[keyPath: path].valueAtPercentile(percentile)) } }
      return ProcessFigure(
        name: name, unit: .nanoseconds, values: values[0], others: values[1], target: target)
    }
    return ProcessSection(
      title: "Put here, read there", columns: ["2 processes", "2 threads"],
      figures: [
        figure("from the acknowledgement, median", 50, \.afterAcknowledgement, .below(2_000)),
        figure("from the acknowledgement, p99", 99, \.afterAcknowledgement),
        figure("from the put's begin, median", 50, \.afterBegin),
        figure("from the put's begin, p99", 99, \.afterBegin),
        ProcessFigure(
          name: "read before the put returned", unit: .share, values: samples[0].map(\.earlyShare),
          others: samples[1].map(\.earlyShare)),
      ],
      note: "both spin, each on a core of its own if there are two; what is read before the put has returned counts as "
        + "0 from the acknowledgement. The reader sees a put when the get that finds it has returned.")
  }
}
