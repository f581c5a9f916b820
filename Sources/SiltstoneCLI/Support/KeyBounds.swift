import Siltstone

/// The range that `--prefix`, `--from` and `--to` leave together.
struct KeyBounds {
  private(set) var from: [UInt8]?
  private(set) var to: [UInt8]?

  init(prefix: [UInt8]?, from: [UInt8]?, to: [UInt8]?) {
    self.from = from
    self.to = to
    guard let prefix, !prefix.isEmpty else { return }
    if from.map({ $0.lexicographicallyPrecedes(prefix) }) ?? true { self.from = prefix }
    if let end = KeyBounds.successor(ofPrefix: prefix) {
      if to.map({ end.lexicographicallyPrecedes($0) }) ?? true { self.to = end }
    }
  }

  /// True if no key can lie within.
  var isEmpty: Bool {
    guard let from, let to else { return false }
    return !from.lexicographicallyPrecedes(to)
  }

  var range: KeyRange { KeyRange(from: from, to: to) }

  /// The first key after all keys with `prefix`; nil if there is none, which is so for 0xFF bytes only.
  private static func successor(ofPrefix prefix: [UInt8]) -> [UInt8]? {
    var end = prefix
    while let last = end.popLast() {
      if last < 0xFF {
        end.append(last + 1)
        return end
      }
    }
    return nil
  }
}
