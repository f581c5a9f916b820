/// How the blocks of a table are compressed. The raw value is what the files carry.
public enum Compression: UInt8, Sendable, CaseIterable {
  /// Stored as they are: what the upper levels do, whose tables live too short to earn back the CPU.
  case none = 0
  /// LZ4: cheap to write, almost free to read.
  case lz4 = 1
  /// Zstandard: the smallest files, at several times LZ4's price in CPU.
  case zstd = 2
  /// Snappy: close to LZ4, for those who come from stores that use it.
  case snappy = 3
}
