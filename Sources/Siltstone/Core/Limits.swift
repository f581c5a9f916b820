/// The hard limits of the formats, each with its reason.
enum Limits {
  /// 64 KiB: a block's key area and an index entry stay small enough to search in cache.
  static let maxKeyBytes = 64 << 10
  /// 256 MiB: lengths fit 32 bits with room for any framing around them, and one value never dwarfs a table.
  static let maxValueBytes = 256 << 20
  /// 1 GiB for one batch, in the memtable with its nodes: an arena is addressed by 32-bit offsets.
  static let maxBatchBytes = 1 << 30
}
