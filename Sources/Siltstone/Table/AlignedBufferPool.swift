internal import CSupport
internal import Synchronization

/// Recycled page-aligned memory for direct I/O. First touch of fresh memory costs more than the copy into it, so
/// buffers are faulted in once and kept for the life of the process. Thread-safe.
///
/// Buffers are cut from slabs of one huge page each, where the system has them: for every transfer the kernel looks up
/// and the device is told one piece of memory then, instead of one for each 4 KiB.
final class AlignedBufferPool: Sendable {
  /// For writing tables and reading them in sequence. 256 KiB is where a device's throughput levels off, and small
  /// enough not to hold up a commit's own write behind it.
  static let chunks = AlignedBufferPool(bufferBytes: 256 << 10)
  /// For reading one block: holds any but those around a large value.
  static let blocks = AlignedBufferPool(bufferBytes: 64 << 10)

  private static let slabBytes = 2 << 20

  let bufferBytes: Int
  /// Never more in all than were in use at one time, but for the rest of a slab.
  private let idle = Mutex<[IdleBuffer]>([])

  /// A buffer in the pool belongs to nobody, whichever thread gave it.
  private struct IdleBuffer: @unchecked Sendable { let base: UnsafeMutableRawPointer }

  private init(bufferBytes: Int) { self.bufferBytes = bufferBytes }

  /// A buffer of `bufferBytes`, aligned to `StorageAlignment.bytes`, holding anything. The caller owns it.
  func take() -> UnsafeMutableRawPointer {
    let buffer = idle.withLock { idle in
      if idle.isEmpty, let slab = csup_map_anonymous(AlignedBufferPool.slabBytes) {
        for offset in stride(from: 0, to: AlignedBufferPool.slabBytes, by: bufferBytes) {
          idle.append(IdleBuffer(base: slab + offset))
        }
      }
      return idle.popLast()
    }
    // Not even a slab is to be had: let the allocator say so.
    return buffer?.base ?? .allocate(byteCount: bufferBytes, alignment: StorageAlignment.bytes)
  }

  /// REQUIRES: from `take` of this pool, and no I/O on it is outstanding.
  func give(_ base: UnsafeMutableRawPointer) {
    let buffer = IdleBuffer(base: base)
    idle.withLock { $0.append(buffer) }
  }

  /// A buffer for one read of up to `byteCount` bytes: from the pool if one of its buffers is large enough.
  func buffer(atLeast byteCount: Int) -> AlignedBuffer {
    byteCount <= bufferBytes
      ? AlignedBuffer(base: take(), count: bufferBytes, pool: self)
      : AlignedBuffer(
        base: .allocate(byteCount: StorageAlignment.roundUp(byteCount), alignment: StorageAlignment.bytes),
        count: StorageAlignment.roundUp(byteCount), pool: nil)
  }
}

/// Aligned memory with one owner, which goes back to where it came from.
struct AlignedBuffer: ~Copyable {
  let base: UnsafeMutableRawPointer
  let count: Int
  fileprivate let pool: AlignedBufferPool?

  deinit {
    if let pool { pool.give(base) } else { base.deallocate() }
  }
}
