import Siltstone

/// What a load is to do.
struct LoadSettings {
  /// Under this name the progress is kept.
  var streamName: String
  var durability: Durability = .staged
  var batchRecords = 1000
  /// 1 MiB: a batch of large values is acknowledged as often as one of small ones, and fits any log ring.
  var batchBytes = 1 << 20
  var skipsBad = false
  var resumes = false
  /// Keeps a digest of all records, for whoever wants to compare them with what can be read.
  var keepsDigest = false
}

/// Reads records off a stream and writes them in batches, each with the progress that it makes.
struct Loader: ~Copyable {
  /// A pipe that has been silent for so long has its records acknowledged, whether the batch is full or not.
  private static let idleMilliseconds: Int32 = 50
  /// So many bad lines are reported one by one; the rest are only counted.
  private static let maxReported: UInt64 = 10

  private let database: Database
  private let settings: LoadSettings
  private let progressKey: [UInt8]
  private var reader: LineReader
  private var parser: RecordParser
  private let acknowledgements: AcknowledgementFile
  private var meter: ProgressMeter
  private var batch = WriteBatch()
  /// Consumed, whether acknowledged or not.
  private var progress = LoadProgress()
  private var acknowledged = LoadProgress()
  private var startBytes: UInt64 = 0
  private(set) var digest = RecordDigest()

  init(
    _ file: consuming InputFile, into database: Database, parser: consuming RecordParser,
    settings: LoadSettings,
    acknowledgements: consuming AcknowledgementFile
  ) {
    self.database = database
    self.settings = settings
    self.parser = parser
    self.acknowledgements = acknowledgements
    meter = ProgressMeter(totalBytes: file.sizeBytes)
    reader = LineReader(file)
    progressKey = LoadProgress.key(ofStream: settings.streamName)
  }

  /// Loads the whole stream. However it ends, what was acknowledged stays, and `resumes` goes on from there.
  mutating func run() throws -> LoadSummary {
    let start = monotonicNanoseconds()
    let earlier = try begin()
    do {
      try loadRecords()
      // Whatever the durability of the batches, a load that has ended well has ended on stable media.
      try database.sync()
    } catch let error as SiltstoneError {
      meter.clear()
      throw ToolError.failed("\(ToolError.engine(error, about: database.directory)); \(state)")
    } catch {
      // The stream's fault, not the database's: what precedes it counts.
      meter.clear()
      try commit()
      throw ToolError.failed("\(error); \(state)")
    }
    meter.clear()
    return LoadSummary(
      streamName: settings.streamName, earlier: earlier, now: acknowledged,
      seconds: seconds(from: start, to: monotonicNanoseconds()), metrics: database.metrics)
  }

  private var state: String {
    let stored = Format.counted(acknowledged.stored, "record")
    return "\(stored) of this stream stored; the same command with --resume goes on from there"
  }

  private mutating func loadRecords() throws {
    while true {
      // With nothing to acknowledge there is no hurry.
      let hasPending = progress.records != acknowledged.records
      switch try reader.next(idleAfter: hasPending ? Loader.idleMilliseconds : nil) {
      case .end:
        return try commit()
      case .idle:
        try commit()
      case .line:
        try takeRecord()
        let pending = progress.records - acknowledged.records
        if pending >= UInt64(settings.batchRecords) || batch.sizeBytes >= settings.batchBytes { try commit() }
      }
    }
  }

  @inline(__always)
  private mutating func takeRecord() throws {
    let lineNumber = reader.lineNumber
    do {
      let record = try parser.parse(&reader)
      if ReservedKeys.contain(record.key) {
        throw BadRecord(reason: "the key begins with the tool's own prefix")
      }
      try batch.put(record.key.bytes, record.value.bytes)
      if settings.keepsDigest { digest.add(record.key, record.value) }
    } catch let error as BadRecord {
      try takeBad(error.reason, lineNumber)
    } catch let error as SiltstoneError where error.code == .invalidArgument {
      try takeBad(error.message, lineNumber)
    }
    progress.records += 1
    progress.lines = reader.lineNumber
    progress.bytes = reader.position
  }

  private mutating func takeBad(_ reason: String, _ lineNumber: UInt64) throws {
    let place = "\(reader.file.name): line \(lineNumber): \(reason)"
    guard settings.skipsBad else {
      throw ToolError.failed("\(place) (--skip-bad passes over such lines)")
    }
    progress.skipped += 1
    if progress.skipped <= Loader.maxReported { complain("\(place) (skipped)") }
  }

  /// Writes the batch and the progress as one. REQUIRES: nothing of the batch was written before.
  private mutating func commit() throws {
    guard progress.records != acknowledged.records else { return }
    try batch.put(progressKey, progress.encoded)
    try database.write(batch, durability: settings.durability)
    batch.removeAll()
    acknowledged = progress
    try acknowledgements.append(acknowledged.stored)
    meter.update(
      records: acknowledged.stored, bytes: acknowledged.bytes - startBytes, position: acknowledged.bytes,
      database: database)
  }
}

// MARK: - Beginning, and beginning again

extension Loader {
  /// Puts the reader where the load is to begin, and returns what an earlier load has done.
  private mutating func begin() throws -> LoadProgress {
    let stored = try LoadProgress.stored(in: database, stream: settings.streamName)
    let earlier = settings.resumes ? stored ?? LoadProgress() : LoadProgress()
    if stored != nil && !settings.resumes {
      // Killed before its first batch, this load would otherwise leave the earlier one's progress as its own.
      try database.delete(progressKey, durability: settings.durability)
    }
    if parser.hasHeader { try readHeader() }
    if earlier.records > 0 {
      if reader.file.isPlainFile { try seek(to: earlier) } else { try skip(earlier) }
    }
    (progress, acknowledged, startBytes) = (earlier, earlier, earlier.bytes)
    return earlier
  }

  private mutating func readHeader() throws {
    guard try reader.next() == .line else { return }
    do {
      try parser.readHeader(&reader)
    } catch let error as BadRecord {
      throw ToolError.failed("\(reader.file.name): line 1: \(error.reason)")
    }
  }

  private mutating func seek(to earlier: LoadProgress) throws {
    if let size = reader.file.sizeBytes, size < earlier.bytes {
      throw ToolError.failed(
        "\(reader.file.name): has \(size) bytes, but \(earlier.bytes) were loaded before: not the same stream"
      )
    }
    try reader.seek(to: earlier.bytes, lineNumber: earlier.lines)
  }

  /// A pipe cannot be sought in: the records that were loaded before are read again and left alone.
  private mutating func skip(_ earlier: LoadProgress) throws {
    for done in 0..<earlier.records {
      guard try reader.next() == .line else {
        throw ToolError.failed(
          "\(reader.file.name): ends after \(done) records, but \(earlier.records) were loaded before: "
            + "not the same stream")
      }
      try parser.skip(&reader)
    }
    if reader.position != earlier.bytes {
      complain(
        "warning: \(reader.file.name): its first \(earlier.records) records have \(reader.position) bytes, "
          + "not \(earlier.bytes) as before: not quite the same stream")
    }
  }
}
