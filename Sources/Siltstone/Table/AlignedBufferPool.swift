internal import Synchronization

/// Recycled page-aligned memory for direct I/O. First touch of fresh memory costs more than the copy into it, so
/// buffers are faulted in once and kept for the life of the process. Thread-safe.
final class AlignedBufferPool: Sendable {
  /// For writing tables and reading them in sequence. 256 KiB is where a device's throughput levels off, and small
  /// enough not to hold up a commit's own write behind it. At most 32 idle: 8 MiB.
  static let chunks = AlignedBufferPool(bufferBytes: 256 << 10, maxIdle: 32)
  /// For reading one block: holds any but those around a large value. At most 32 idle: 2 MiB.
  static let blocks = AlignedBufferPool(bufferBytes: 64 << 10, maxIdle: 32)

  let bufferBytes: Int
  private let maxIdle: Int
  private let idle = Mutex<[IdleBuffer]>([])

  /// A buffer in the pool belongs to nobody, whichever thread gave it.
  private struct IdleBuffer: @unchecked Sendable { let base: UnsafeMutableRawPointer }

  init(bufferBytes: Int, maxIdle: Int) {
    self.bufferBytes = bufferBytes
    self.maxIdle = maxIdle
  }

  deinit {
    for buffer in idle.withLock({ $0 }) { buffer.base.deallocate() }
  }

  /// A buffer of `bufferBytes`, aligned to `StorageAlignment.bytes`, holding anything. The caller owns it.
  func take() -> UnsafeMutableRawPointer {
    idle.withLock { $0.popLast() }?.base
      ?? .allocate(byteCount: bufferBytes, alignment: StorageAlignment.bytes)
  }

  /// REQUIRES: from `take` of this pool, and no I/O on it is outstanding.
  func give(_ base: UnsafeMutableRawPointer) {
    let buffer = IdleBuffer(base: base)
    let kept = idle.withLock { idle in
      guard idle.count < maxIdle else { return false }
      idle.append(buffer)
      return true
    }
    if !kept { base.deallocate() }
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
