/// What an engine is asked to do. A value that the threads of a run share; what changes is in the `Worker`.
protocol Workload: Sendable {
  init(_ specification: RunSpecification)

  /// Brings the database into the state in which the measured phase finds it. Not measured.
  func prepare<Engine: KeyValueEngine>(_ engine: Engine) throws

  /// One thread's share of the measured phase. Most workloads need no more than a session.
  func work<Engine: KeyValueEngine>(on engine: Engine, _ worker: inout Worker) throws
  /// The same, through a session.
  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws

  /// Threads beside those that are measured, until those have finished: `Worker.isBystander` tells them.
  var bystanders: Int { get }

  /// Bytes of keys and values that are live after `operations` of the measured phase.
  func liveBytes(after operations: UInt64) -> UInt64
}

extension Workload {
  func prepare<Engine: KeyValueEngine>(_ engine: Engine) throws {}

  func work<Engine: KeyValueEngine>(on engine: Engine, _ worker: inout Worker) throws {
    try work(try engine.makeSession(), &worker)
  }

  func work<Session: EngineSession>(_ session: Session, _ worker: inout Worker) throws {
    preconditionFailure("a workload has one of the two")
  }

  var bystanders: Int { 0 }
}

/// What one thread of a run has: its share of the work, its own random numbers, keys and values, and what it measures.
struct Worker: ~Copyable {
  /// From 0; bystanders come behind the others.
  let index: Int
  /// How many share the work, bystanders not counted.
  let count: Int
  let specification: RunSpecification
  var noise: Noise
  var keys: KeyMaker
  var values: ValueMaker
  var recorder: LatencyRecorder
  /// Room for a value that is read.
  let scratch: UnsafeMutableRawBufferPointer
  private let over: StopSign

  init(
    index: Int, of count: Int, _ specification: RunSpecification, progress: OperationCounter, deadline: UInt64,
    over: StopSign
  ) {
    self.index = index
    self.count = count
    self.specification = specification
    self.over = over
    let seed = Worker.seed(specification, index)
    noise = Noise(seed: seed)
    keys = KeyMaker(keyBytes: specification.keyBytes)
    values = ValueMaker(
      seed: seed, largest: specification.valueBytes, compressible: specification.hasCompressibleValues)
    recorder = LatencyRecorder(progress: progress, deadline: deadline)
    scratch = .allocate(byteCount: specification.valueBytes + 16, alignment: 16)
  }

  deinit { scratch.deallocate() }

  static func seed(_ specification: RunSpecification, _ index: Int) -> UInt64 {
    Noise.mix(specification.seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15)
  }

  var isBystander: Bool { index >= count }
  /// Whether those that are measured have finished.
  var isOver: Bool { over.isSet }

  /// The operations that this thread does, of all: a contiguous share, in whole batches.
  var share: Range<UInt64> {
    let batch = UInt64(specification.batch)
    let batches = (specification.operationCount + batch - 1) / batch
    let begin = batches * UInt64(index) / UInt64(count) * batch
    let end = batches * UInt64(index + 1) / UInt64(count) * batch
    return min(begin, specification.operationCount)..<min(end, specification.operationCount)
  }
}
