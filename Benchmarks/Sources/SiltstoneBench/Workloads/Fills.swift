/// Which key comes next.
enum KeyOrder: Sendable {
  case sequential
  /// Uniform, with repeats: as `db_bench fillrandom`, about 63 % of the keys come to exist.
  case random
  /// Each key once, in random order.
  case permuted
}

/// `fillseq`, `fillrandom`, `filluniquerandom`, `fillsync`: puts, one at a time or in batches, into an empty database.
struct Fill: Workload {
  let specification: RunSpecification
  let order: KeyOrder

  init(_ specification: RunSpecification) { self.init(specification, .random) }

  init(_ specification: RunSpecification, _ order: KeyOrder) {
    self.specification = specification
    self.order = order
  }

  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    let permutation = Permutation(count: specification.keys, seed: specification.seed)
    let entryBytes = specification.entryBytes
    let batch = specification.batch
    var pending = 0
    worker.recorder.restart()
    for index in worker.share {
      let number: UInt64 =
        switch order {
        case .sequential: index % specification.keys
        case .random: worker.noise.next(below: specification.keys)
        case .permuted: permutation[index % specification.keys]
        }
      let (key, value) = (worker.keys.make(number), worker.values.make(specification.valueBytes))
      if batch == 1 {
        try session.put(key, value)
        worker.recorder.finish(payloadBytes: entryBytes)
      } else {
        try session.batchPut(key, value)
        pending += 1
        guard pending == batch else { continue }
        try session.commitBatch()
        worker.recorder.finish(pending, payloadBytes: pending * entryBytes)
        pending = 0
      }
      if worker.recorder.isTimeUp { return }
    }
    if pending > 0 {
      try session.commitBatch()
      worker.recorder.finish(pending, payloadBytes: pending * entryBytes)
    }
  }

  func liveBytes(after operations: UInt64) -> UInt64 {
    let entryBytes = UInt64(specification.entryBytes)
    if order != .random { return min(operations, specification.keys) * entryBytes }
    return DistinctKeys.count(specification, operations: operations) * entryBytes
  }
}

/// How many distinct keys random puts touch: counted, by drawing them once more.
enum DistinctKeys {
  static func count(_ specification: RunSpecification, operations: UInt64) -> UInt64 {
    var distinct: UInt64 = 0
    forEach(specification, operations: operations) { _ in distinct += 1 }
    return distinct
  }

  static func forEach(_ specification: RunSpecification, operations: UInt64, _ body: (UInt64) -> Void) {
    var seen = [UInt64](repeating: 0, count: Int(specification.keys / 64 + 1))
    // The share of each thread, as `Worker` seeds and cuts it; a run that was cut short by time is shared out evenly.
    for thread in 0..<specification.threads {
      var noise = Noise(seed: Worker.seed(specification, thread))
      let share =
        operations * UInt64(thread + 1) / UInt64(specification.threads)
        - operations * UInt64(thread) / UInt64(specification.threads)
      for _ in 0..<share {
        let number = noise.next(below: specification.keys)
        let (word, bit) = (Int(number / 64), UInt64(1) << (number % 64))
        if seen[word] & bit == 0 { body(number) }
        seen[word] |= bit
      }
    }
  }
}

/// `overwrite`: the database holds every key, settled; then puts at random keys.
struct Overwrite: Workload {
  private let fill: Fill

  init(_ specification: RunSpecification) { fill = Fill(specification, .random) }

  func prepare<Engine: KeyValueEngine>(_ engine: Engine) throws { try Loading.load(engine, fill.specification) }

  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    try fill.work(session, &worker)
  }

  func liveBytes(after operations: UInt64) -> UInt64 {
    fill.specification.keys * UInt64(fill.specification.entryBytes)
  }
}
