internal import CSupport
internal import Glibc
internal import Synchronization

/// A file on a real disk.
final class DiskFile: StorageFile {
  let name: String
  let isDirect: Bool
  let descriptor: Int32
  /// Cleared for good once the system refuses `RWF_DSYNC` on this file.
  private let hasDurableWrites = Atomic<Bool>(true)

  init(name: String, descriptor: Int32, isDirect: Bool) {
    self.name = name
    self.descriptor = descriptor
    self.isDirect = isDirect
  }

  // An error of close says nothing that sync has not said; the descriptor is gone either way.
  deinit { _ = Glibc.close(descriptor) }

  func sizeBytes() throws(SiltstoneError) -> UInt64 {
    var info = stat()
    guard fstat(descriptor, &info) == 0 else { throw .system("read the size", errno: errno, file: name) }
    return UInt64(info.st_size)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SiltstoneError) -> Int {
    assertAligned(UnsafeRawBufferPointer(buffer), offset)
    var done = 0
    while done < buffer.count {
      let count = retryingInterrupts {
        pread(descriptor, buffer.baseAddress! + done, buffer.count - done, fileOffset(offset, done))
      }
      if count < 0 { throw .system("read", errno: errno, file: name, offset: offset &+ UInt64(done)) }
      done += count
      // The end of the file; a direct read that stops between blocks has met it too.
      if count == 0 || (isDirect && count % StorageAlignment.bytes != 0) { break }
    }
    return done
  }

  func write(
    _ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ durability: WriteDurability
  ) throws(SiltstoneError) {
    assertAligned(bytes, offset)
    var done = 0
    while done < bytes.count {
      let count = try writeOnce(
        bytes.baseAddress! + done, bytes.count - done, offset &+ UInt64(done),
        durable: durability == .dataSync)
      // No progress and no error: not a thing a regular file does, and not a thing to wait on for ever.
      if count == 0 { throw .system("write", errno: EIO, file: name, offset: offset &+ UInt64(done)) }
      done += count
    }
    if durability == .dataSync, !hasDurableWrites.load(ordering: .relaxed) { try sync() }
  }

  private func writeOnce(
    _ bytes: UnsafeRawPointer, _ length: Int, _ offset: UInt64, durable: Bool
  ) throws(SiltstoneError) -> Int {
    if durable, hasDurableWrites.load(ordering: .relaxed) {
      let count = retryingInterrupts { csup_write_dsync(descriptor, bytes, length, offset) }
      if count >= 0 { return count }
      // EINVAL is what old kernels say to a flag; if it means the write itself, the plain write says it again.
      guard errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL else {
        throw .system("write durably", errno: errno, file: name, offset: offset)
      }
      hasDurableWrites.store(false, ordering: .relaxed)
    }
    let count = retryingInterrupts { pwrite(descriptor, bytes, length, fileOffset(offset, 0)) }
    if count < 0 { throw .system("write", errno: errno, file: name, offset: offset) }
    return count
  }

  func sync() throws(SiltstoneError) {
    // EINTR leaves open what was synced, so it counts as a failure like any other: no retry.
    guard fdatasync(descriptor) == 0 else { throw .system("sync", errno: errno, file: name) }
  }

  func truncate(to sizeBytes: UInt64) throws(SiltstoneError) {
    guard retryingInterrupts({ ftruncate(descriptor, off_t(sizeBytes)) }) == 0 else {
      throw .system("truncate", errno: errno, file: name, offset: sizeBytes)
    }
  }

  func preallocate(_ sizeBytes: UInt64) throws(SiltstoneError) -> Bool {
    if retryingInterrupts({ csup_reserve(descriptor, sizeBytes) }) == 0 { return true }
    if errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL { return false }
    throw .system("reserve space", errno: errno, file: name, offset: sizeBytes)
  }

  /// Offsets may come from hostile bytes: one past 2^63 turns negative, which the system refuses as invalid.
  private func fileOffset(_ offset: UInt64, _ done: Int) -> off_t {
    off_t(truncatingIfNeeded: offset &+ UInt64(done))
  }

  /// REQUIRES: for direct files, all of offset, length and address are multiples of the block.
  @inline(__always)
  func assertAligned(_ buffer: UnsafeRawBufferPointer, _ offset: UInt64) {
    assert(
      !isDirect
        || (UInt(bitPattern: buffer.baseAddress) | UInt(buffer.count) | UInt(offset))
          % UInt(StorageAlignment.bytes)
          == 0,
      "direct I/O needs aligned offsets, lengths and addresses")
  }
}
