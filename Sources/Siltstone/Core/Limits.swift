/// The hard limits of the formats, each with its reason.
enum Limits {
  /// 64 KiB: a block's key area and an index entry stay small enough to search in cache.
  static let maxKeyBytes = 64 << 10
  /// 256 MiB: lengths fit 32 bits with room for any framing around them, and one value never dwarfs a table.
  static let maxValueBytes = 256 << 20
  /// 1 GiB for one batch, in the memtable with its nodes: an arena is addressed by 32-bit offsets.
  static let maxBatchBytes = 1 << 30
  /// 1 GiB: many times what any choice of options gives. A segment size comes from the disk, and is divided by and
  /// multiplied with.
  static let maxLogSegmentBytes: UInt64 = 1 << 30
  /// Numbers of files and runs come from the disk, too, and the next one must be a number as well.
  static let maxFileNumber: UInt64 = 1 << 62
}
