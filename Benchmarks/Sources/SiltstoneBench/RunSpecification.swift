/// One run: an engine, a workload, and everything that decides what the engine is asked to do. The same specification
/// makes the same keys and values in every engine.
struct RunSpecification: Codable, Sendable {
  var engine: String
  var workload: String
  /// How many distinct keys there are, and how many operations a workload does unless it says otherwise.
  var keys: UInt64 = 1_000_000
  var keyBytes = 16
  var valueBytes = 100
  /// Entries in a batch; 1 is a call for each.
  var batch = 1
  var threads = 1
  var durability = Durability.staged
  var compression = Compression.lz4
  var seed: UInt64 = 20_260_101
  /// Where this run may make its directory.
  var directory: String
  /// Ends the measured phase after this long; nil means after `operations`.
  var seconds: Double?
  /// Operations of the measured phase; nil means `keys`.
  var operations: UInt64?
  /// Operations a second that an open-loop workload is offered.
  var rate: Double?
  /// Memory, the same for every engine.
  var memtableBytes = 64 << 20
  var memtables = 4
  var cacheBytes = 256 << 20
  var filterBitsPerKey = 10
  var backgroundThreads = 2
  /// Who else may have the database open, of an engine that lets others; nil is that engine's default.
  var sharing: Sharing?

  enum Sharing: String, Codable, Sendable {
    /// Others, who do the upkeep.
    case guest
    /// Nobody.
    case exclusive
  }

  /// What a write survives, the same for all engines.
  enum Durability: String, Codable, Sendable, CaseIterable {
    /// The death of every process by any signal, but not of the machine.
    case staged
    /// The loss of power.
    case synced
  }

  enum Compression: String, Codable, Sendable, CaseIterable {
    case none, lz4, zstd, snappy
  }

  var operationCount: UInt64 { operations ?? keys }
  var entryBytes: Int { keyBytes + valueBytes }
}
