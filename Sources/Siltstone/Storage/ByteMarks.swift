internal import CSupport
internal import Glibc

/// Marks that a process which may only read leaves for those who write: shared locks on single bytes of a file. They
/// belong to a private descriptor, as a `ByteLock` does, and so go with the process, whatever it died of.
final class ByteMarks: FileMarks {
  private let descriptor: Int32
  private let forks = csup_fork_count()
  private let name: String

  init(directory: Int32, name: String) throws(SiltstoneError) {
    let descriptor = retryingInterrupts { csup_open_private(directory, name, false) }
    guard descriptor >= 0 else { throw .system("open the file", errno: errno, file: name) }
    self.descriptor = descriptor
    self.name = name
  }

  // In a child of fork the number is nobody's, or another's.
  deinit { if forks == csup_fork_count() { csup_close_private(descriptor) } }

  func set(_ byte: UInt64, _ isSet: Bool) throws(SiltstoneError) {
    let outcome = retryingInterrupts {
      isSet ? csup_lock_byte(descriptor, byte, true) : csup_unlock_byte(descriptor, byte)
    }
    guard outcome == 0 else {
      throw .system("lock the file", errno: errno, file: name, offset: byte)
    }
  }
}
