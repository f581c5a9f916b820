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
      EngineTitle.of(engine)
    }
  }

  /// An identifier for a link within the page.
  static func anchor(_ name: String) -> String {
    "w-" + String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" })
  }
}

/// How engines write their own names.
enum EngineTitle {
  private static let titles = [
    "siltstone": "Siltstone", "rocksdb": "RocksDB", "leveldb": "LevelDB", "lmdb": "LMDB", "sqlite": "SQLite",
  ]

  /// `RocksDB` for `rocksdb`, and `RocksDB 11.9` for `rocksdb@11.9`, which another build ran.
  static func of(_ engine: String) -> String {
    let parts = engine.split(separator: "@", maxSplits: 1).map(String.init)
    guard let name = parts.first else { return engine }
    return ([titles[name] ?? name] + parts.dropFirst()).joined(separator: " ")
  }

  /// `A`, `A and B`, `A, B and C`.
  static func list(_ engines: [String]) -> String {
    let names = engines.map(of)
    guard let last = names.last, names.count > 1 else { return names.first ?? "" }
    return names.dropLast().joined(separator: ", ") + " and " + last
  }
}
