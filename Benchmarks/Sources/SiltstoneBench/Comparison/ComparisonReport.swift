/// All that one comparison measured: what `--json` writes, and what the table and the page are made from.
struct ComparisonReport: Codable, Sendable {
  /// Of this document's form.
  var formatVersion = 1
  /// ISO 8601, when the comparison began.
  var date: String
  var arguments: [String]
  var machine: Machine
  /// The device before the first run and after the last, measured in the same directory.
  var device: [DeviceFigures] = []
  /// In the order in which they ran: engines alternate.
  var runs: [Run] = []
  /// Engines and workloads that were asked for and did not run, and why.
  var omissions: [Omission] = []

  struct Run: Codable, Sendable {
    /// From 0: each engine runs each workload once a round.
    var round: Int
    var result: RunResult
  }

  struct Omission: Codable, Sendable {
    var engine: String
    var workload: String
    var reason: String
    /// It was tried and failed, rather than being beyond the engine.
    var isFailure = false
  }

  struct Machine: Codable, Sendable {
    var processor: String
    var cores: Int
    var memoryBytes: UInt64
    var kernel: String
    /// File system and device that the databases lie on, as in `ext4 on /dev/nvme0n1`.
    var storage: String
  }
}

/// What the device under a directory can do, measured through io_uring past the page cache (`isDirect`), or through it
/// where the file system refuses.
struct DeviceFigures: Codable, Sendable {
  var isDirect: Bool
  /// How much was written and read for each figure.
  var sampleBytes: UInt64
  /// Pieces of 1 MiB, 16 in flight.
  var sequentialWriteBytesPerSecond: Double
  var sequentialReadBytesPerSecond: Double
  /// 4 KiB at random places, by how many were in flight.
  var randomReads: [RandomRead]
  /// An append of 4 KiB, and `fdatasync`: nanoseconds until it returned.
  var syncP50Nanoseconds: UInt64
  var syncP99Nanoseconds: UInt64

  struct RandomRead: Codable, Sendable {
    var depth: Int
    var operationsPerSecond: Double
    var p50Nanoseconds: UInt64
    var p99Nanoseconds: UInt64
  }
}
