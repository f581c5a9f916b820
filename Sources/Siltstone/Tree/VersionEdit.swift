/// One atomic change of the tree: what a flush or a compaction did, as the manifest records it.
///
/// A table that changes its place is removed and added in the same edit. Removals come before additions.
struct VersionEdit: Equatable, Sendable {
  /// What was decided for good when the database was made. In a manifest's first edit, and only there.
  struct Creation: Equatable, Sendable {
    var database: DatabaseID
    var formatVersion: UInt32 = VersionEdit.formatVersion
    /// The size of a log segment: every position in the log depends on it.
    var logSegmentBytes: UInt64
  }

  struct Addition: Equatable, Sendable {
    var level: Int
    var run: UInt64
    var table: TableMetadata
  }

  /// The version of the format that this build writes, and the newest that it reads.
  static let formatVersion: UInt32 = 1

  var creation: Creation?
  /// Everything before this position is in tables.
  var logStart: LogPosition?
  /// No file of this number or a higher one is named yet.
  var nextFileNumber: UInt64?
  /// The same for runs. A run's id says its age: within a level, larger is newer.
  var nextRunID: UInt64?
  /// Numbers of tables.
  var removals: [UInt64] = []
  var additions: [Addition] = []

  mutating func remove(_ number: UInt64) { removals.append(number) }

  mutating func add(_ table: TableMetadata, level: Int, run: UInt64) {
    additions.append(Addition(level: level, run: run, table: table))
  }
}
