internal import CSupport
internal import Glibc

/// A file's bytes as memory that all its users share. Not inherited by a child of fork.
final class SharedMapping: MappedFile, @unchecked Sendable {  // plain memory; its users order their accesses
  let base: UnsafeMutableRawPointer
  let sizeBytes: Int
  let identity: FileIdentity
  private let name: String
  private let forks = csup_fork_count()

  /// Maps the file, making it anew if it has another size than this. REQUIRES: a lock that keeps other users away
  /// meanwhile, since to cut a file under somebody's mapping is a signal for them.
  init(_ file: DiskFile, sizeBytes: Int) throws(SiltstoneError) {
    self.sizeBytes = sizeBytes
    name = file.name
    if try file.sizeBytes() != UInt64(sizeBytes) {
      do throws(SiltstoneError) {
        try SharedMapping.make(file, sizeBytes)
      } catch {
        try? file.truncate(to: 0)
        throw error
      }
    }
    identity = try SharedMapping.identity(file)
    guard let base = csup_map_shared(file.descriptor, sizeBytes, true) else {
      throw .system("map the file", errno: errno, file: file.name)
    }
    self.base = base
  }

  /// Maps the file as it is, to read only.
  init(readOnly file: DiskFile, sizeBytes: Int) throws(SiltstoneError) {
    self.sizeBytes = sizeBytes
    name = file.name
    guard try file.sizeBytes() == UInt64(sizeBytes) else {
      throw .corrupt("the file has not the size it had a moment ago", file: file.name)
    }
    identity = try SharedMapping.identity(file)
    guard let base = csup_map_shared(file.descriptor, sizeBytes, false) else {
      throw .system("map the file", errno: errno, file: file.name)
    }
    self.base = base
  }

  private static func identity(_ file: DiskFile) throws(SiltstoneError) -> FileIdentity {
    var (identity, sizeBytes) = (FileIdentity(device: 0, inode: 0), UInt64(0))
    guard csup_file_identity(file.descriptor, &identity.device, &identity.inode, &sizeBytes) == 0 else {
      throw .system("look at the file", errno: errno, file: file.name)
    }
    return identity
  }

  /// Reserves every block, or writes it where that is not to be had, because a store into a hole could meet a full
  /// disk, and that is a signal, not an error. The file grows with its blocks, never ahead of them, and is synced at
  /// its full size: a file of the right size is one that was finished.
  private static func make(_ file: DiskFile, _ sizeBytes: Int) throws(SiltstoneError) {
    try file.truncate(to: 0)
    if try !file.preallocate(UInt64(sizeBytes)) { try fillWithZeros(file, sizeBytes) }
    try file.sync()
  }

  private static func fillWithZeros(_ file: DiskFile, _ sizeBytes: Int) throws(SiltstoneError) {
    let zeros = AlignedMemory(sizeBytes: 1 << 20)
    defer { withExtendedLifetime(zeros) {} }
    var offset = 0
    while offset < sizeBytes {
      let length = min(zeros.sizeBytes, sizeBytes - offset)
      try file.write(UnsafeRawBufferPointer(start: zeros.base, count: length), at: UInt64(offset), .none)
      offset += length
    }
  }

  // In a child of fork nothing is mapped there, or something else is.
  deinit { if forks == csup_fork_count() { csup_unmap(base, sizeBytes) } }

  func sync(upTo end: Int) throws(SiltstoneError) {
    let number = csup_sync_mapping(base, min(end, sizeBytes))
    if number != 0 { throw .system("sync the mapping", errno: number, file: name) }
  }

  func populate(_ range: Range<Int>) { csup_populate(base + range.lowerBound, range.count) }
}
