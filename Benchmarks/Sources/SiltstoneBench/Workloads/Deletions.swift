/// `deleterandom`: the database holds every key, settled; then deletes of random keys, with repeats.
struct DeleteRandom: Workload {
  private let specification: RunSpecification

  init(_ specification: RunSpecification) { self.specification = specification }

  func prepare<Engine: KeyValueEngine>(_ engine: Engine) throws { try Loading.load(engine, specification) }

  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    let batch = specification.batch
    var pending = 0
    worker.recorder.restart()
    for index in worker.share {
      let key = worker.keys.make(worker.noise.next(below: specification.keys))
      if batch == 1 {
        try session.delete(key)
        worker.recorder.finish(payloadBytes: key.count)
      } else {
        try session.batchDelete(key)
        pending += 1
        guard pending == batch || index + 1 == worker.share.upperBound else { continue }
        try session.commitBatch()
        worker.recorder.finish(pending, payloadBytes: pending * key.count)
        pending = 0
      }
      if worker.recorder.isTimeUp { return }
    }
  }

  func liveBytes(after operations: UInt64) -> UInt64 {
    (specification.keys - DistinctKeys.count(specification, operations: operations)) * UInt64(specification.entryBytes)
  }
}

/// `queue`: a backlog of a hundredth of the keys; then each message is inserted at the tail, the head is looked for
/// from the beginning of all keys, as a consumer that remembers nothing does, and deleted. An engine that walks over
/// the tombstones of all earlier messages shows it here. A message is one operation; its latency is that of all three.
struct Queue: Workload {
  private let specification: RunSpecification
  private var backlog: UInt64 { max(1, specification.keys / 100) }

  init(_ specification: RunSpecification) { self.specification = specification }

  func prepare<Engine: KeyValueEngine>(_ engine: Engine) throws {
    let session = try engine.makeSession()
    var keys = KeyMaker(keyBytes: specification.keyBytes)
    var values = ValueMaker(seed: specification.seed, largest: specification.valueBytes, compressible: true)
    for thread in 0..<specification.threads {
      for number in 0..<backlog {
        try session.batchPut(
          keys.make(UInt64(thread) << 48 | number), values.make(specification.valueBytes))
      }
      try session.commitBatch()
    }
  }

  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    // Each thread has a queue of its own, all in one database.
    let queue = UInt64(worker.index) << 48
    var (head, tail) = (queue, queue + backlog)
    let first = Array(worker.keys.make(queue))
    worker.recorder.restart()
    for _ in worker.share {
      try session.put(worker.keys.make(tail), worker.values.make(specification.valueBytes))
      tail += 1
      let peeked = try first.withUnsafeBytes { try session.scan(from: $0, limit: 1, reverse: false) }
      try session.delete(worker.keys.make(head))
      head += 1
      worker.recorder.finish(
        payloadBytes: specification.entryBytes + specification.keyBytes, found: peeked.entries)
      if worker.recorder.isTimeUp { return }
    }
  }

  func liveBytes(after operations: UInt64) -> UInt64 {
    backlog * UInt64(specification.threads) * UInt64(specification.entryBytes)
  }
}

/// `timeseries`: keys are (series, time), and 1,000 series get one point each in turn, in batches. Every 1,000 points,
/// the last 60 of a random series are scanned; whenever a tenth of all points has come, those older than the newest
/// half are dropped, series by series. A point is one operation.
struct TimeSeries: Workload {
  static let series: UInt64 = 1_000
  static let windowPoints: UInt64 = 60

  private let specification: RunSpecification

  init(_ specification: RunSpecification) { self.specification = specification }

  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    if specification.keyBytes < 16 { throw BenchError("timeseries needs keys of 16 bytes") }
    let share = worker.share
    let total = UInt64(share.count)
    // Each thread has series of its own.
    let firstSeries = UInt64(worker.index) * TimeSeries.series
    var dropped: UInt64 = 0
    var pending = 0
    worker.recorder.restart()
    for point in 0..<total {
      let (series, time) = (firstSeries + point % TimeSeries.series, point / TimeSeries.series)
      try session.batchPut(worker.keys.make(series, time), worker.values.make(specification.valueBytes))
      pending += 1
      if pending == specification.batch || point + 1 == total {
        try session.commitBatch()
        worker.recorder.finish(pending, payloadBytes: pending * specification.entryBytes)
        pending = 0
      }
      if point % 1_000 == 999 { try readWindow(session, &worker, firstSeries, time) }
      if total >= 10, point % (total / 10) == total / 10 - 1 {
        let keep = time > total / TimeSeries.series / 2 ? time - total / TimeSeries.series / 2 : 0
        if keep > dropped { try drop(session, &worker, firstSeries, dropped..<keep) }
        dropped = max(dropped, keep)
      }
      if worker.recorder.isTimeUp { return }
    }
  }

  private func readWindow<Session: EngineSession>(
    _ session: Session, _ worker: inout Worker, _ firstSeries: UInt64, _ now: UInt64
  ) throws {
    let series = firstSeries + worker.noise.next(below: TimeSeries.series)
    let start = worker.keys.make(series, now > TimeSeries.windowPoints ? now - TimeSeries.windowPoints : 0)
    _ = try session.scan(from: start, limit: Int(TimeSeries.windowPoints), reverse: false)
  }

  private func drop<Session: EngineSession>(
    _ session: Session, _ worker: inout Worker, _ firstSeries: UInt64, _ times: Range<UInt64>
  ) throws {
    for series in firstSeries..<firstSeries + TimeSeries.series {
      let begin = Array(worker.keys.make(series, times.lowerBound))
      let end = worker.keys.make(series, times.upperBound)
      try begin.withUnsafeBytes { try session.deleteRange(from: $0, to: end) }
    }
  }

  func liveBytes(after operations: UInt64) -> UInt64 {
    let threads = UInt64(specification.threads)
    let total = operations / threads
    let times = total / TimeSeries.series
    let lastDrop = total >= 10 ? ((total / 10) * 10 - 1) / TimeSeries.series : 0
    let dropped = lastDrop > times / 2 ? lastDrop - times / 2 : 0
    return (total - dropped * TimeSeries.series) * threads * UInt64(specification.entryBytes)
  }
}
