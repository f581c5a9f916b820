/// What a read asks for.
enum ReadKind: Sendable {
  /// One key that exists, or that lies between two that do.
  case point(missing: Bool)
  /// Many keys in one call.
  case multi
  /// A seek, and a few steps from there.
  case seek
  /// Everything, in order.
  case scan(reverse: Bool)
}

/// The reading workloads: the database holds every key once, settled, in the process that loaded it; a tenth as many
/// reads as will be measured go ahead unmeasured.
struct Reads: Workload {
  /// As in `db_bench`'s published runs.
  static let multiGetKeys = 64
  static let seekSteps = 10

  let specification: RunSpecification
  let kind: ReadKind

  init(_ specification: RunSpecification) { self.init(specification, .point(missing: false)) }

  init(_ specification: RunSpecification, _ kind: ReadKind) {
    self.specification = specification
    self.kind = kind
  }

  func prepare<Engine: KeyValueEngine>(_ engine: Engine) throws {
    try Loading.load(engine, specification)
    var warmUp = specification
    warmUp.operations = max(1, specification.operationCount / 10)
    warmUp.seconds = specification.seconds.map { $0 / 10 }
    try Crew(warmUp, Reads(warmUp, kind)).work(on: engine)
  }

  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    worker.recorder.restart()
    switch kind {
    case .point(let missing): try points(session, &worker, missing: missing)
    case .multi: try multi(session, &worker)
    case .seek: try seeks(session, &worker)
    case .scan(let reverse): try scan(session, &worker, reverse: reverse)
    }
  }

  private func points<Session: EngineSession>(
    _ session: Session, _ worker: inout Worker, missing: Bool
  ) throws {
    for _ in worker.share {
      let number = worker.noise.next(below: specification.keys)
      // A missing key is that of a number, with its last byte changed: it lies right behind one that exists.
      let key = missing ? worker.keys.makeMissing(number) : worker.keys.make(number)
      let length = try session.get(key, into: worker.scratch)
      worker.recorder.finish(
        payloadBytes: length.map { $0 + specification.keyBytes } ?? 0, found: length == nil ? 0 : 1)
      if worker.recorder.isTimeUp { return }
    }
  }

  private func multi<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    let (count, keyBytes) = (Reads.multiGetKeys, specification.keyBytes)
    let keys = UnsafeMutableRawBufferPointer.allocate(byteCount: count * keyBytes, alignment: 16)
    defer { keys.deallocate() }
    let share = worker.share
    for _ in 0..<(share.count + count - 1) / count {
      for index in 0..<count {
        let key = worker.keys.make(worker.noise.next(below: specification.keys))
        UnsafeMutableRawBufferPointer(rebasing: keys[index * keyBytes..<(index + 1) * keyBytes]).copyMemory(from: key)
      }
      let found = try session.multiGet(UnsafeRawBufferPointer(keys), keyBytes: keyBytes)
      worker.recorder.finish(count, payloadBytes: found * specification.entryBytes, found: found)
      if worker.recorder.isTimeUp { return }
    }
  }

  private func seeks<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    for _ in worker.share {
      let key = worker.keys.make(worker.noise.next(below: specification.keys))
      let visited = try session.scan(from: key, limit: Reads.seekSteps, reverse: false)
      worker.recorder.finish(payloadBytes: visited.bytes, found: visited.entries > 0 ? 1 : 0)
      if worker.recorder.isTimeUp { return }
    }
  }

  /// Each thread scans everything: a scan cannot be shared out. One call, so the latency is that of the whole.
  private func scan<Session: EngineSession>(
    _ session: Session, _ worker: inout Worker, reverse: Bool
  ) throws {
    let start = UnsafeRawBufferPointer(start: nil, count: 0)
    let visited = try session.scan(from: start, limit: Int.max, reverse: reverse)
    worker.recorder.finish(visited.entries, payloadBytes: visited.bytes, found: visited.entries)
  }

  func liveBytes(after operations: UInt64) -> UInt64 { specification.keys * UInt64(specification.entryBytes) }
}

/// `readwhilewriting`: the reads of `readrandom`, while one more thread overwrites, as fast as it can or at the
/// specification's rate. The reads are what is measured.
struct ReadWhileWriting: Workload {
  private let reads: Reads

  init(_ specification: RunSpecification) { reads = Reads(specification) }

  var bystanders: Int { 1 }

  func prepare<Engine: KeyValueEngine>(_ engine: Engine) throws { try reads.prepare(engine) }

  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    if !worker.isBystander { return try reads.work(session, &worker) }
    let specification = reads.specification
    var schedule = OpenLoop(rate: specification.rate)
    while !worker.isOver {
      _ = schedule.awaitNext()
      let key = worker.keys.make(worker.noise.next(below: specification.keys))
      try session.put(key, worker.values.make(specification.valueBytes))
      worker.recorder.finish(payloadBytes: specification.entryBytes)
    }
  }

  func liveBytes(after operations: UInt64) -> UInt64 { reads.liveBytes(after: operations) }
}
