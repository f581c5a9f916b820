/// What this machine can do, in the words of the limits: from the same comparison as the runs that are held against it.
struct Yardstick: Sendable {
  /// Bytes a second that the device takes in sequence: the mean of before and after.
  var diskWriteBytesPerSecond: Double
  /// Nanoseconds of an append of 4 KiB and `fdatasync`, the median call; the mean of before and after.
  var syncNanoseconds: Double
  var cores: Int
}

extension Yardstick {
  /// NaN for what was not measured.
  init(_ report: ComparisonReport) {
    diskWriteBytesPerSecond = Statistics.mean(report.device.map(\.sequentialWriteBytesPerSecond))
    syncNanoseconds = Statistics.mean(report.device.map { Double($0.syncP50Nanoseconds) })
    cores = report.machine.cores
  }
}

/// How fast a writing run could have been at most, on this machine and with what each operation cost it: what the disk,
/// the cores, the writing threads and the waiting for stable media would each allow, and which of them binds.
///
/// All costs are counted until the run had settled, so the debt of flushes and compactions is in them; what is held
/// against the limit is therefore the rate over the same time, `settledOperationsPerSecond`. A run that defers work
/// can acknowledge faster than its limit for a while, and never for long.
struct IngestLimit: Sendable {
  enum Bound: String, Sendable, CaseIterable {
    case disk, cores, writers, syncs
  }

  /// Bytes of key and value of one operation.
  var payloadBytesPerOperation: Double
  /// Bytes written to the disk for each byte of payload, until settled: the write amplification.
  var physicalBytesPerPayloadByte: Double
  /// Processor nanoseconds of all threads for one operation, until settled, the harness's own taken off.
  var processorNanosecondsPerOperation: Double
  /// Nanoseconds that one writing thread works on one operation, the harness's own taken off; nil if it cannot be told.
  var writerNanosecondsPerOperation: Double?
  /// Threads that write.
  var writers: Int
  /// Operations that become durable together for one writer: the batch. nil if the run did not wait for stable media.
  var operationsPerSync: Int?
  /// Operations a second, until settled.
  var measuredOperationsPerSecond: Double
  var yardstick: Yardstick

  /// Operations a second at which the disk would write in sequence all the time:
  /// `B_w [bytes/s] / (WA [bytes/byte] * payload [bytes/op])`.
  var diskRate: Double {
    yardstick.diskWriteBytesPerSecond / (physicalBytesPerPayloadByte * payloadBytesPerOperation)
  }

  /// Operations a second at which every core would be busy all the time:
  /// `cores * 1e9 [ns/s] / processor time [ns/op]`.
  var coreRate: Double { Double(yardstick.cores) * 1e9 / processorNanosecondsPerOperation }

  /// Operations a second at which the writing threads would be busy all the time, with a core for each:
  /// `writers * 1e9 [ns/s] / writer's time [ns/op]`.
  var writerRate: Double? { writerNanosecondsPerOperation.map { Double(writers) * 1e9 / $0 } }

  /// Operations a second at which every writer would wait for stable media all the time:
  /// `writers * batch [op] * 1e9 [ns/s] / t_sync [ns]`. The yardstick is an append with `fdatasync`; an engine that
  /// writes into prepared blocks needs less, and can come out above it.
  var syncRate: Double? {
    operationsPerSync.map { Double(writers * $0) * 1e9 / yardstick.syncNanoseconds }
  }

  /// Every limit that can be told, in the order of `Bound`.
  var rates: [(bound: Bound, operationsPerSecond: Double)] {
    Bound.allCases.compactMap { bound in
      guard let rate = rate(of: bound), rate.isFinite, rate > 0 else { return nil }
      return (bound, rate)
    }
  }

  private func rate(of bound: Bound) -> Double? {
    switch bound {
    case .disk: diskRate
    case .cores: coreRate
    case .writers: writerRate
    case .syncs: syncRate
    }
  }

  /// The least of the limits, operations a second, and what sets it.
  var binding: (bound: Bound, operationsPerSecond: Double)? {
    rates.min { $0.operationsPerSecond < $1.operationsPerSecond }
  }

  /// `measured [op/s] / limit [op/s]`: 1 is as fast as this machine goes at this cost.
  var shareOfLimit: Double { binding.map { measuredOperationsPerSecond / $0.operationsPerSecond } ?? .nan }

  /// Share of the disk's sequential write speed that was used:
  /// `measured [op/s] * payload [bytes/op] * WA [bytes/byte] / B_w [bytes/s]`.
  var physicalShareOfDisk: Double { payloadShareOfDisk * physicalBytesPerPayloadByte }

  /// The same, of the payload alone: `measured [op/s] * payload [bytes/op] / B_w [bytes/s]`.
  var payloadShareOfDisk: Double {
    measuredOperationsPerSecond * payloadBytesPerOperation / yardstick.diskWriteBytesPerSecond
  }
}

extension IngestLimit {
  /// Where a run notes the processor time of its measured threads, in nanoseconds, if it does.
  static let writersProcessorKey = "workers.processorNanoseconds"

  /// nil for runs that do not write, or wrote nothing.
  ///
  /// A writer's own time is what its threads' clocks say (`writersProcessorKey`); without that, and with one writer
  /// that waits for no device, it is the median latency: half of all calls took no longer, stalls and preemption are
  /// in the other half.
  init?(_ result: RunResult, _ yardstick: Yardstick) {
    guard let amplification = result.writeAmplification, result.operations > 0 else { return nil }
    let specification = result.specification
    let operations = Double(result.operations)
    payloadBytesPerOperation = Double(result.payloadBytes) / operations
    physicalBytesPerPayloadByte = amplification
    processorNanosecondsPerOperation = result.processorNanosecondsPerOperation
    writers = specification.threads
    operationsPerSync = specification.durability == .synced ? specification.batch : nil
    measuredOperationsPerSecond = result.settledOperationsPerSecond
    self.yardstick = yardstick

    let harness = Double(result.harnessNanoseconds) / operations
    if let spent = result.extra[IngestLimit.writersProcessorKey] {
      writerNanosecondsPerOperation = spent / operations - harness
    } else if writers == 1, specification.durability == .staged, let latency = result.latency {
      writerNanosecondsPerOperation = Double(latency.p50) / Double(specification.batch) - harness
    }
    if let writer = writerNanosecondsPerOperation, writer <= 0 { writerNanosecondsPerOperation = nil }
  }
}
