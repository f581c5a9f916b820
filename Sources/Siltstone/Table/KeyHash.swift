internal import CSupport

/// The hash of a user key, computed once per lookup and handed down to every filter on the way.
enum KeyHash {
  /// Stable: the filters on disk were built with it.
  @inline(__always)
  static func of(_ key: ByteView) -> UInt64 { csup_hash64(key.base, key.count) }
}
