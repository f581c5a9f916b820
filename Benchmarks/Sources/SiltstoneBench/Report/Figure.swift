/// One of the figures that are shown for every engine: how it is taken from a run, which way is better, how it is
/// written, and what it means.
struct Figure: Sendable {
  enum Better: Sendable { case higher, lower, neither }

  let name: String
  let better: Better
  let explanation: String
  let text: @Sendable (Double) -> String
  /// NaN where a run does not have it.
  let value: @Sendable (RunResult, Yardstick) -> Double

  init(
    _ name: String, _ better: Better, _ text: @escaping @Sendable (Double) -> String, _ explanation: String,
    _ value: @escaping @Sendable (RunResult, Yardstick) -> Double
  ) {
    (self.name, self.better, self.explanation, self.text, self.value) = (name, better, explanation, text, value)
  }
}

extension Figure {
  static let operations = Figure(
    "operations/s", .higher, Format.count,
    "Operations a second, from the first one to the last acknowledgement."
  ) { result, _ in result.operations > 0 ? result.operationsPerSecond : .nan }

  static let payload = Figure(
    "payload/s", .higher, Format.bytes,
    "Bytes of keys and values that these operations moved, a second. MB are 10^6 bytes."
  ) { result, _ in result.payloadBytes > 0 ? result.payloadBytesPerSecond : .nan }

  static let settledOperations = Figure(
    "settled op/s", .higher, Format.count,
    "Operations a second, counted until everything is flushed and no compaction is due: what can be kept up for ever."
  ) { result, _ in result.specification.isWriting && result.operations > 0 ? result.settledOperationsPerSecond : .nan }

  static let processor = Figure(
    "CPU per operation", .lower, Format.nanoseconds,
    "Processor time of all threads, user and kernel, until settled, divided by the operations; what the harness "
      + "itself costs (measured on an engine that does nothing) is taken off."
  ) { result, _ in result.operations > 0 ? result.processorNanosecondsPerOperation : .nan }

  static let kernel = Figure(
    "kernel's part", .lower, Format.percent, "The share of that processor time that was spent in the kernel."
  ) { result, _ in
    result.settledProcessorNanoseconds > 0
      ? Double(result.systemNanoseconds) / Double(result.settledProcessorNanoseconds) : .nan
  }

  static let memory = Figure(
    "peak memory", .lower, Format.bytes,
    "The most memory that the process had resident. Pages of a memory-mapped database count; the kernel's page cache "
      + "of files that are read and written does not."
  ) { result, _ in result.peakMemoryBytes > 0 ? Double(result.peakMemoryBytes) : .nan }

  static let writeAmplification = Figure(
    "write amplification", .lower, Format.number,
    "Bytes that the process wrote to the disk until it settled, for each byte of payload: the log, flushes and "
      + "compactions (/proc/self/io)."
  ) { result, _ in result.writeAmplification ?? .nan }

  static let spaceAmplification = Figure(
    "space amplification", .lower, Format.number,
    "Bytes allocated on disk when settled and closed, for each byte of live keys and values. Compression can bring it "
      + "below 1."
  ) { result, _ in result.spaceAmplification ?? .nan }

  static let bytesRead = Figure(
    "read per operation", .lower, Format.bytes,
    "Bytes that came from the disk for each operation, until settled: in writing workloads, what compactions read."
  ) { result, _ in result.operations > 0 ? result.bytesReadPerOperation : .nan }

  static let stalled = Figure(
    "stalled", .lower, Format.seconds, "Time that callers spent in calls of more than 10 ms, summed over threads."
  ) { result, _ in result.latency == nil ? .nan : result.stalledSeconds }

  static let physicalShare = Figure(
    "disk, physical", .neither, Format.percent,
    "Bytes written to the disk a second, until settled, as a share of the disk's own sequential write speed, which "
      + "was measured in the same comparison."
  ) { result, yardstick in
    guard result.writeAmplification != nil else { return .nan }
    return Double(result.processBytesWritten) / result.settledSeconds / yardstick.diskWriteBytesPerSecond
  }

  static let payloadShare = Figure(
    "disk, payload", .higher, Format.percent, "The same, of the payload alone: what the disk's speed was good for."
  ) { result, yardstick in
    guard result.writeAmplification != nil else { return .nan }
    return Double(result.payloadBytes) / result.settledSeconds / yardstick.diskWriteBytesPerSecond
  }

  /// How long calls took, from the median to the longest.
  static let latencies = [
    latency("latency p50", "Half of all calls took no longer. In open-loop runs, from when each was due.") { $0.p50 },
    latency("latency p99", "99 of 100 calls took no longer.") { $0.p99 },
    latency("latency p99.9", "999 of 1,000 calls took no longer.") { $0.p999 },
    latency("latency p99.99", "9,999 of 10,000 calls took no longer.") { $0.p9999 },
    latency("longest call", "The longest call of all.") { $0.max },
  ]

  private static func latency(
    _ name: String, _ explanation: String, _ value: @escaping @Sendable (RunResult.Latency) -> UInt64
  ) -> Figure {
    Figure(name, .lower, Format.nanoseconds, explanation) { result, _ in
      result.latency.map { Double(value($0)) } ?? .nan
    }
  }

  /// All that every run may have, in the order of the table.
  static let all: [Figure] =
    [
      operations, payload, settledOperations, processor, kernel, memory, writeAmplification, spaceAmplification,
      bytesRead,
    ] + latencies + [stalled, physicalShare, payloadShare]

  /// What only some workloads measure. Figures of an engine's own are left to the JSON.
  static func extra(_ name: String) -> Figure {
    Figure(name, .neither, Format.count, "Measured by this workload alone.") { result, _ in result.extra[name] ?? .nan }
  }
}
