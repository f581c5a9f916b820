import Glibc

/// The Yahoo! Cloud Serving Benchmark's core workloads (Cooper et al., SoCC 2010), with its distributions: Zipfian with
/// constant 0.99, scrambled over the keys; "latest" for D; scan lengths uniform from 1 to 100.
struct YCSB: Workload {
  enum Mix: Sendable { case a, b, c, d, e, f }

  private let specification: RunSpecification
  private let mix: Mix
  private let zipfian: Zipfian

  init(_ specification: RunSpecification) { self.init(specification, .a) }

  init(_ specification: RunSpecification, _ mix: Mix) {
    self.specification = specification
    self.mix = mix
    zipfian = Zipfian(count: specification.keys)
  }

  func prepare<Engine: KeyValueEngine>(_ engine: Engine) throws { try Loading.load(engine, specification) }

  /// The share of reads (in E: of scans); the rest are updates (A, B), inserts (D, E), read-modify-writes (F).
  private var readShare: Double {
    switch mix {
    case .a, .f: 0.5
    case .b, .d, .e: 0.95
    case .c: 1
    }
  }

  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    // New keys lie behind the old ones, each thread's in turn.
    var inserted: UInt64 = 0
    worker.recorder.restart()
    for _ in worker.share {
      let isRead = worker.noise.nextUnit() < readShare
      let known = specification.keys + inserted * UInt64(worker.count)
      switch mix {
      case .d where !isRead, .e where !isRead:
        let number = specification.keys + inserted * UInt64(worker.count) + UInt64(worker.index)
        inserted += 1
        try put(session, &worker, number)
      case .e:
        let length = Int(worker.noise.next(below: 100)) + 1
        let number = choose(&worker, known)
        let visited = try session.scan(from: worker.keys.make(number), limit: length, reverse: false)
        worker.recorder.finish(payloadBytes: visited.bytes, found: visited.entries > 0 ? 1 : 0)
      default:
        let number = choose(&worker, known)
        if isRead {
          try get(session, &worker, number)
        } else if mix == .f {
          _ = try session.get(worker.keys.make(number), into: worker.scratch)
          try put(session, &worker, number)
        } else {
          try put(session, &worker, number)
        }
      }
      if worker.recorder.isTimeUp { return }
    }
  }

  /// Popular keys are scattered over the key space; in D, they are the newest.
  private func choose(_ worker: inout Worker, _ known: UInt64) -> UInt64 {
    let rank = zipfian.rank(worker.noise.nextUnit())
    return mix == .d ? known - 1 - min(rank, known - 1) : Noise.mix(rank &+ 0x5C4A_3B1E) % specification.keys
  }

  private func get<Session: EngineSession>(_ session: Session, _ worker: inout Worker, _ number: UInt64) throws {
    let length = try session.get(worker.keys.make(number), into: worker.scratch)
    worker.recorder.finish(payloadBytes: length.map { $0 + specification.keyBytes } ?? 0, found: length == nil ? 0 : 1)
  }

  private func put<Session: EngineSession>(_ session: Session, _ worker: inout Worker, _ number: UInt64) throws {
    try session.put(worker.keys.make(number), worker.values.make(specification.valueBytes))
    worker.recorder.finish(payloadBytes: specification.entryBytes)
  }

  func liveBytes(after operations: UInt64) -> UInt64 {
    let inserts = mix == .d || mix == .e ? UInt64(Double(operations) * 0.05) : 0
    return (specification.keys + inserts) * UInt64(specification.entryBytes)
  }
}

/// Ranks from 0 by Zipf's law with constant 0.99, by the method of Gray et al. ("Quickly Generating Billion-Record
/// Synthetic Databases", SIGMOD 1994), which is what YCSB uses.
struct Zipfian: Sendable {
  static let constant = 0.99

  private let count: Double
  private let zeta: Double
  private let alpha = 1 / (1 - Zipfian.constant)
  private let eta: Double

  /// O(count): the harmonic sum.
  init(count: UInt64) {
    let theta = Zipfian.constant
    var zeta = 0.0
    for number in 1...max(count, 2) { zeta += pow(Double(number), -theta) }
    let zetaOfTwo = 1 + pow(0.5, theta)
    self.count = Double(max(count, 2))
    self.zeta = zeta
    eta = (1 - pow(2 / self.count, 1 - theta)) / (1 - zetaOfTwo / zeta)
  }

  /// The rank that `unit`, uniform in [0, 1), stands for.
  func rank(_ unit: Double) -> UInt64 {
    let scaled = unit * zeta
    if scaled < 1 { return 0 }
    if scaled < 1 + pow(0.5, Zipfian.constant) { return 1 }
    return min(UInt64(count * pow(eta * unit - eta + 1, alpha)), UInt64(count) - 1)
  }
}
