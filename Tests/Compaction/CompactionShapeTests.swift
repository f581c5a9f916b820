import Testing

@testable import Siltstone

@Suite struct CompactionShapeTests {
  @Test func levelsGrowByTheSizeRatio() {
    var shape = CompactionShape()
    #expect(shape.capacityBytes(0) == 256 << 20)
    #expect(shape.capacityBytes(3) == 16 << 30)
    shape.sizeRatio = 32
    #expect(shape.capacityBytes(40) == .max)
  }

  @Test func lazyLevelingIsTheDefault() {
    let shape = CompactionShape()
    #expect((0...3).map { shape.maxRuns($0, lastLevel: 3) } == [4, 3, 3, 1])
    var leveled = shape
    leveled.runsPerLevel = 1
    #expect((0...3).map { leveled.maxRuns($0, lastLevel: 3) } == [4, 1, 1, 1])
  }

  /// Over all entries the filters have the bits that the option says, and small levels have more than large ones.
  @Test(arguments: [2, 4, 10], [6.0, 10.0, 12.0])
  func filterBitsAverageToTheOption(sizeRatio: Int, bits: Double) {
    var shape = CompactionShape()
    shape.sizeRatio = sizeRatio
    shape.filterBitsPerKey = bits
    let last = 8
    var weighted = 0.0
    var entries = 0.0
    for level in 0...last {
      var size = 1.0
      for _ in level..<last { size /= Double(sizeRatio) }
      weighted += size * shape.filterBits(level: level, lastLevel: last)
      entries += size
    }
    #expect(abs(weighted / entries - bits) < 0.15, "\(weighted / entries)")
    let all = (0...last).map { shape.filterBits(level: $0, lastLevel: last) }
    #expect(zip(all, all.dropFirst()).allSatisfy { $0 >= $1 })
    #expect(all[last] < bits && all[last] > 0.6 * bits)
    #expect(all[0] > bits + 5 && all[0] <= CompactionShape.maxFilterBits)
  }

  @Test func noFiltersMeansNone() {
    var shape = CompactionShape()
    shape.filterBitsPerKey = 0
    #expect((0...3).allSatisfy { shape.filterBits(level: $0, lastLevel: 3) == 0 })
  }

  @Test func theBottomHasItsCodec() {
    let shape = CompactionShape()
    let upper = shape.tableSettings(level: 1, lastLevel: 3, isBottom: false)
    let bottom = shape.tableSettings(level: 0, lastLevel: 3, isBottom: true)
    #expect(upper.compression == .none && bottom.compression == .lz4)
    #expect(upper.filterBitsPerKey > bottom.filterBitsPerKey)
    #expect(bottom.filterBitsPerKey == shape.filterBits(level: 3, lastLevel: 3))
  }
}
