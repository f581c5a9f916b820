import Foundation

/// Whether what processes did to registers can have happened one after the other, each operation at some moment between
/// its begin and its end, if no two writes to a key have a value in common.
///
/// The test of Gibbons and Korach (Testing Shared Memories, 1997). All operations with one value, the write and its
/// reads, make a zone from their first end to their last begin. If the end comes first, the register must hold the
/// value all that time: such a zone must overlap no other of its kind, and no zone of the other kind, whose operations
/// all overlap in one moment, may lie inside of it.
enum Linearizability {
  struct Operation: Equatable {
    var key: Int
    var isWrite: Bool
    /// 0 is what a key holds that nobody has written.
    var value: UInt64
    var begin: UInt64
    /// The largest number for a write whose process died: it may have happened at any later time, or never.
    var end: UInt64
  }

  struct Violation: Error, CustomStringConvertible { let description: String }

  static func check(_ operations: [Operation]) throws(Violation) {
    for (key, operations) in Dictionary(grouping: operations, by: \.key) { try check(key, operations) }
  }

  /// From the first of these ends to the last of these begins.
  private struct Zone {
    var value: UInt64
    var firstEnd = UInt64.max
    var lastBegin: UInt64 = 0
    var isForward: Bool { firstEnd < lastBegin }

    mutating func add(_ operation: Operation) {
      firstEnd = min(firstEnd, operation.end)
      lastBegin = max(lastBegin, operation.begin)
    }
  }

  private static func check(_ key: Int, _ operations: [Operation]) throws(Violation) {
    var zones: [UInt64: Zone] = [0: Zone(value: 0, firstEnd: 0, lastBegin: 0)]
    var begins: [UInt64: UInt64] = [0: 0]
    for operation in operations where operation.isWrite {
      if begins.updateValue(operation.begin, forKey: operation.value) != nil {
        throw Violation(description: "key \(key): \(operation.value) was written twice")
      }
      zones[operation.value, default: Zone(value: operation.value)].add(operation)
    }
    var seen: Set<UInt64> = []
    for read in operations where !read.isWrite {
      guard let begin = begins[read.value], begin <= read.end else {
        throw Violation(description: "key \(key): \(read) reads what nobody had begun to write")
      }
      seen.insert(read.value)
      zones[read.value]?.add(read)
    }
    // A write without an end that nobody saw has perhaps not happened.
    let all = zones.values.filter { $0.firstEnd < .max || seen.contains($0.value) }
    let forward = all.filter(\.isForward).sorted { $0.firstEnd < $1.firstEnd }
    for (zone, next) in zip(forward, forward.dropFirst()) where next.firstEnd < zone.lastBegin {
      throw Violation(description: "key \(key): \(zone) and \(next): one was back after the other")
    }
    for zone in all where !zone.isForward {
      guard let around = last(of: forward, before: zone.lastBegin) else { continue }
      if zone.firstEnd < around.lastBegin {
        throw Violation(description: "key \(key): \(zone) inside of \(around): the value came and went unseen")
      }
    }
  }

  /// The last zone whose first end is before `time`.
  private static func last(of zones: [Zone], before time: UInt64) -> Zone? {
    var (low, high) = (0, zones.count)
    while low < high {
      let middle = (low + high) / 2
      if zones[middle].firstEnd < time { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? nil : zones[low - 1]
  }
}

extension Linearizability {
  /// What one name's processes have written down (`History` in the peer): four words for each operation, and before
  /// them a line with how many there are. What a read that died saw, nobody knows.
  static func operations(inFile path: String) throws -> [Operation] {
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    defer { try? file.close() }
    guard let head = try file.read(upToCount: 32), head.count == 32 else { return [] }
    let count = head.withUnsafeBytes { Int($0.load(as: UInt64.self)) }
    guard let data = try file.read(upToCount: count * 32), data.count == count * 32 else { return [] }
    return data.withUnsafeBytes { bytes in
      (0..<count).compactMap { index in
        let words = (0..<4).map { bytes.load(fromByteOffset: index * 32 + $0 * 8, as: UInt64.self) }
        let isWrite = words[0] & 1 == 1
        if words[2] == 0 || !isWrite && words[3] == 0 { return nil }
        let end = words[3] == 0 ? .max : words[3]
        return Operation(key: Int(words[0] >> 1), isWrite: isWrite, value: words[1], begin: words[2], end: end)
      }
    }
  }
}
