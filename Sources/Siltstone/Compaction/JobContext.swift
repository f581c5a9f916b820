internal import Synchronization

/// What a flush or a compaction needs to know of the database it works for.
struct JobContext: Sendable {
  let storage: any Storage
  /// Ascending. Taken before the job's inputs are looked at: a snapshot that is taken later sees all of them.
  var snapshots: [LogPosition]
  var targetTableBytes: UInt64
  /// Gives out a number that no file has had. Thread-safe.
  let nextFileNumber: @Sendable () -> UInt64
  var cancellation = Cancellation()
  var progress = JobProgress()
  /// For a compaction that has values to move.
  var moves: ValueMoves?
}

/// Asks jobs to give up. Thread-safe.
final class Cancellation: Sendable {
  private let requested = Atomic<Bool>(false)

  func request() { requested.store(true, ordering: .relaxed) }

  func check() throws(SiltstoneError) {
    if requested.load(ordering: .relaxed) { throw SiltstoneError(.closed, "the database is being closed") }
  }
}

/// How far jobs have come. May be shared by the tasks of a plan. Thread-safe.
final class JobProgress: Sendable {
  private let entries = Atomic<UInt64>(0)

  /// Entries that compactions have passed so far.
  var entriesRead: UInt64 { entries.load(ordering: .relaxed) }

  func add(entriesRead count: Int) { entries.add(UInt64(count), ordering: .relaxed) }
}

/// What a job made, and what it took.
struct JobResult: Sendable {
  /// In key order. Synced, but for the directory.
  var outputs: [TableMetadata] = []
  var bytesRead: UInt64 = 0
  var entriesRead: UInt64 = 0
  var entriesWritten: UInt64 = 0
  /// Versions that no snapshot sees any more.
  var versionsDropped: UInt64 = 0
  /// Tombstones with nothing left to hide.
  var tombstonesDropped: UInt64 = 0
  /// Values stored once more, and where the log ended behind the last: it must be durable before the outputs are shown.
  var valueBytesMoved: UInt64 = 0
  var valuesEnd: LogPosition = 0

  var bytesWritten: UInt64 { outputs.reduce(0) { $0 + $1.sizeBytes } }

  /// The whole of a plan from its tasks' results, in the order of the tasks.
  mutating func add(_ other: JobResult) {
    outputs += other.outputs
    bytesRead += other.bytesRead
    entriesRead += other.entriesRead
    entriesWritten += other.entriesWritten
    versionsDropped += other.versionsDropped
    tombstonesDropped += other.tombstonesDropped
    valueBytesMoved += other.valueBytesMoved
    valuesEnd = max(valuesEnd, other.valuesEnd)
  }
}
