/// One colour for each engine, on every chart and in every report: classes of the style sheet. The colours can be told
/// apart with the common kinds of colour blindness, and are named beside every line and bar as well.
struct Palette: Sendable {
  private let slots: [String: Int]

  private static let fixed = ["siltstone": 0, "rocksdb": 1, "leveldb": 2, "lmdb": 3, "sqlite": 4]
  static let light = [
    "#0b62a4", "#d1690e", "#00896b", "#a8508a", "#6b7280", "#96800a", "#5b4bb5", "#8c2f2f",
  ]
  static let dark = [
    "#5aa9e6", "#f0934a", "#3fc19f", "#d98cc0", "#a3abb8", "#dcc144", "#9f93ea", "#d97a7a",
  ]

  /// Engines without a colour of their own take those behind the fixed ones, in the order given.
  init(_ engines: [String]) {
    var slots: [String: Int] = [:]
    var next = Palette.fixed.count
    for engine in engines where slots[engine] == nil {
      if let slot = Palette.fixed[engine] {
        slots[engine] = slot
      } else {
        slots[engine] = next
        next = next + 1 < Palette.light.count ? next + 1 : Palette.fixed.count
      }
    }
    self.slots = slots
  }

  func classes(_ engine: String) -> String { "e\(slots[engine] ?? Palette.light.count - 1)" }
}
