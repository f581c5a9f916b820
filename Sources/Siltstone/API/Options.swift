/// How a database is opened. Every option has a default that suits most uses, and none forbids another.
public struct Options: Sendable {
  /// Whether `open` makes a database where there is none. Default: true.
  public var createIfMissing = true

  /// Who may have the database open at the same time, and this process's part in it.
  public struct Sharing: Sendable, Hashable {
    enum Kind: UInt32, Sendable { case processes = 1, guest, readOnly, exclusive }
    let kind: Kind

    /// Any number of processes, up to 96: this one reads and writes, and offers itself for the upkeep (flushing,
    /// compacting, tending the log), of which each part is done by one of those that offer.
    public static let processes = Sharing(kind: .processes)
    /// As `processes`, but this one leaves the upkeep to others: for a producer that must not be disturbed, or will not
    /// stay. It flushes only while nobody else is there to do it.
    public static let guest = Sharing(kind: .guest)
    /// This process only reads: it needs no permission to write, and changes nothing. Beside processes that write it
    /// sees what they write; should all of them end, it goes on reading what there was, and follows the next. If nobody
    /// has the database open when it is opened, it sees what recovery would show, in memory of its own, and stays with
    /// that, whoever comes later: for backups, read-only file systems, and a look at what a crash has left. Writing
    /// throws `.readOnly`.
    public static let readOnly = Sharing(kind: .readOnly)
    /// This process alone. Opening fails while others have the database open, and others' opening fails meanwhile.
    public static let exclusive = Sharing(kind: .exclusive)
  }
  /// Who may have the database open at the same time. Default: `.processes`. What concerns the shared memory and the
  /// log (`memtableBytes`, how many memtables there are) is decided by the process that opens the database first.
  public var sharing = Sharing.processes

  /// What a write survives when the call does not say. Default: `.synced`, since a caller who never thought about it
  /// should lose nothing.
  public var durability = Durability.synced

  /// Memory for memtables, the log ring, cached blocks with their indexes and filters, and the buffers of flush and
  /// compaction, in bytes. What the memtables leave is the block cache's. Beyond it go a few dozen bytes for each
  /// mebibyte of tables, and a batch that is larger than a memtable. Default: 512 MiB, of which 192 MiB are memtables
  /// and 128 MiB the log ring; more makes reads cheaper. At least two memtables and 17 MiB.
  public var memoryBudgetBytes = 512 << 20

  /// The size of one memtable's arena, in bytes. Up to three exist: one that fills, and others that wait for
  /// their flush. A larger one means fewer rewrites by compaction and a longer recovery. Default: 64 MiB.
  public var memtableBytes = 64 << 20

  /// The codec of levels that will be rewritten before long. Default: none, since compressing costs more than all the
  /// rest of a rewrite.
  public var upperCompression = Compression.none

  /// The codec of the last level, which holds most of the data. Default: LZ4, which costs a read nearly nothing.
  public var bottomCompression = Compression.lz4

  /// The size of a data block before compression, in bytes: what a point read must fetch. Default: 16 KiB, at which the
  /// index stays small; smaller suits random reads of data much larger than memory.
  public var blockBytes = 16 << 10

  /// Filter bits for each key, averaged over the levels; 0 means no filters. Default: 10, which lets through one or two
  /// absent keys in a hundred.
  public var filterBitsPerKey = 10.0

  /// How many times larger each level is than the one above it. Default: 4; larger means fewer levels, and more work
  /// for each.
  public var sizeRatio = 4

  /// How many sorted runs a level may hold before they are merged downwards; the last level always holds one. 1 is
  /// leveled compaction (cheap scans, dear writes), `sizeRatio - 1` is lazy leveling. Default: nil, which means the
  /// latter.
  public var runsPerLevel: Int?

  /// The size at which compaction begins a new table, in bytes. Default: 64 MiB: large enough for sequential speed,
  /// small enough to be rewritten singly.
  public var tableBytes = 64 << 20

  /// Threads for compaction, beside the one for flushing and the one for the log. Default: nil, which means one for
  /// every two cores, and at least two: the last one is kept free for level 0 while that fills.
  public var compactionThreads: Int?

  /// How to talk to the disk.
  public enum IOBackend: Sendable {
    /// io_uring and direct I/O where the system grants them, plain system calls and the page cache where not. The
    /// metrics say which it is.
    case automatic
    /// Plain system calls and the page cache.
    case plain
  }
  /// How to talk to the disk. Default: `.automatic`.
  public var ioBackend = IOBackend.automatic

  /// Called for what happens in the background: flushes, compactions, stalls, recovery, corruption. On the thread it
  /// happens on, so it must be quick and must not call the database. Default: nobody is told.
  public var eventHandler: (@Sendable (Event) -> Void)?

  /// All defaults.
  public init() {}

  // Not options: derived from others, but settable by tests that want small files.

  /// The log ring, a power of two; nil derives it, see `MemoryPlan`.
  var ringBytes: UInt64?
  /// The size of a log segment; nil derives it: half a memtable, so that the log's end is never far behind a flush.
  var logSegmentBytes: UInt64?

  func check() throws(SiltstoneError) {
    func require(_ condition: Bool, _ message: String) throws(SiltstoneError) {
      if !condition { throw SiltstoneError(.invalidArgument, message) }
    }
    try require(memtableBytes >= 64 << 10, "memtableBytes must be at least 64 KiB")
    try require(memtableBytes <= 2 << 30, "memtableBytes must be at most 2 GiB")
    let leastRing = ringBytes.map { Int($0) } ?? MemoryPlan.minRingBytes
    try require(
      memoryBudgetBytes >= 2 * memtableBytes + leastRing + (1 << 20),
      "memoryBudgetBytes must hold two memtables, the log ring (\(leastRing >> 20) MiB) and 1 MiB of cache")
    try require(blockBytes >= 1 << 10 && blockBytes <= 1 << 20, "blockBytes must be between 1 KiB and 1 MiB")
    try require(filterBitsPerKey >= 0 && filterBitsPerKey <= 32, "filterBitsPerKey must be between 0 and 32")
    try require(sizeRatio >= 2 && sizeRatio <= 32, "sizeRatio must be between 2 and 32")
    try require((runsPerLevel ?? 1) >= 1 && (runsPerLevel ?? 1) <= 32, "runsPerLevel must be between 1 and 32")
    try require(tableBytes >= 64 << 10 && tableBytes <= 1 << 30, "tableBytes must be between 64 KiB and 1 GiB")
    try require((compactionThreads ?? 1) >= 1 && (compactionThreads ?? 1) <= 64, "compactionThreads must be 1 to 64")
  }
}
