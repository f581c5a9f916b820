internal import CSupport
internal import Glibc

/// The sign that a database's shared memory is in use: a lock on a file beside it, which the kernel drops with its
/// holder.
///
/// Users share the lock; whoever has it alone knows that nobody uses the memory, in whatever namespace, and may remove
/// it. The file's name begins as the memory's names do: `siltstone-<database>-<device>-<inode>-users`.
final class MemoryUse: FileLock {
  private let descriptor: Int32
  private let forks = csup_fork_count()

  static let suffix = "users"
  /// The other side only unlinks a few files.
  private static let patienceMilliseconds = 10_000

  /// Takes the descriptor over.
  private init(_ descriptor: Int32) { self.descriptor = descriptor }

  // In a child of fork the number is nobody's, or another's.
  deinit { if forks == csup_fork_count() { csup_close_private(descriptor) } }

  /// The lock that users share. Nil where the file is missing and must not be made, or cannot be: then there is no
  /// memory that this process could use, or nobody ever removes it.
  static func share(below directory: Int32, _ name: String, makes: Bool) throws(SiltstoneError) -> MemoryUse? {
    for _ in 0..<patienceMilliseconds {
      let descriptor = retryingInterrupts { csup_open_private(directory, name, makes) }
      guard descriptor >= 0 else {
        if [ENOENT, EACCES, EROFS, ENOSPC].contains(errno) { return nil }
        throw .system("open the lock of shared memory", errno: errno, file: name)
      }
      let use = MemoryUse(descriptor)
      let outcome = csup_lock_byte(descriptor, 0, true)
      if outcome < 0 { throw .system("lock shared memory", errno: errno, file: name) }
      let isShared = outcome == 0
      // One that was removed meanwhile is no sign to anybody.
      if isShared, use.links > 0 { return use }
      if !isShared { csup_sleep(1_000_000) }
    }
    throw .system("wait for the end of a removal of shared memory", errno: EAGAIN, file: name)
  }

  /// The lock for one alone; nil if the memory is in use, or is not this user's.
  static func alone(below directory: Int32, _ name: String) -> MemoryUse? {
    let descriptor = retryingInterrupts { csup_open_private(directory, name, true) }
    guard descriptor >= 0 else { return nil }
    let use = MemoryUse(descriptor)
    return use.isOwn && csup_lock_byte(descriptor, 0, false) == 0 && use.links > 0 ? use : nil
  }

  private var status: stat {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? status : stat()
  }
  private var links: UInt { status.st_nlink }
  private var isOwn: Bool { status.st_uid == geteuid() && status.st_mode & S_IFMT == S_IFREG }

  /// What the names of a database's memory begin with, if this is the name of their lock: nothing else is to be taken
  /// for one.
  static func prefix(ofLock name: String) -> String? {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 5, parts[0] == "siltstone", parts[4] == suffix,
      parts[1...3].allSatisfy({ !$0.isEmpty && $0.allSatisfy(\.isHexDigit) })
    else { return nil }
    return String(name.dropLast(suffix.count))
  }
}
