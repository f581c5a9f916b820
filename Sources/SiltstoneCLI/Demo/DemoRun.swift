import Siltstone

/// What the demo measures of one database.
struct DemoResult {
  var name: String
  var entries: UInt64 = 0
  var payloadBytes: UInt64 = 0
  /// From the first record to the last acknowledgement.
  var acknowledgedSeconds = 0.0
  /// From the first record until everything is in tables and no compaction is due.
  var settledSeconds = 0.0
  /// All threads, until settled, the making of the records included.
  var processorNanoseconds: UInt64 = 0
  /// Of which: making and hashing the records.
  var makingNanoseconds: UInt64 = 0
  var writeAmplification = 0.0
  var tableWriteAmplification = 0.0
  var spaceAmplification = 0.0
  /// Blocks read for each lookup.
  var readAmplification = 0.0
  var stallNanoseconds: UInt64 = 0
  /// What the engine held under its budget when all was written, the process's peak so far, and the budget.
  var memoryBytes: UInt64 = 0
  var peakBytes: UInt64 = 0
  var memoryBudgetBytes: UInt64 = 0
  /// All that was written to the disk, the log included.
  var diskBytes: UInt64 = 0
  var scanSeconds = 0.0
  var lookups = 0
  var lookupSeconds = 0.0
  var verifiedEntries: UInt64 = 0
  var verifiedTables = 0

  /// What writing cost, by the engine's own count.
  mutating func take(writing metrics: Metrics) {
    writeAmplification = metrics.writeAmplification
    tableWriteAmplification = metrics.tableWriteAmplification
    spaceAmplification = metrics.spaceAmplification
    stallNanoseconds = metrics.stallNanoseconds
    memoryBytes = UInt64(metrics.memoryBytes)
    peakBytes = peakResidentBytes()
    memoryBudgetBytes = UInt64(metrics.memoryBudgetBytes)
    diskBytes = metrics.logBytesWritten + metrics.flushBytesWritten + metrics.compactionBytesWritten
  }
}

/// One database's way through the demo: filled, closed, opened, read back, verified.
struct DemoRun {
  private static let sampleCount: UInt64 = 100_000
  /// Any number: every run makes the same events.
  private static let seed: UInt64 = 20_240_229

  let name: String
  let directory: String
  var sharing = Options.Sharing.processes

  private var options: Options {
    var options = Options()
    options.sharing = sharing
    return options
  }

  func ingestFiles() throws -> DemoResult {
    try measure { database in
      let stream = try FindStream()
      let input = try InputFile(descriptor: stream.descriptor, name: "find")
      var settings = LoadSettings(streamName: "find")
      settings.keepsDigest = true
      settings.skipsBad = true
      let parser = try RecordParser(format: .tsv, key: nil, hasHeader: false)
      var loader = Loader(
        input, into: database, parser: parser, settings: settings,
        acknowledgements: try AcknowledgementFile(ifNamed: nil))
      _ = try loader.run()
      stream.wait()
      return loader.digest
    }
  }

  func ingestEvents(_ count: UInt64, batchRecords: Int) throws -> DemoResult {
    let makingNanoseconds = costOfMaking(count)
    var result = try measure { database in
      var generator = EventGenerator(seed: DemoRun.seed)
      var digest = RecordDigest()
      var batch = WriteBatch()
      var meter = ProgressMeter(totalBytes: count)
      defer { meter.clear() }
      for number in 0..<count {
        generator.make(number)
        digest.add(generator.key, generator.value)
        if batchRecords == 1 {
          try database.put(generator.key.bytes, generator.value.bytes, durability: .staged)
        } else {
          try batch.put(generator.key.bytes, generator.value.bytes)
          if batch.count == batchRecords {
            try database.write(batch, durability: .staged)
            batch.removeAll()
          }
        }
        if number % 1_000 == 999 {
          meter.update(records: number, bytes: digest.bytes, position: number, database: database)
        }
      }
      try database.write(batch, durability: .staged)
      return digest
    }
    result.makingNanoseconds = makingNanoseconds
    return result
  }

  /// What the events cost without a database, from a twentieth of them.
  private func costOfMaking(_ count: UInt64) -> UInt64 {
    let sample = max(1, count / 20)
    var generator = EventGenerator(seed: DemoRun.seed)
    var digest = RecordDigest()
    let start = processorNanoseconds()
    for number in 0..<sample {
      generator.make(number)
      digest.add(generator.key, generator.value)
    }
    return (processorNanoseconds() - start) * count / sample
  }

  /// Fills the database with `body`, which returns the digest of what it has written, and reads everything
  /// back.
  private func measure(_ body: (Database) throws -> RecordDigest) throws -> DemoResult {
    do {
      var result = DemoResult(name: name)
      let database = try Database.open(directory, options: options)
      let (start, processorStart) = (monotonicNanoseconds(), processorNanoseconds())
      let written = try body(database)
      (result.entries, result.payloadBytes) = (written.records, written.bytes)
      result.acknowledgedSeconds = seconds(from: start, to: monotonicNanoseconds())
      try database.flush()
      try database.waitForCompaction()
      result.settledSeconds = seconds(from: start, to: monotonicNanoseconds())
      result.processorNanoseconds = processorNanoseconds() - processorStart
      result.take(writing: database.metrics)
      try database.close()
      try readBack(written, &result)
      return result
    } catch let error as SiltstoneError {
      throw ToolError.failed("\(directory): \(error)")
    }
  }
}

// MARK: - Reading back

extension DemoRun {
  private func readBack(_ written: RecordDigest, _ result: inout DemoResult) throws {
    let database = try Database.open(directory, options: options)
    let start = monotonicNanoseconds()
    let (read, sample) = try scan(database, every: max(1, written.records / DemoRun.sampleCount))
    result.scanSeconds = seconds(from: start, to: monotonicNanoseconds())
    guard read == written else {
      throw ToolError.failed(
        "\(directory): a scan does not give what was written: \(read.records) records for \(written.records)")
    }
    try database.close()
    // Opened once more, so that the lookups begin with an empty cache.
    let reopened = try Database.open(directory, options: options)
    try lookUp(sample, reopened, &result)
    let report = try reopened.verify()
    if let problem = report.problems.first { throw problem }
    (result.verifiedEntries, result.verifiedTables) = (report.entries, report.tables)
    try reopened.close()
  }

  /// Scans everything; returns its digest, and every so-manieth pair.
  private func scan(
    _ database: Database, every step: UInt64
  ) throws -> (digest: RecordDigest, sample: [([UInt8], [UInt8])]) {
    var digest = RecordDigest()
    var sample: [([UInt8], [UInt8])] = []
    try database.scan { (key, value) throws(SiltstoneError) in
      key.withUnsafeBytes { key in
        if ReservedKeys.contain(key) { return }
        value.withUnsafeBytes { value in
          digest.add(key, value)
          if digest.records % step == 0 { sample.append((Array(key), Array(value))) }
        }
      }
      return true
    }
    return (digest, sample)
  }

  private func lookUp(_ sample: [([UInt8], [UInt8])], _ database: Database, _ result: inout DemoResult) throws {
    var order = Array(sample.indices)
    var noise = Noise(seed: DemoRun.seed)
    for index in stride(from: order.count - 1, to: 0, by: -1) {
      order.swapAt(index, Int(noise.next() % UInt64(index + 1)))
    }
    let start = monotonicNanoseconds()
    for index in order {
      guard try database.get(sample[index].0) == sample[index].1 else {
        throw ToolError.failed("\(directory): a lookup does not give what a scan gives")
      }
    }
    result.lookupSeconds = seconds(from: start, to: monotonicNanoseconds())
    result.lookups = order.count
    result.readAmplification = database.metrics.readAmplification
  }
}
