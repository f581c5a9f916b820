/// What the database has done since it was opened, and how it stands now. A copy; taking one costs microseconds.
public struct Metrics: Sendable {
  /// One level of the tree.
  public struct Level: Sendable, Hashable {
    /// 0 is where memtables are flushed to.
    public var level = 0
    /// Sorted runs: what a lookup must ask one after the other.
    public var runs = 0
    /// Tables in them.
    public var tables = 0
    /// Bytes on disk.
    public var sizeBytes: UInt64 = 0
    /// Entries, hidden versions and tombstones included.
    public var entries: UInt64 = 0
    /// Tombstones among the entries.
    public var tombstones: UInt64 = 0
    /// Bytes of values that its entries point at, in the log.
    public var valueBytes: UInt64 = 0
  }

  // MARK: What was asked of it

  /// Batches committed; a single put or delete is a batch of one.
  public internal(set) var batchesWritten: UInt64 = 0
  /// Puts and deletes committed.
  public internal(set) var entriesWritten: UInt64 = 0
  /// Bytes of keys and values in them.
  public internal(set) var bytesWritten: UInt64 = 0
  /// Point lookups, those of `multiGet` included.
  public internal(set) var lookups: UInt64 = 0

  // MARK: What that cost

  /// Bytes written to log files, blocks that were written again included.
  public internal(set) var logBytesWritten: UInt64 = 0
  /// Durable log writes: groups committed.
  public internal(set) var logSyncs: UInt64 = 0
  /// Bytes of tables written by flushes.
  public internal(set) var flushBytesWritten: UInt64 = 0
  /// Bytes of tables written by compactions.
  public internal(set) var compactionBytesWritten: UInt64 = 0
  /// Bytes of tables read by compactions.
  public internal(set) var compactionBytesRead: UInt64 = 0
  /// Bytes of values that compactions have written to the log once more, to make room.
  public internal(set) var valueBytesMoved: UInt64 = 0
  /// Memtables flushed.
  public internal(set) var flushes: UInt64 = 0
  /// Compactions that merged something.
  public internal(set) var compactions: UInt64 = 0
  /// Tables that went down a level without being rewritten.
  public internal(set) var trivialMoves: UInt64 = 0
  /// Tables in which lookups had to search because the filter did not rule the key out.
  public internal(set) var tablesSearched: UInt64 = 0
  /// Blocks that lookups read from disk.
  public internal(set) var blocksRead: UInt64 = 0

  /// Bytes written to tables and log for each byte that was asked to be written.
  public var writeAmplification: Double {
    ratio(logBytesWritten + flushBytesWritten + compactionBytesWritten, bytesWritten)
  }
  /// The same without the log.
  public var tableWriteAmplification: Double { ratio(flushBytesWritten + compactionBytesWritten, bytesWritten) }
  /// Blocks read from disk for each lookup.
  public var readAmplification: Double { ratio(blocksRead, lookups) }
  /// Bytes of all tables, and of the log segments that values keep, for each byte of the last level and of the values
  /// that it points at, since it holds each live key once: what obsolete versions, tombstones and not yet merged runs
  /// cost. 1 for an empty tree.
  public var spaceAmplification: Double {
    guard let last = levels.last(where: { $0.sizeBytes > 0 }) else { return 1 }
    let values = valueBytes + garbageValueBytes
    return ratio(levels.reduce(0) { $0 + $1.sizeBytes } + values, last.sizeBytes + last.valueBytes)
  }

  // MARK: How it stands

  /// From level 0 down to the last one that is not empty.
  public internal(set) var levels: [Level] = []
  /// Runs in all levels: what a lookup of an absent key must ask, but for filters.
  public var runCount: Int { levels.reduce(0) { $0 + $1.runs } }
  /// Bytes that compaction would have to rewrite for every level to be within its limits.
  public internal(set) var pendingCompactionBytes: UInt64 = 0
  /// Bytes of entries in memtables that wait for their flush.
  public internal(set) var unflushedBytes: UInt64 = 0
  /// Everything below this log position is visible.
  public internal(set) var publishedPosition: UInt64 = 0
  /// Everything below this log position survives a power cut.
  public internal(set) var durablePosition: UInt64 = 0
  /// Snapshots held.
  public internal(set) var snapshots = 0
  /// Log segments that hold something not yet in a table, and those made ready ahead.
  public internal(set) var liveLogSegments = 0

  /// Bytes of values that stand in the log, and that tables point at.
  public internal(set) var valueBytes: UInt64 = 0
  /// Bytes of log segments that only values keep, beside those values.
  public internal(set) var garbageValueBytes: UInt64 = 0
  /// Log segments that only values keep.
  public internal(set) var valueSegments = 0

  /// The processes that have the database open, this one among them.
  public internal(set) var processes: [ProcessMetrics] = []

  // MARK: Waiting

  /// Time that writers stood still because no memtable was free, summed over threads.
  public internal(set) var stallNanoseconds: UInt64 = 0
  /// Time that writers were slowed down in proportion to the debt, summed over threads.
  public internal(set) var slowdownNanoseconds: UInt64 = 0
  /// Commits, one in 16 measured: from the call to the acknowledgement.
  public internal(set) var commitLatency = LatencyHistogram().summary()
  /// How often this process took the commit lock over from one that had died with it, and finished what that one had
  /// begun.
  public internal(set) var takeovers: UInt64 = 0
  /// Lookups, one in 16 measured.
  public internal(set) var lookupLatency = LatencyHistogram().summary()

  // MARK: Memory

  /// Blocks found in the cache.
  public internal(set) var blockCacheHits: UInt64 = 0
  /// Blocks that were not, and were read.
  public internal(set) var blockCacheMisses: UInt64 = 0
  /// Bytes of cached blocks, indexes and filters.
  public internal(set) var blockCacheBytes = 0
  /// Bytes of memtable arenas.
  public internal(set) var memtableBytes = 0
  /// Memtables, cached blocks and the log ring together; the buffers of running jobs come on top.
  public internal(set) var memoryBytes = 0
  /// The budget.
  public internal(set) var memoryBudgetBytes = 0

  // MARK: How I/O is done

  /// Whether the system granted io_uring.
  public internal(set) var usesIOURing = false
  /// Whether files are read and written past the page cache.
  public internal(set) var usesDirectIO = false

  private func ratio(_ part: UInt64, _ whole: UInt64) -> Double {
    whole == 0 ? 0 : Double(part) / Double(whole)
  }
}
