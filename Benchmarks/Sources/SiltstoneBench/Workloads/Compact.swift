/// `compact`: the database holds every key and, not yet merged, half of them once more; then everything is merged down
/// to the last level. An operation is one live entry, and the whole is one call.
struct Compact: Workload {
  private let specification: RunSpecification

  init(_ specification: RunSpecification) { self.specification = specification }

  func prepare<Engine: KeyValueEngine>(_ engine: Engine) throws {
    try Loading.load(engine, specification)
    var again = specification
    again.operations = specification.keys / 2
    again.batch = Loading.batch
    again.threads = 1
    try Crew(again, Fill(again, .random)).work(on: engine)
    try engine.settle()
  }

  func work<Engine: KeyValueEngine>(on engine: Engine, _ worker: inout Worker) throws {
    worker.recorder.restart()
    try engine.compact()
    worker.recorder.finish(
      Int(specification.keys), payloadBytes: Int(specification.keys) * specification.entryBytes)
  }

  func liveBytes(after operations: UInt64) -> UInt64 { specification.keys * UInt64(specification.entryBytes) }
}
