import Foundation

/// From figures to pixels.
protocol Scale: Sendable {
  /// Where a value is drawn; what lies outside the domain is drawn at its edge.
  func position(_ value: Double) -> Double
  /// Values that bear a label, ascending.
  var ticks: [Double] { get }
}

/// Equal steps at equal distances, from 0.
struct LinearScale: Scale {
  let top: Double
  let range: (from: Double, to: Double)
  let ticks: [Double]

  /// Ends at the first tick at or above `maximum`, with about `count` steps; or at `maximum` itself, with the ticks
  /// below it, if `isTight`.
  init(upTo maximum: Double, range: (from: Double, to: Double), count: Int, isTight: Bool = false) {
    let maximum = maximum.isFinite && maximum > 0 ? maximum : 1
    let step = LinearScale.niceStep(maximum / Double(max(count, 1)))
    // A hair below, so that a maximum that is a tick itself needs no further step.
    let steps = isTight ? (maximum / step * (1 + 1e-9)).rounded(.down) : (maximum / step * (1 - 1e-9)).rounded(.up)
    ticks = (0...Int(max(steps, isTight ? 0 : 1))).map { Double($0) * step }
    top = isTight ? maximum : ticks.last ?? maximum
    self.range = range
  }

  func position(_ value: Double) -> Double {
    let share = value.isFinite ? min(max(value / top, 0), 1) : 0
    return range.from + share * (range.to - range.from)
  }

  /// The least of 1, 2, 2.5 and 5 times a power of ten that is not below `step`.
  static func niceStep(_ step: Double) -> Double {
    guard step.isFinite, step > 0 else { return 1 }
    let power = pow(10, log10(step).rounded(.down))
    let factor = step / power
    return power * ([1, 2, 2.5, 5, 10].first { factor <= $0 * (1 + 1e-9) } ?? 10)
  }
}

/// Equal ratios at equal distances.
struct LogScale: Scale {
  let domain: (low: Double, high: Double)
  let range: (from: Double, to: Double)

  /// Spans the values, widened to whole decades or, within two decades, to 1, 2 or 5 times a power of ten; values that
  /// are not above 0 are left out. `isTight` spans just the values.
  init(spanning values: [Double], range: (from: Double, to: Double), isTight: Bool = false) {
    let usable = values.filter { $0.isFinite && $0 > 0 }
    let (least, largest) = (usable.min() ?? 1, usable.max() ?? 10)
    self.range = range
    if isTight, largest > least {
      domain = (least, largest)
      return
    }
    let isWide = largest / least > 100
    let factors = isWide ? [1.0] : [1, 2, 5]
    let low = LogScale.below(least, factors)
    let high = LogScale.below(1 / largest, isWide ? [1] : [1, 2, 5])
    domain = (low, 1 / high > low ? 1 / high : low * 10)
  }

  /// The largest of the factors times a power of ten that is not above `value`.
  private static func below(_ value: Double, _ factors: [Double]) -> Double {
    let power = pow(10, (log10(value) + 1e-9).rounded(.down))
    let factor = value / power
    return power * (factors.last { $0 <= factor * (1 + 1e-9) } ?? 1)
  }

  func position(_ value: Double) -> Double {
    guard value.isFinite, value > 0 else { return range.from }
    let share = log(value / domain.low) / log(domain.high / domain.low)
    return range.from + min(max(share, 0), 1) * (range.to - range.from)
  }

  /// Powers of ten; within two decades 2 and 5 times them too; of many decades every second or third.
  var ticks: [Double] {
    let low = Int((log10(domain.low) + 1e-9).rounded(.down))
    let high = Int((log10(domain.high) - 1e-9).rounded(.up))
    let factors: [Double] = domain.high / domain.low <= 250 ? [1, 2, 5] : [1]
    let step = max(1, (high - low + 5) / 6)
    let candidates = stride(from: low, through: high, by: step).flatMap { power in
      factors.map { (factor: Double) in factor * pow(10, Double(power)) }
    }
    return candidates.filter { $0 >= domain.low * (1 - 1e-9) && $0 <= domain.high * (1 + 1e-9) }
  }
}

/// Seconds, with ticks that are round in seconds, minutes or hours.
struct TimeScale: Scale {
  private let base: any Scale
  private let unit: (seconds: Double, name: String)

  /// `base` makes a scale in the unit, up to a number of it.
  init(upTo longest: Double, base: (Double) -> any Scale) {
    unit = longest >= 7_200 ? (3_600, "h") : longest >= 300 ? (60, "min") : (1, "s")
    self.base = base(longest / unit.seconds)
  }

  func position(_ seconds: Double) -> Double { base.position(seconds / unit.seconds) }
  var ticks: [Double] { base.ticks.map { $0 * unit.seconds } }

  func label(_ seconds: Double) -> String {
    Format.trimmed(String(format: "%.3f", seconds / unit.seconds)) + " " + unit.name
  }
}

/// Percentiles by their nines: 90, 99, 99.9 % at equal distances.
struct NinesScale: Scale {
  /// How many nines the axis reaches to.
  let nines: Double
  let range: (from: Double, to: Double)

  init(nines: Double, range: (from: Double, to: Double)) {
    self.nines = nines.isFinite ? max(1, nines) : 1
    self.range = range
  }

  /// 0 of the 0th percentile, 1 of the 90th, 2 of the 99th.
  static func nines(ofPercentile percentile: Double) -> Double {
    percentile >= 100 ? .infinity : -log10(1 - max(percentile, 0) / 100)
  }

  func position(_ percentile: Double) -> Double { position(nines: NinesScale.nines(ofPercentile: percentile)) }

  func position(nines count: Double) -> Double {
    let share = min(max(count / nines, 0), 1)
    return range.from + share * (range.to - range.from)
  }

  static let percentiles = [0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999]

  var ticks: [Double] {
    NinesScale.percentiles.filter { NinesScale.nines(ofPercentile: $0) <= nines + 1e-9 }
  }
}
