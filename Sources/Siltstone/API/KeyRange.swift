/// A range of keys in byte order: from `lower`, included, to `upper`, excluded. A missing bound is open.
public struct KeyRange: Sendable, Hashable {
  /// The first key in the range, or nil for the beginning.
  public var lower: [UInt8]?
  /// The first key behind the range, or nil for the end.
  public var upper: [UInt8]?

  /// The range from `lower` up to, but without, `upper`.
  public init(from lower: [UInt8]? = nil, to upper: [UInt8]? = nil) {
    self.lower = lower
    self.upper = upper
  }

  /// The range from `lower` up to, but without, `upper`.
  public init<Lower: Bytes, Upper: Bytes>(from lower: Lower, to upper: Upper) {
    self.lower = lower.withBytes { ByteView($0).copied() }
    self.upper = upper.withBytes { ByteView($0).copied() }
  }

  /// Every key.
  public static let all = KeyRange()

  /// Every key that begins with `prefix`.
  public static func prefix<Prefix: Bytes>(_ prefix: Prefix) -> KeyRange {
    let lower = prefix.withBytes { ByteView($0).copied() }
    // The first key behind them all: the prefix with its last byte that can grow grown, and cut there.
    var upper = lower
    while let last = upper.last, last == 0xFF { upper.removeLast() }
    if let last = upper.popLast() { upper.append(last + 1) }
    return KeyRange(from: lower, to: upper.isEmpty ? nil : upper)
  }

  /// Whether no key can be in the range.
  public var isEmpty: Bool {
    guard let lower, let upper else { return upper?.isEmpty ?? false }
    return !lower.lexicographicallyPrecedes(upper)
  }
}
