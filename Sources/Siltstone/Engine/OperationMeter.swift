internal import Synchronization

/// Times one operation in 16: reading the clock for each would cost a good part of what is measured.
final class OperationMeter: Sendable {
  private let operations = Atomic<UInt64>(0)
  let latency = LatencyHistogram()

  var count: UInt64 { operations.load(ordering: .relaxed) }
  /// Counts operations that are not measured one by one.
  func count(_ number: Int) { operations.add(UInt64(number), ordering: .relaxed) }

  /// The time, if this operation is to be measured; 0 if not.
  @inline(__always)
  func begin(_ storage: any Storage) -> UInt64 {
    let number = operations.add(1, ordering: .relaxed).oldValue
    return number & 15 == 0 ? storage.monotonicNanoseconds() : 0
  }

  @inline(__always)
  func end(_ begin: UInt64, _ storage: any Storage) {
    if begin != 0 { latency.record(storage.monotonicNanoseconds() &- begin) }
  }
}

/// Lookups: how many, how long, and what they probed.
final class ReadMeter: Sendable {
  private let meter = OperationMeter()
  private let searches = Atomic<UInt64>(0)
  private let blocks = Atomic<UInt64>(0)

  var lookups: UInt64 { meter.count }
  var tablesSearched: UInt64 { searches.load(ordering: .relaxed) }
  var blocksRead: UInt64 { blocks.load(ordering: .relaxed) }
  var latency: LatencySummary { meter.latency.summary() }

  @inline(__always)
  func begin(_ storage: any Storage) -> UInt64 { meter.begin(storage) }

  /// One lookup of many.
  func note(_ probes: LookupProbes) {
    meter.count(1)
    searches.add(UInt64(probes.filterProbes &- probes.filterNegatives), ordering: .relaxed)
    note(blocksRead: probes.blocksRead)
  }

  func note(blocksRead: Int) { blocks.add(UInt64(blocksRead), ordering: .relaxed) }

  @inline(__always)
  func end(_ begin: UInt64, _ probes: LookupProbes, _ storage: any Storage) {
    meter.end(begin, storage)
    searches.add(UInt64(probes.filterProbes &- probes.filterNegatives), ordering: .relaxed)
    if probes.blocksRead > 0 { blocks.add(UInt64(probes.blocksRead), ordering: .relaxed) }
  }
}
