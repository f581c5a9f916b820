/// Brings all keys of a specification into the database, in random order and in large batches, and lets it settle: the
/// state in which the reading workloads find it.
enum Loading {
  static let batch = 1_000

  static func load<Engine: KeyValueEngine>(_ engine: Engine, _ specification: RunSpecification) throws {
    let permutation = Permutation(count: specification.keys, seed: specification.seed ^ 0x10AD)
    var keys = KeyMaker(keyBytes: specification.keyBytes)
    var values = ValueMaker(
      seed: specification.seed ^ 0x10AD, largest: specification.valueBytes,
      compressible: specification.hasCompressibleValues)
    let session = try engine.makeSession()
    var pending = 0
    for index in 0..<specification.keys {
      try session.batchPut(keys.make(permutation[index]), values.make(specification.valueBytes))
      pending += 1
      guard pending == batch else { continue }
      try session.commitBatch()
      pending = 0
    }
    if pending > 0 { try session.commitBatch() }
    try engine.settle()
  }
}
