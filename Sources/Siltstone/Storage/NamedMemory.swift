internal import CSupport
internal import Glibc
internal import Synchronization

/// Memory that processes share: a file in `/dev/shm`, or in the database's directory where that has no room.
///
/// Its blocks are reserved before they are used: a store that finds the file system full is a signal, not an error. In
/// huge pages where the system can make them, since an insert goes all over an arena. Not inherited over fork.
final class NamedMemory: SharedMemory {
  nonisolated(unsafe) let base: UnsafeMutableRawPointer  // plain memory; its users order their accesses
  let sizeBytes: Int
  let identity: MemoryIdentity
  private let descriptor: Int32
  private let populatedBytes = Atomic<Int>(0)
  private let forks = csup_fork_count()

  /// One piece takes a few milliseconds at the worst.
  private static let pieceBytes = 2 << 20

  /// Takes the descriptor over.
  private init(
    descriptor: Int32, base: UnsafeMutableRawPointer, sizeBytes: Int, _ identity: MemoryIdentity
  ) {
    self.descriptor = descriptor
    self.base = base
    self.sizeBytes = sizeBytes
    self.identity = identity
  }

  deinit {
    if forks == csup_fork_count() { csup_unmap(base, sizeBytes) }
    _ = Glibc.close(descriptor)
  }

  /// A new file below the directory `place` is open as. Nil if there is no room for so much as its first piece.
  static func make(
    _ place: MemoryIdentity.Place, below directory: Int32, _ name: String, sizeBytes: Int
  ) throws(SiltstoneError) -> NamedMemory? {
    let descriptor = retryingInterrupts { csup_open_at(directory, name, O_RDWR | O_CREAT | O_EXCL, 0o600) }
    guard descriptor >= 0 else {
      if place == .system { return nil }
      throw .system("make shared memory", errno: errno, file: name)
    }
    let first = min(SharedMemoryLayout.firstBytes, sizeBytes)
    // One page says whether there is any room; the rest comes in huge pages, once it is mapped.
    guard ftruncate(descriptor, sizeBytes) == 0, csup_reserve(descriptor, UInt64(min(4096, first))) == 0 else {
      let number = errno
      unlinkat(directory, name, 0)
      _ = Glibc.close(descriptor)
      if place == .system { return nil }
      throw .system("reserve \(sizeBytes) bytes of shared memory", errno: number, file: name)
    }
    do throws(SiltstoneError) {
      let memory = try map(descriptor, sizeBytes, place, isWritable: true, name)
      try memory.reserve(0..<first)
      return memory
    } catch {
      unlinkat(directory, name, 0)
      if place == .system, error.code == .diskFull { return nil }
      throw error
    }
  }

  static func open(
    below directory: Int32, _ name: String, sizeBytes: Int, _ identity: MemoryIdentity, isWritable: Bool
  ) throws(SiltstoneError) -> NamedMemory {
    let flags = (isWritable ? O_RDWR : O_RDONLY) | O_NOFOLLOW
    let descriptor = retryingInterrupts { csup_open_at(directory, name, flags, 0) }
    guard descriptor >= 0 else {
      if errno == ENOENT { throw unreachable(name) }
      throw .system("open shared memory", errno: errno, file: name)
    }
    let memory = try map(descriptor, sizeBytes, identity.place, isWritable: isWritable, name)
    guard memory.identity == identity else { throw unreachable(name) }
    return memory
  }

  private static func unreachable(_ name: String) -> SiltstoneError {
    SiltstoneError(
      .unreachableMemory,
      "the processes that have the database open keep a memtable in shared memory that this process does not see;"
        + " do they run in a container with a /dev/shm of its own?", file: name)
  }

  private static func map(
    _ descriptor: Int32, _ sizeBytes: Int, _ place: MemoryIdentity.Place, isWritable: Bool, _ name: String
  ) throws(SiltstoneError) -> NamedMemory {
    var (device, inode, size): (UInt64, UInt64, UInt64) = (0, 0, 0)
    guard csup_file_identity(descriptor, &device, &inode, &size) == 0 else {
      let number = errno
      _ = Glibc.close(descriptor)
      throw .system("look at shared memory", errno: number, file: name)
    }
    guard size == UInt64(sizeBytes) else {
      _ = Glibc.close(descriptor)
      throw unreachable(name)
    }
    guard let base = csup_map_shared(descriptor, sizeBytes, isWritable) else {
      let number = errno
      _ = Glibc.close(descriptor)
      throw .system("map shared memory", errno: number, file: name)
    }
    return NamedMemory(
      descriptor: descriptor, base: base, sizeBytes: sizeBytes,
      MemoryIdentity(place: place, device: device, inode: inode))
  }

  func reserve(_ range: Range<Int>) throws(SiltstoneError) {
    let end = min(range.upperBound, sizeBytes)
    guard
      retryingInterrupts({ csup_reserve_mapped(descriptor, base, UInt64(range.lowerBound), UInt64(end)) }) == 0
    else { throw .system("reserve shared memory", errno: errno, file: nil) }
  }

  /// REQUIRES: one caller at a time.
  func populate(upTo end: Int) {
    let end = min(end, sizeBytes)
    var done = populatedBytes.load(ordering: .relaxed)
    while done < end {
      let length = min(NamedMemory.pieceBytes, end - done)
      csup_populate(base + done, length)
      done += length
      populatedBytes.store(done, ordering: .relaxed)
    }
  }
}
