import Glibc

/// The keys that the tool keeps for itself, in the same database as the user's, so that a load's progress can
/// be written in one atomic batch with its records.
enum ReservedKeys {
  static let prefix = Array("\u{0}siltstone\u{0}".utf8)
  nonisolated(unsafe) private static let prefixBuffer: UnsafeRawBufferPointer = {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: prefix.count, alignment: 1)
    copy.copyBytes(from: prefix)
    return UnsafeRawBufferPointer(copy)
  }()

  /// Whether `key` begins with the reserved prefix.
  @inline(__always)
  static func contain(_ key: UnsafeRawBufferPointer) -> Bool {
    // Almost every key is settled by its first byte.
    key.count > 0 && key[0] == 0 && hasWholePrefix(key)
  }

  private static func hasWholePrefix(_ key: UnsafeRawBufferPointer) -> Bool {
    guard let base = key.baseAddress, let reserved = prefixBuffer.baseAddress, key.count >= prefixBuffer.count
    else {
      return false
    }
    return memcmp(base, reserved, prefixBuffer.count) == 0
  }
}
