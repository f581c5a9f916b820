import Testing

@testable import SiltstoneBench

@Suite struct FormatTests {
  @Test(arguments: [
    (0.0, "0"), (0.004, "0"), (0.0456, "0.046"), (0.123, "0.12"), (1.417, "1.42"), (9.996, "10.0"), (14.24, "14.2"),
    (99.96, "100"), (142.4, "142"), (-3.14159, "-3.14"), (.nan, "-"), (.infinity, "-"),
  ])
  func threeSignificantDigits(value: Double, text: String) { #expect(Format.number(value) == text) }

  @Test(arguments: [
    (0.0, "0"), (7, "7"), (213, "213"), (999.4, "999"), (999.7, "1.00 k"), (1_417_000, "1.42 M"), (999_600, "1.00 M"),
    (2.5e9, "2.50 G"),
  ])
  func counts(value: Double, text: String) { #expect(Format.count(value) == text) }

  @Test func unitsForPeople() {
    #expect(Format.nanoseconds(700) == "700 ns")
    #expect(Format.nanoseconds(12_340) == "12.3 us")
    #expect(Format.nanoseconds(4_100_000) == "4.10 ms")
    #expect(Format.nanoseconds(1.25e9) == "1.25 s")
    #expect(Format.seconds(0) == "0 s")
    #expect(Format.seconds(0.308) == "308 ms")
    #expect(Format.bytes(512_000_000) == "512 MB")
    #expect(Format.bytesPerSecond(1.67e9) == "1.67 GB/s")
    #expect(Format.bytesPerSecond(.nan) == "-")
    #expect(Format.ratio(0.1666) == "0.17x")
    #expect(Format.percent(0.0412) == "4.1 %")
    #expect(Format.percent(0.41) == "41 %")
    #expect(Format.percent(0.0004) == "0.04 %")
    #expect(Format.percent(0) == "0 %")
    #expect(Format.spread(0.284) == "28%")
    #expect(Format.spread(84.3) == "84x")
  }

  @Test func exactNumbersShowNoNeedlessZeros() {
    #expect(Format.exact(5_000_000) == "5 M")
    #expect(Format.exact(1_500) == "1.5 k")
    #expect(Format.exact(200_000) == "200 k")
    #expect(Format.exact(64) == "64")
    #expect(Format.tick("10.0 us") == "10 us")
    #expect(Format.tick("2.50 M") == "2.5 M")
    #expect(Format.tick("100") == "100")
    #expect(Format.trimmed("0.00") == "0")
  }

  @Test func clocks() {
    #expect(Format.clock(0) == "0:00")
    #expect(Format.clock(65.2) == "1:05")
    #expect(Format.clock(3_750) == "1:02:30")
    #expect(Format.clock(.infinity) == "-:--")
  }
}
