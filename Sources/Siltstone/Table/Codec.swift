internal import CLZ4
internal import CSnappy
internal import CZstd
internal import Synchronization

/// What the codecs do, one call for each direction. Blocks are compressed one by one, without a shared dictionary, so
/// that each can be moved or read alone.
extension Compression {
  /// Level 1: on blocks of 16 KiB higher levels win a few percent of size for twice the CPU, and the CPU of compaction
  /// is what bounds ingest.
  private static let zstdLevel: Int32 = 1

  /// Compresses `raw` to the end of `output` and returns true, if that saves at least an eighth; otherwise leaves
  /// `output` as it was. (Less than an eighth is not worth a decompression on every read.)
  ///
  /// `acceleration` is LZ4's: how soon it skips ahead where it finds nothing.
  func compress(_ raw: ByteView, into output: inout ByteBuffer, acceleration: Int32 = 1) -> Bool {
    let limit = raw.count - raw.count / 8 - 1
    guard self != .none, limit > 0 else { return false }
    let room = self == .snappy ? snappy_max_compressed_length(raw.count) : limit
    let start = output.count
    let destination = output.appendUninitialized(room)
    let compressedBytes = compress(raw, to: destination, room: room, acceleration)
    let pays = compressedBytes > 0 && compressedBytes <= limit
    output.truncate(to: start + (pays ? compressedBytes : 0))
    return pays
  }

  /// The compressed size, or 0 if the codec failed or found no room.
  private func compress(
    _ raw: ByteView, to destination: UnsafeMutableRawPointer, room: Int, _ acceleration: Int32
  ) -> Int {
    let target = destination.assumingMemoryBound(to: CChar.self)
    let source = raw.base.assumingMemoryBound(to: CChar.self)
    switch self {
    case .none:
      return 0
    case .lz4:
      return Int(LZ4_compress_fast(source, target, Int32(raw.count), Int32(room), acceleration))
    case .snappy:
      var length = room
      return snappy_compress(source, raw.count, target, &length) == SNAPPY_OK ? length : 0
    case .zstd:
      guard let context = ZstdContexts.compression.take() ?? ZSTD_createCCtx() else { return 0 }
      let length = ZSTD_compressCCtx(context, target, room, source, raw.count, Compression.zstdLevel)
      if !ZstdContexts.compression.give(context) { ZSTD_freeCCtx(context) }
      return ZSTD_isError(length) == 0 ? length : 0
    }
  }

  /// Decompresses `stored` into exactly `raw`. False if the bytes make no sense or give another length; then `raw`
  /// holds anything.
  func decompress(_ stored: ByteView, into raw: UnsafeMutableRawBufferPointer) -> Bool {
    guard let base = raw.baseAddress else { return stored.count == 0 && self == .none }
    let target = base.assumingMemoryBound(to: CChar.self)
    let source = stored.base.assumingMemoryBound(to: CChar.self)
    switch self {
    case .none:
      guard stored.count == raw.count else { return false }
      base.copyMemory(from: stored.base, byteCount: raw.count)
      return true
    case .lz4:
      return Int(LZ4_decompress_safe(source, target, Int32(stored.count), Int32(raw.count))) == raw.count
    case .snappy:
      var length = 0
      guard snappy_uncompressed_length(source, stored.count, &length) == SNAPPY_OK, length == raw.count
      else { return false }
      return snappy_uncompress(source, stored.count, target, &length) == SNAPPY_OK && length == raw.count
    case .zstd:
      guard let context = ZstdContexts.decompression.take() ?? ZSTD_createDCtx() else { return false }
      defer { if !ZstdContexts.decompression.give(context) { ZSTD_freeDCtx(context) } }
      return ZSTD_decompressDCtx(context, target, raw.count, source, stored.count) == raw.count
    }
  }
}

/// Idle Zstandard contexts: each is 100 KiB and more of tables, too dear to build for every block. Thread-safe.
private final class ZstdContexts: Sendable {
  static let compression = ZstdContexts()
  static let decompression = ZstdContexts()

  /// A context is used by one thread at a time, whichever.
  private struct Context: @unchecked Sendable { let pointer: OpaquePointer }

  /// 16 idle contexts: more threads than that decompress at once only on machines that can afford the rebuilding.
  private static let maxIdle = 16
  private let idle = Mutex<[Context]>([])

  func take() -> OpaquePointer? { idle.withLock { $0.popLast() }?.pointer }

  /// False if the pool is full and the caller must free the context.
  func give(_ pointer: OpaquePointer) -> Bool {
    let context = Context(pointer: pointer)
    return idle.withLock { idle in
      guard idle.count < ZstdContexts.maxIdle else { return false }
      idle.append(context)
      return true
    }
  }
}
