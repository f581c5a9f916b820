/// What lies below a compaction's outputs and is no input: asked, key after key in ascending order, whether anything
/// there may hold the key. Where nothing may, a tombstone has nothing to hide.
///
/// Each run has a pointer that only moves forward, so the questions of a whole compaction cost one pass over the
/// tables' bounds.
struct BeneathRuns: ~Copyable {
  private struct Bounds {
    let smallest: ByteView
    let largest: ByteView
  }

  private struct Position {
    var next: Int
    let end: Int
  }

  private let bounds: UnsafeMutablePointer<Bounds>
  private let positions: UnsafeMutablePointer<Position>
  private let runCount: Int
  private let keys: UnsafeMutableRawPointer

  init(_ runs: [TreeLayout.Run]) {
    let tables = runs.flatMap(\.tables)
    let keyBytes = tables.reduce(0) { $0 + $1.smallestKey.count + $1.largestKey.count }
    keys = .allocate(byteCount: max(keyBytes, 1), alignment: 1)
    bounds = .allocate(capacity: max(tables.count, 1))
    positions = .allocate(capacity: max(runs.count, 1))
    runCount = runs.count
    var end = keys
    for (index, table) in tables.enumerated() {
      let smallest = table.smallestKey.withView { $0.stored(at: &end) }
      let largest = table.largestKey.withView { $0.stored(at: &end) }
      (bounds + index).initialize(to: Bounds(smallest: smallest, largest: largest))
    }
    var first = 0
    for (index, run) in runs.enumerated() {
      (positions + index).initialize(to: Position(next: first, end: first + run.tables.count))
      first += run.tables.count
    }
  }

  deinit {
    keys.deallocate()
    bounds.deallocate()
    positions.deallocate()
  }

  /// REQUIRES: `key` is not below that of the call before.
  @inline(__always)
  mutating func mayHold(_ key: ByteView) -> Bool {
    for index in 0..<runCount {
      while positions[index].next < positions[index].end,
        bounds[positions[index].next].largest.compare(key) < 0
      {
        positions[index].next &+= 1
      }
      if positions[index].next < positions[index].end,
        bounds[positions[index].next].smallest.compare(key) <= 0
      {
        return true
      }
    }
    return false
  }
}
