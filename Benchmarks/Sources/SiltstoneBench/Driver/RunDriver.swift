import Foundation
import Histogram
import Synchronization

/// One run, from an empty directory to a result: made for a process of its own, so that no engine inherits another's
/// memory, threads or page cache mappings.
struct RunDriver<Engine: KeyValueEngine> {
  let specification: RunSpecification
  /// Told how many operations of the measured phase are done.
  let progress: @Sendable (UInt64) -> Void

  func run<Load: Workload>(_ workload: Load) throws -> RunResult {
    let directory = specification.directory
    try clearDirectory()
    let harness = try harnessNanoseconds(workload)
    let engine = try Engine(directory: directory, specification: specification)
    try workload.prepare(engine)

    var result = RunResult(engine: engine.identity, specification: specification)
    let measured = try measure(workload, on: engine, &result)
    if specification.isWriting {
      try engine.settle()
      FileSystem.sync(directory)
    }
    note(settled: .current(), .current(of: directory), since: measured, &result)
    PerfControl.disable()
    for (name, value) in engine.internals { result.extra["engine." + name] = value }
    result.liveBytes = workload.liveBytes(after: result.operations)
    try engine.close()
    result.diskBytes = DirectorySize.allocatedBytes(directory)
    result.harnessNanoseconds = UInt64(harness * Double(result.operations))
    return result
  }

  func clearDirectory() throws {
    try? FileManager.default.removeItem(atPath: specification.directory)
    try FileManager.default.createDirectory(atPath: specification.directory, withIntermediateDirectories: true)
  }

  /// Where the measured phase began.
  struct Beginning {
    let usage = ProcessUsage.current()
    let device: DeviceUsage
    let sampler: Sampler

    init(
      _ specification: RunSpecification, _ counters: [OperationCounter] = [],
      report: @escaping @Sendable (UInt64) -> Void
    ) {
      device = DeviceUsage.current(of: specification.directory)
      sampler = Sampler(counters, from: usage, report: report)
    }
  }

  private func measure<Load: Workload, Subject: KeyValueEngine>(
    _ workload: Load, on engine: Subject, _ result: inout RunResult
  ) throws -> Beginning {
    let crew = Crew(specification, workload)
    PerfControl.enable()
    let begin = Beginning(specification, crew.counters, report: progress)
    try crew.work(on: engine)
    let end = ProcessUsage.current()
    crew.note(in: &result)
    result.seconds = Clock.seconds(from: begin.usage.nanoseconds, to: end.nanoseconds)
    result.processorNanoseconds = end.processorNanoseconds - begin.usage.processorNanoseconds
    return begin
  }

  func note(
    settled end: ProcessUsage, _ device: DeviceUsage, since begin: Beginning, _ result: inout RunResult
  ) {
    result.settledSeconds = Clock.seconds(from: begin.usage.nanoseconds, to: end.nanoseconds)
    result.settledProcessorNanoseconds = end.processorNanoseconds - begin.usage.processorNanoseconds
    result.systemNanoseconds = end.systemNanoseconds - begin.usage.systemNanoseconds
    result.peakMemoryBytes = end.peakResidentBytes
    result.processBytesWritten = end.bytesWritten(since: begin.usage)
    result.processBytesRead = end.bytesRead - begin.usage.bytesRead
    result.deviceBytesWritten = device.bytesWritten - begin.device.bytesWritten
    result.deviceBytesRead = device.bytesRead - begin.device.bytesRead
    result.timeline = begin.sampler.finish()
  }

  /// What the harness spends on one operation: the same work on an engine that does nothing.
  func harnessNanoseconds<Load: Workload>(_ workload: Load) throws -> Double {
    let operations = min(specification.operationCount, 200_000)
    var sample = specification
    sample.operations = operations
    sample.rate = nil
    sample.seconds = nil
    let crew = Crew(sample, workload)
    let begin = Clock.processorNanoseconds()
    try crew.work(on: NullEngine())
    let spent = Clock.processorNanoseconds() - begin
    var result = RunResult(engine: NullEngine().identity, specification: sample)
    crew.note(in: &result)
    return result.operations == 0 ? 0 : Double(spent) / Double(result.operations)
  }
}

/// The threads of a measured phase, and what they have measured together.
final class Crew<Load: Workload>: Sendable {
  let counters: [OperationCounter]
  private let specification: RunSpecification
  private let workload: Load
  private let over = StopSign()

  private struct Sum {
    var histogram: Histogram<UInt64>?
    var operations: UInt64 = 0
    var payloadBytes: UInt64 = 0
    var found: UInt64 = 0
    var stalledNanoseconds: UInt64 = 0
    var processorNanoseconds: UInt64 = 0
    var bystanderOperations: UInt64 = 0
    var workersLeft: Int
  }
  private let sum: Mutex<Sum>

  init(_ specification: RunSpecification, _ workload: Load) {
    self.specification = specification
    self.workload = workload
    counters = (0..<specification.threads).map { _ in OperationCounter() }
    sum = Mutex(Sum(workersLeft: specification.threads))
  }

  func work<Engine: KeyValueEngine>(on engine: Engine) throws {
    let deadline = specification.seconds.map { Clock.nanoseconds() + UInt64($0 * 1e9) } ?? .max
    try Threads.run(specification.threads + workload.bystanders) { index in
      defer { if index < self.specification.threads { self.leave() } }
      var worker = Worker(
        index: index, of: self.specification.threads, self.specification,
        progress: index < self.counters.count ? self.counters[index] : OperationCounter(),
        deadline: deadline, over: self.over)
      let begin = Clock.threadNanoseconds()
      try self.workload.work(on: engine, &worker)
      self.add(
        worker.recorder, processorNanoseconds: Clock.threadNanoseconds() - begin, isBystander: worker.isBystander)
    }
  }

  /// When the last that is measured has gone, bystanders may too, even if it failed.
  private func leave() {
    let left = sum.withLock { sum in
      sum.workersLeft -= 1
      return sum.workersLeft
    }
    if left == 0 { over.set() }
  }

  private func add(_ recorder: borrowing LatencyRecorder, processorNanoseconds: UInt64, isBystander: Bool) {
    let histogram = recorder.histogram
    let (operations, payloadBytes) = (recorder.operations, recorder.payloadBytes)
    let (found, stalled) = (recorder.found, recorder.stalledNanoseconds)
    sum.withLock { sum in
      if isBystander {
        sum.bystanderOperations += operations
        return
      }
      if sum.histogram == nil { sum.histogram = histogram } else { sum.histogram?.add(histogram) }
      sum.operations += operations
      sum.payloadBytes += payloadBytes
      sum.found += found
      sum.stalledNanoseconds += stalled
      sum.processorNanoseconds += processorNanoseconds
    }
  }

  func note(in result: inout RunResult) {
    sum.withLock { sum in
      result.operations = sum.operations
      result.payloadBytes = sum.payloadBytes
      result.found = sum.found
      result.extra[IngestLimit.writersProcessorKey] = Double(sum.processorNanoseconds)
      result.stalledSeconds = Double(sum.stalledNanoseconds) / 1e9
      result.latency = sum.histogram.flatMap { RunResult.Latency($0) }
      if workload.bystanders > 0 { result.extra["bystander.operations"] = Double(sum.bystanderOperations) }
    }
  }
}

extension RunResult.Latency {
  /// nil if nothing was recorded.
  init?(_ histogram: Histogram<UInt64>) {
    guard histogram.totalCount > 0 else { return nil }
    let percentiles = [0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.995, 99.999, 99.9999, 100]
    self.init(
      count: histogram.totalCount, mean: histogram.mean, p50: histogram.valueAtPercentile(50),
      p90: histogram.valueAtPercentile(90), p99: histogram.valueAtPercentile(99),
      p999: histogram.valueAtPercentile(99.9), p9999: histogram.valueAtPercentile(99.99),
      max: histogram.maxRecorded,
      curve: percentiles.map { Point(percentile: $0, nanoseconds: histogram.valueAtPercentile($0)) })
  }
}
