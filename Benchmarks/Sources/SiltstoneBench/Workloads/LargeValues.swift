import Glibc

/// `largevalue`: incompressible values at random keys, with repeats: of the size that was asked for, or log-uniform
/// from 4 KiB to 1 MiB.
struct LargeValues: Workload {
  static let smallestBytes = 4 << 10

  private let specification: RunSpecification

  init(_ specification: RunSpecification) { self.specification = specification }

  /// The size of a key's value: always the same one, so that what is live can be counted.
  private func valueBytes(_ number: UInt64) -> Int {
    if specification.valueBytes != WorkloadKind.largevalue.defaultValueBytes { return specification.valueBytes }
    let unit = Double(Noise.mix(number &+ specification.seed) >> 11) * 0x1p-53
    let (low, high) = (log(Double(LargeValues.smallestBytes)), log(Double(specification.valueBytes)))
    return Int(exp(low + unit * (high - low)))
  }

  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    worker.recorder.restart()
    for _ in worker.share {
      let number = worker.noise.next(below: specification.keys)
      let bytes = valueBytes(number)
      try session.put(worker.keys.make(number), worker.values.make(bytes))
      worker.recorder.finish(payloadBytes: specification.keyBytes + bytes)
      if worker.recorder.isTimeUp { return }
    }
  }

  func liveBytes(after operations: UInt64) -> UInt64 {
    var total: UInt64 = 0
    DistinctKeys.forEach(specification, operations: operations) {
      total += UInt64(specification.keyBytes + valueBytes($0))
    }
    return total
  }
}
