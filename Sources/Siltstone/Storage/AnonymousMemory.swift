internal import CSupport
internal import Glibc
internal import Synchronization

/// Private memory for an arena, in huge pages where the system has them. Faulted in piece by piece ahead of its use, so
/// that neither opening a database nor an insert pays for it, and kept faulted in for life.
final class AnonymousMemory: SharedMemory {
  nonisolated(unsafe) let base: UnsafeMutableRawPointer  // plain memory; whoever shares it orders the accesses
  let sizeBytes: Int
  let identity = MemoryIdentity.process
  private let populatedBytes = Atomic<Int>(0)

  /// One piece takes a few milliseconds at the worst.
  private static let pieceBytes = 2 << 20

  init(sizeBytes: Int) throws(SiltstoneError) {
    guard let base = csup_map_anonymous(sizeBytes) else {
      throw .system("map \(sizeBytes) bytes of memory", errno: errno, file: nil)
    }
    self.base = base
    self.sizeBytes = sizeBytes
  }

  deinit { csup_unmap(base, sizeBytes) }

  /// The system has promised all of it.
  func reserve(_ range: Range<Int>) throws(SiltstoneError) {}

  /// REQUIRES: one caller at a time.
  func populate(upTo end: Int) {
    var done = populatedBytes.load(ordering: .relaxed)
    while done < min(end, sizeBytes) {
      let length = min(AnonymousMemory.pieceBytes, sizeBytes - done)
      csup_populate(base + done, length)
      done += length
      populatedBytes.store(done, ordering: .relaxed)
    }
  }
}
