/// Does nothing, in order to measure what the harness itself costs: making keys and values, reading the clock, keeping
/// the histogram.
final class NullEngine: KeyValueEngine {
  static let name = "null"

  init() {}
  init(directory: String, specification: RunSpecification) {}

  var identity: RunResult.Engine { RunResult.Engine(name: Self.name, version: "-") }
  func makeSession() -> Session { Session() }
  func close() {}

  final class Session: EngineSession {
    func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {}
    func delete(_ key: UnsafeRawBufferPointer) {}
    func batchPut(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {}
    func batchDelete(_ key: UnsafeRawBufferPointer) {}
    func commitBatch() {}
    func deleteRange(from begin: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) {}
    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) -> Int? { nil }
    func multiGet(_ keys: UnsafeRawBufferPointer, keyBytes: Int) -> Int { 0 }
    func scan(
      from key: UnsafeRawBufferPointer, limit: Int, reverse: Bool
    ) -> (entries: Int, bytes: Int) { (0, 0) }
  }
}
