/// The I/O seam. Everything the engine asks of the operating system - files, time, randomness - goes through these
/// protocols, so that a simulated twin can stand in for the disk and fail, reorder or forget at will. No call here is
/// on a per-entry path, which is why existentials are affordable.
///
/// All names are relative to the database directory and contain no slash.

/// How a file is opened.
enum FileAccess: Sendable {
  /// Existing file, for positioned reads. Direct where the file system allows.
  case read
  /// Existing file, for reads and writes. Direct where the file system allows.
  case readWrite
  /// A new file, for writing; fails if the name exists. Direct where the file system allows.
  case create
  /// As `read`, `readWrite`, `create`, but always through the page cache: for small files written in odd sizes.
  case readBuffered, readWriteBuffered, createBuffered
}

/// What a write has reached when it completes.
enum WriteDurability: Sendable {
  /// The file (page cache, or the device's volatile cache when direct).
  case none
  /// Stable media, for these bytes: `RWF_DSYNC`. Says nothing of earlier writes.
  case dataSync
}

/// A directory of files: one database's world.
protocol Storage: AnyObject, Sendable {
  func open(_ name: String, _ access: FileAccess) throws(SiltstoneError) -> any StorageFile
  func exists(_ name: String) throws(SiltstoneError) -> Bool
  /// Removing a name that is not there is no error: deletion must be idempotent to be crash-safe.
  func remove(_ name: String) throws(SiltstoneError)
  /// Atomic; replaces `newName`. Not durable until `syncDirectory`.
  func rename(_ name: String, to newName: String) throws(SiltstoneError)
  /// Every name in the directory, unsorted, without `.` and `..`.
  func list() throws(SiltstoneError) -> [String]
  /// Makes creations, renames and removals durable.
  func syncDirectory() throws(SiltstoneError)
  /// Maps `name` shared, to read and write: as it is if it has this size, else made anew of this size and full of
  /// zeros. REQUIRES: a lock that keeps all others away from `name` meanwhile.
  func map(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile
  /// The same for an existing file, to read only.
  func mapReadOnly(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile
  /// Makes memory that processes share under `name`, which nobody has, outside of the directory where that is possible:
  /// zeroed, and with its first `SharedMemoryLayout.firstBytes` reserved.
  func makeMemory(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any SharedMemory
  /// Opens the memory that another process made. Throws `.unreachableMemory` if what has the name here is not that.
  func openMemory(
    _ name: String, sizeBytes: Int, _ identity: MemoryIdentity, isWritable: Bool
  ) throws(SiltstoneError) -> any SharedMemory
  /// Takes the name away; whoever has the memory keeps it. No error if there is none.
  func removeMemory(_ name: String) throws(SiltstoneError)
  /// All names that begin with `prefix`.
  func listMemory(prefix: String) throws(SiltstoneError) -> [String]
  /// Says, for as long as the lock is held, that memory is in use whose names begin with `prefix`, so that
  /// `reclaimMemory` leaves it alone. Nil if nobody says so (`makes` being for the first who does), or nobody can.
  func useMemory(_ prefix: String, makes: Bool) throws(SiltstoneError) -> (any FileLock)?
  /// Removes all memory that somebody has said to use, when nobody does any more: what databases left that nobody has
  /// opened since they crashed, on this machine and by this user. As far as it can.
  func reclaimMemory()
  /// Takes the lock on one byte of `name` (made, empty, if it is missing), or returns nil if another holds it. Liveness
  /// is such a lock, never a process id: the kernel drops it with its holder, whatever the holder died of.
  func tryLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)?
  /// Takes a lock on one byte of a file that is there, for which permission to read suffices: any number may have it,
  /// beside nobody who took it with `tryLock`. Nil if somebody did.
  func trySharedLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)?
  /// Whether anybody, this process included, holds a lock on that byte.
  func isLocked(_ name: String, byte: UInt64) throws(SiltstoneError) -> Bool
  /// Marks that others can see for as long as this process lives, and for which it need not be allowed to write.
  func makeMarks(_ name: String) throws(SiltstoneError) -> any FileMarks
  /// The bytes in `range` that anybody has marked, in no particular order; with `limit`, no more than so many.
  func marks(_ name: String, in range: Range<UInt64>, limit: Int) throws(SiltstoneError) -> [UInt64]
  /// A queue for overlapping reads and writes. One owner; not thread-safe.
  func makeIOQueue(depth: Int) throws(SiltstoneError) -> any IOQueue
  /// Nanoseconds on a clock that never goes back.
  func monotonicNanoseconds() -> UInt64
  /// Seconds since 1970, for people to read.
  func wallClockSeconds() -> UInt64
  /// Fills `bytes` from a good source of randomness.
  func fillRandom(_ bytes: UnsafeMutableRawBufferPointer)
  /// How I/O is really done here, for the metrics.
  var capabilities: StorageCapabilities { get }
}

/// A file's bytes as memory that all its users share. Unmapped with the last reference.
protocol MappedFile: AnyObject, Sendable {
  var base: UnsafeMutableRawPointer { get }
  var sizeBytes: Int { get }
  /// What tells the file from all others of the machine, a copy of it included.
  var identity: FileIdentity { get }
  /// Whether it is only a copy, whose changes nobody else sees, and which the file does not see.
  var isPrivate: Bool { get }
  /// Brings the bytes before `end` to stable media.
  func sync(upTo end: Int) throws(SiltstoneError)
  /// Faults these bytes in for writing, changing nothing. REQUIRES: whole pages.
  func populate(_ range: Range<Int>)
}

extension MappedFile {
  var isPrivate: Bool { false }
}

struct FileIdentity: Equatable, Sendable {
  var device: UInt64
  var inode: UInt64
}

/// Which piece of memory it is, whatever it is called here.
struct MemoryIdentity: Equatable, Sendable {
  enum Place: UInt16, Sendable {
    /// Private to the process.
    case process = 0
    /// The system's own file system for shared memory.
    case system = 1
    /// The database's directory, where the other has no room.
    case directory = 2
  }
  var place: Place
  var device: UInt64
  var inode: UInt64

  static let process = MemoryIdentity(place: .process, device: 0, inode: 0)
}

enum SharedMemoryLayout {
  /// A huge page: reserved as one.
  static let firstBytes = 2 << 20
}

/// A stretch of memory for an arena. Given back with the last reference; its name, if it has one, stays.
protocol SharedMemory: AnyObject, Sendable {
  var base: UnsafeMutableRawPointer { get }
  var sizeBytes: Int { get }
  var identity: MemoryIdentity { get }
  /// Makes sure that a store into these bytes finds memory. What is not reserved must not be touched: where there is
  /// none, that is a signal. Safe beside any use of the memory, by any process.
  func reserve(_ range: Range<Int>) throws(SiltstoneError)
  /// Faults in everything below `end`, changing nothing, so that an insert does not pay for it. REQUIRES: it stands
  /// reserved.
  func populate(upTo end: Int)
}

/// A byte lock, held until the last reference goes.
protocol FileLock: AnyObject, Sendable {}

/// Marks on bytes of a file, all taken back when the last reference goes. Thread-safe.
protocol FileMarks: AnyObject, Sendable {
  /// A byte is marked or it is not, however often it was set.
  func set(_ byte: UInt64, _ isSet: Bool) throws(SiltstoneError)
}

/// What the machine granted. Everything works without any of it, only slower.
struct StorageCapabilities: Sendable {
  var usesIOURing: Bool
  var usesDirectIO: Bool
}

/// An open file. Closed when the last reference goes. Thread-safe: all access is positioned.
protocol StorageFile: AnyObject, Sendable {
  var name: String { get }
  /// Whether offsets, lengths and addresses must be multiples of `StorageAlignment.bytes`.
  var isDirect: Bool { get }
  func sizeBytes() throws(SiltstoneError) -> UInt64
  /// Reads until `buffer` is full or the file ends, and returns how much it read.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SiltstoneError) -> Int
  /// Writes all of `bytes`.
  func write(
    _ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ durability: WriteDurability
  ) throws(SiltstoneError)
  /// `fdatasync`: all earlier writes reach stable media. After a failure the file's state is unknown: never retry.
  func sync() throws(SiltstoneError)
  func truncate(to sizeBytes: UInt64) throws(SiltstoneError)
  /// Reserves blocks so that later writes up to `sizeBytes` allocate nothing. Best effort: false if unsupported.
  func preallocate(_ sizeBytes: UInt64) throws(SiltstoneError) -> Bool
}

enum StorageAlignment {
  /// 4 KiB: the page, and at least the logical block of every device that matters.
  static let bytes = 4096
  @inline(__always) static func roundUp(_ value: UInt64) -> UInt64 { (value &+ 4095) & ~4095 }
  @inline(__always) static func roundDown(_ value: UInt64) -> UInt64 { value & ~4095 }
  @inline(__always) static func roundUp(_ value: Int) -> Int { (value &+ 4095) & ~4095 }
}

/// Overlapping I/O. Backed by io_uring, or by plain system calls that complete at submission.
///
/// The memory behind every operation must stay put until its completion was returned by `wait`; `deinit` waits for
/// whatever is outstanding. REQUIRES: at most `depth` operations outstanding, none of no bytes.
protocol IOQueue: AnyObject {
  var depth: Int { get }
  var outstanding: Int { get }
  func submitRead(
    _ file: any StorageFile, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, tag: UInt64
  ) throws(SiltstoneError)
  func submitWrite(
    _ file: any StorageFile, _ bytes: UnsafeRawBufferPointer, at offset: UInt64,
    _ durability: WriteDurability, tag: UInt64
  ) throws(SiltstoneError)
  /// Blocks until one operation completed. Short transfers are finished inside; what arrives here is whole, but for
  /// a read that met the end of the file. REQUIRES: `outstanding > 0`.
  func wait() throws(SiltstoneError) -> IOCompletion
}

/// One finished operation. Never spin for one: on a durable write that costs milliseconds.
struct IOCompletion {
  let tag: UInt64
  let bytesTransferred: Int
  /// The operation's own failure, if it had one (`wait` itself throws only if the queue is broken).
  let error: SiltstoneError?
}
