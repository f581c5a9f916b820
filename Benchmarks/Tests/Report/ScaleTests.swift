import Testing

@testable import SiltstoneBench

@Suite struct ScaleTests {
  private let range = (from: 0.0, to: 100.0)

  @Test(arguments: [(0.9, 1.0), (1, 1), (1.1, 2), (2.2, 2.5), (3, 5), (7, 10), (0.03, 0.05), (4_100, 5_000)])
  func niceSteps(step: Double, nice: Double) { #expect(abs(LinearScale.niceStep(step) / nice - 1) < 1e-9) }

  @Test func linearTicksBeginAtZeroAndCoverTheLargest() {
    for maximum in [0.0013, 0.7, 1, 3.3, 99, 100, 101, 1.46e6, 8e9] {
      let scale = LinearScale(upTo: maximum, range: range, count: 5)
      #expect(scale.ticks.first == 0)
      #expect(scale.top >= maximum && scale.top < maximum * 2.01)
      #expect((3...7).contains(scale.ticks.count), "\(maximum): \(scale.ticks)")
      #expect(scale.position(0) == 0 && scale.position(scale.top) == 100)
    }
    #expect(LinearScale(upTo: 100, range: range, count: 5).ticks == [0, 20, 40, 60, 80, 100])
  }

  @Test func aTightScaleEndsAtTheLargest() {
    let scale = LinearScale(upTo: 7.1, range: range, count: 7, isTight: true)
    #expect(scale.top == 7.1)
    #expect(scale.ticks.last == 6 || scale.ticks.last == 7)
    #expect(scale.position(7.1) == 100)
  }

  @Test func nothingToScaleIsNoTrap() {
    for value in [0, -1, .nan, .infinity] as [Double] {
      let scale = LinearScale(upTo: value, range: range, count: 5)
      #expect(scale.top == 1)
      #expect(scale.position(.nan) == 0)
    }
    let log = LogScale(spanning: [0, -3, .nan], range: range)
    #expect(log.domain.low == 1 && log.domain.high == 10)
    #expect(log.position(0) == 0 && log.position(.nan) == 0)
  }

  @Test func logTicksOfManyDecadesAreDecades() {
    let scale = LogScale(spanning: [150, 3e7], range: range)
    #expect(scale.domain.low <= 150 && scale.domain.high >= 3e7)
    #expect(scale.ticks == [100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8])
    #expect(abs(scale.position(1e5) - 50) < 1e-9)
    #expect(LogScale(spanning: [1, 1e12], range: range).ticks.count <= 7)
  }

  @Test func logTicksOfFewDecadesAreFiner() {
    let scale = LogScale(spanning: [130, 900], range: range)
    #expect(scale.ticks.map { $0.rounded() } == [100, 200, 500, 1_000])
    #expect(LogScale(spanning: [200], range: range).ticks.count >= 2, "one value still makes a scale")
    let tight = LogScale(spanning: [0.5, 30], range: range, isTight: true)
    #expect(tight.position(30) == 100)
    #expect(tight.ticks == [0.5, 1, 2, 5, 10, 20])
  }

  @Test func timeIsRoundInItsUnit() {
    let labels = { (longest: Double) in
      let scale = TimeScale(upTo: longest) { LinearScale(upTo: $0, range: range, count: 5, isTight: true) }
      return scale.ticks.map(scale.label)
    }
    #expect(labels(0.4) == ["0 s", "0.1 s", "0.2 s", "0.3 s", "0.4 s"])
    #expect(labels(42) == ["0 s", "10 s", "20 s", "30 s", "40 s"])
    #expect(labels(600) == ["0 min", "2 min", "4 min", "6 min", "8 min", "10 min"])
    #expect(labels(9_000) == ["0 h", "0.5 h", "1 h", "1.5 h", "2 h", "2.5 h"])
  }

  @Test func ninesAreEquallyFarApart() {
    let scale = NinesScale(nines: 5, range: range)
    for (percentile, position) in [(0.0, 0.0), (90, 20), (99, 40), (99.9, 60), (99.99, 80), (99.999, 100), (100, 100)] {
      #expect(abs(scale.position(percentile) - position) < 1e-6)
    }
    #expect(scale.ticks == [0, 50, 90, 99, 99.9, 99.99, 99.999])
    #expect(NinesScale(nines: .nan, range: range).nines == 1)
  }

  @Test func labelsAreMovedApartAndStayInside() {
    #expect(Frame.spread([10, 11, 50], apart: 15, within: 0...100) == [10, 25, 50])
    #expect(Frame.spread([90, 95, 99], apart: 15, within: 0...100) == [70, 85, 100])
    #expect(Frame.spread([], apart: 15, within: 0...100).isEmpty)
  }
}
