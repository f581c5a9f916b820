/// When requests are due that come at a fixed rate, whether or not the one before has been answered. Latency counts
/// from then, so that a stall is felt by every request that it delays, not by one (Tene's "coordinated omission").
struct OpenLoop {
  private let intervalNanoseconds: Double?
  private let begin = Clock.nanoseconds()
  private var count = 0.0

  /// A sleeping thread wakes some 50 us late, so sleep is for longer waits only; what is due sooner is done early by
  /// at most this much, and its latency counted from now.
  private static let graceNanoseconds: UInt64 = 60_000

  /// nil: as fast as possible.
  init(rate: Double?) { intervalNanoseconds = rate.map { 1e9 / $0 } }

  /// Waits until the next request is due, and returns when it was; nil without a rate.
  mutating func awaitNext() -> UInt64? {
    guard let intervalNanoseconds else { return nil }
    let due = begin + UInt64(count * intervalNanoseconds)
    count += 1
    let now = Clock.nanoseconds()
    if now &+ OpenLoop.graceNanoseconds < due { Clock.sleep(until: due) }
    return min(due, Clock.nanoseconds())
  }
}

/// `stall`: puts at random keys, offered at a fixed rate. What counts is the worst latency.
struct Stall: Workload {
  private let specification: RunSpecification

  init(_ specification: RunSpecification) { self.specification = specification }

  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    guard let rate = specification.rate else { throw BenchError("stall needs a rate") }
    var schedule = OpenLoop(rate: rate / Double(worker.count))
    for _ in worker.share {
      let due = schedule.awaitNext()
      let key = worker.keys.make(worker.noise.next(below: specification.keys))
      try session.put(key, worker.values.make(specification.valueBytes))
      worker.recorder.finish(payloadBytes: specification.entryBytes, since: due)
      if worker.recorder.isTimeUp { return }
    }
  }

  func liveBytes(after operations: UInt64) -> UInt64 {
    DistinctKeys.count(specification, operations: operations) * UInt64(specification.entryBytes)
  }
}
