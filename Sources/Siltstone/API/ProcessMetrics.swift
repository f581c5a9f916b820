/// One of the processes that have a database open, as it tells of itself about twice a second.
public struct ProcessMetrics: Sendable, Hashable {
  /// Its id, in its own PID namespace: in another container it has another one, or none, and two processes of different
  /// containers may show the same. For people: nothing is decided by it.
  public internal(set) var process: UInt32 = 0
  /// Whether it is the one that asks.
  public internal(set) var isSelf = false
  /// How it opened the database: the name of an ``Options/Sharing``.
  public internal(set) var sharing = ""
  /// What it does for all: `log`, `flush`, `compaction`, or nothing.
  public internal(set) var roles: [String] = []
  /// The locks that it holds at this moment: `commit`, `drain`, `manifest`, `segments`. Others wait for one that is
  /// silent and holds one.
  public internal(set) var locks: [String] = []
  /// Seconds since it opened the database.
  public internal(set) var attachedSeconds: UInt64 = 0
  /// Seconds since it last told of itself. More than two or three mean that it is stopped, or gets no processor.
  public internal(set) var silentSeconds: UInt64 = 0

  /// Puts and deletes that it has committed.
  public internal(set) var entriesWritten: UInt64 = 0
  /// Bytes of keys and values in them.
  public internal(set) var bytesWritten: UInt64 = 0
  /// Its point lookups.
  public internal(set) var lookups: UInt64 = 0
  /// Time that its writers stood still because no memtable was free, summed over threads.
  public internal(set) var stallNanoseconds: UInt64 = 0

  /// Changes of the tree that its view does not have yet. What it reads is up to date all the same; but it keeps what
  /// those changes have replaced.
  public internal(set) var changesBehind: UInt64 = 0
  /// Snapshots that it holds.
  public internal(set) var snapshots = 0
  /// Bytes of log written since its oldest snapshot; 0 without one.
  public internal(set) var oldestSnapshotBytes: UInt64 = 0
  /// Memory of memtables that are in tables already, and that it still reads from.
  public internal(set) var pinnedMemtableBytes: UInt64 = 0
  /// Tables that are in no version any more, and that it keeps from being deleted, as far as the asking process knows.
  public internal(set) var pinnedTables = 0
}
