/// What one run measured: the same figures for every engine, taken from outside the engine. Times are in seconds or
/// nanoseconds, sizes in bytes, as the names say.
struct RunResult: Codable, Sendable {
  /// Who ran: a name, the library's version, how it was built, and how it was set.
  struct Engine: Codable, Sendable {
    var name: String
    var version: String
    /// What is known of the build that bears on speed, for instance that assertions are on. Empty if nothing is.
    var build = ""
    var settings: [Setting] = []
  }
  struct Setting: Codable, Sendable {
    var name: String
    var value: String
  }

  var engine: Engine
  var specification: RunSpecification

  // MARK: What was done

  /// Operations of the measured phase: puts, gets, seeks, entries scanned.
  var operations: UInt64 = 0
  /// Bytes of keys and values that they moved.
  var payloadBytes: UInt64 = 0
  /// Of the reads: how many found something.
  var found: UInt64 = 0
  /// From the first operation to the last acknowledgement.
  var seconds = 0.0
  /// The same, until everything is flushed, no compaction is due, and nothing waits in the page cache.
  var settledSeconds = 0.0

  // MARK: What it cost

  /// Processor time of all threads of the process over the measured phase, and until it settled.
  var processorNanoseconds: UInt64 = 0
  var settledProcessorNanoseconds: UInt64 = 0
  /// Of which the kernel's, until it settled.
  var systemNanoseconds: UInt64 = 0
  /// Of which making keys and values, and reading the clock: measured apart, the same code without an engine.
  var harnessNanoseconds: UInt64 = 0
  /// The process's peak resident memory.
  var peakMemoryBytes: UInt64 = 0
  /// Until it settled, by the kernel's account of this process (`/proc/self/io`).
  var processBytesWritten: UInt64 = 0
  var processBytesRead: UInt64 = 0
  /// The same by the device's account (`/proc/diskstats`): the journal, and whatever else ran meanwhile, included.
  var deviceBytesWritten: UInt64 = 0
  var deviceBytesRead: UInt64 = 0

  // MARK: What it left

  /// Bytes allocated on disk when it had settled and was closed.
  var diskBytes: UInt64 = 0
  /// Bytes of the keys and values that are live then.
  var liveBytes: UInt64 = 0

  // MARK: How it felt

  var latency: Latency?
  /// Seconds that callers spent in operations of more than 10 ms, summed over threads.
  var stalledSeconds = 0.0
  /// One point a second, the last one shorter.
  var timeline: [TimelinePoint] = []
  /// What only some workloads measure, by name: recovery's megabytes a second, say.
  var extra: [String: Double] = [:]

  /// Latencies in nanoseconds: of a call, or in open-loop runs from the moment that the request was due.
  struct Latency: Codable, Sendable {
    var count: UInt64
    var mean: Double
    var p50: UInt64
    var p90: UInt64
    var p99: UInt64
    var p999: UInt64
    var p9999: UInt64
    var max: UInt64
    /// For the plot: percentile (0 to 100) and nanoseconds, ascending.
    var curve: [Point]
    struct Point: Codable, Sendable {
      var percentile: Double
      var nanoseconds: UInt64
    }
  }

  /// One second of the measured phase, or of the time until it settled (then `operations` is 0).
  struct TimelinePoint: Codable, Sendable {
    /// Since the measured phase began, at the point's end.
    var second: Double
    /// In this interval.
    var operations: UInt64
    var processorNanoseconds: UInt64
    var bytesWritten: UInt64
    /// At the point's end.
    var residentBytes: UInt64
  }
}

// MARK: - Derived figures

extension RunResult {
  var operationsPerSecond: Double { Double(operations) / Swift.max(seconds, 1e-9) }
  var settledOperationsPerSecond: Double { Double(operations) / Swift.max(settledSeconds, 1e-9) }
  var payloadBytesPerSecond: Double { Double(payloadBytes) / Swift.max(seconds, 1e-9) }
  /// All threads, until settled, without what the harness itself cost.
  var processorNanosecondsPerOperation: Double {
    Double(settledProcessorNanoseconds - min(harnessNanoseconds, settledProcessorNanoseconds))
      / Double(Swift.max(operations, 1))
  }
  /// Bytes physically written for each byte of payload written; nil where nothing was.
  var writeAmplification: Double? {
    specification.isWriting && payloadBytes > 0 ? Double(processBytesWritten) / Double(payloadBytes) : nil
  }
  /// Bytes on disk for each byte of live data.
  var spaceAmplification: Double? { liveBytes > 0 ? Double(diskBytes) / Double(liveBytes) : nil }
  /// Bytes read from the device for each operation.
  var bytesReadPerOperation: Double { Double(processBytesRead) / Double(Swift.max(operations, 1)) }
}
