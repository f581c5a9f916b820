internal import CSupport
internal import Glibc

/// A lock on one byte of a file. It belongs to a private descriptor, which neither a program that is executed nor a
/// child of fork inherits: the lock ends with this object, or with the process, and with nothing else.
final class ByteLock: FileLock {
  private let descriptor: Int32
  private let forks = csup_fork_count()

  /// Nil if another holds the byte: another process, or another lock of this one. If both are shared, that is no
  /// matter; a shared one needs only permission to read.
  init?(directory: Int32, name: String, byte: UInt64, isShared: Bool = false) throws(SiltstoneError) {
    let descriptor = retryingInterrupts { csup_open_private(directory, name, !isShared) }
    guard descriptor >= 0 else { throw .system("open the file", errno: errno, file: name) }
    let outcome = csup_lock_byte(descriptor, byte, isShared)
    let number = errno
    if outcome != 0 { csup_close_private(descriptor) }
    if outcome < 0 { throw .system("lock the file", errno: number, file: name, offset: byte) }
    if outcome > 0 { return nil }
    self.descriptor = descriptor
  }

  // In a child of fork the number is nobody's, or another's.
  deinit { if forks == csup_fork_count() { csup_close_private(descriptor) } }
}
