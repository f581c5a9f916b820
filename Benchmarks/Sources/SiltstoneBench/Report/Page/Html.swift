/// Small pieces of the page.
enum Html {
  /// Microseconds and multiples as a page can show them.
  static func micro(_ text: String) -> String {
    var text = text
    if text.hasSuffix(" us") { text = text.dropLast(2) + "µs" }
    if text.hasSuffix("x"), text.dropLast().last?.isNumber == true { text = text.dropLast() + "×" }
    return text == Format.missing ? "–" : text
  }

  /// A small square in the engine's colour.
  static func chip(_ engine: String, _ palette: Palette) -> Markup {
    tag("span", ["class": "chip " + palette.classes(engine)])
  }

  /// The engine's name with its colour.
  static func name(_ engine: String, _ palette: Palette) -> Markup {
    tag("span", ["class": "engine"]) {
      chip(engine, palette)
      EngineName.title(engine)
    }
  }

  /// An identifier for a link within the page.
  static func anchor(_ name: String) -> String {
    "w-" + String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" })
  }
}

/// How engines write their own names.
enum EngineName {
  private static let titles = [
    "siltstone": "Siltstone", "rocksdb": "RocksDB", "leveldb": "LevelDB", "lmdb": "LMDB", "sqlite": "SQLite",
  ]

  /// A second build of an engine has a name like `rocksdb-10.4`.
  static func title(_ engine: String) -> String {
    let parts = engine.split(separator: "-", maxSplits: 1).map(String.init)
    guard let name = parts.first.flatMap({ titles[$0] }) else { return engine }
    return parts.count == 1 ? name : name + " " + parts[1]
  }

  /// `A`, `A and B`, `A, B and C`.
  static func list(_ engines: [String]) -> String {
    let names = engines.map(title)
    guard let last = names.last, names.count > 1 else { return names.first ?? "" }
    return names.dropLast().joined(separator: ", ") + " and " + last
  }
}
