/// Where a search in a block ended.
enum BlockSearchResult {
  /// The first entry at or after the target. Its key is the target's first `shared` bytes, then the entry's suffix.
  case found(BlockEntry)
  /// Every entry is before the target.
  case pastEnd
  case corrupt
}

extension BlockView {
  /// Finds the first entry at or after an internal key, without rebuilding any key and without touching a value:
  /// bisects the restarts, whose keys are whole, then walks the suffixes.
  func search(_ key: ByteView, _ trailer: KeyTrailer) -> BlockSearchResult {
    guard let start = lastRestart(before: key, trailer) else { return .corrupt }
    var (offset, valueOffset) = restart(start)
    // How many bytes the last entry before the target shares with it.
    var matched = 0
    while offset != keysEnd {
      guard let entry = decode(at: offset, valueOffset: valueOffset) else { return .corrupt }
      // An entry that shares more with the one before it than that one with the target differs from the target at the
      // same byte, hence in the same direction: it is before the target, unseen.
      if entry.shared <= matched {
        let suffix = suffix(entry)
        let target = key.dropFirst(entry.shared)
        let common = suffix.commonPrefixLength(target)
        if BlockView.isBefore(suffix, entry.trailer, target, trailer, common) {
          matched = entry.shared &+ common
        } else {
          return .found(entry)
        }
      }
      offset = entry.end
      valueOffset = entry.valueEnd
    }
    return .pastEnd
  }

  /// The last restart whose entry is strictly before the internal key, or the first restart if none is. Nil if a
  /// restart points at no entry.
  private func lastRestart(before key: ByteView, _ trailer: KeyTrailer) -> Int? {
    var low = 0
    var high = restartCount
    // Invariant: every restart up to and including `low` is before the key (or is 0), every one from `high` on is not.
    while high &- low > 1 {
      let middle = (low &+ high) / 2
      let (offset, valueOffset) = restart(middle)
      guard let entry = decode(at: offset, valueOffset: valueOffset), entry.shared == 0 else { return nil }
      if compareInternal(suffix(entry), entry.trailer, key, trailer) < 0 {
        low = middle
      } else {
        high = middle
      }
    }
    return low
  }

  /// Whether an entry with this key is strictly before the target, of which `common` leading bytes are equal.
  @inline(__always)
  private static func isBefore(
    _ key: ByteView, _ trailer: KeyTrailer, _ target: ByteView, _ targetTrailer: KeyTrailer, _ common: Int
  ) -> Bool {
    if common < key.count, common < target.count { return key[common] < target[common] }
    if key.count != target.count { return key.count < target.count }
    return trailer.rawValue > targetTrailer.rawValue
  }
}
