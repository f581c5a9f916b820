import Glibc
import Synchronization

/// How fast the disk takes a sequential stream: 1 MiB pieces past the page cache, 8 in flight from as many
/// threads, until the last is on stable media. That is near what any program can get out of it.
enum DiskProbe {
  struct Result {
    let bytesPerSecond: Double
    let sizeBytes: Int
    let isDirect: Bool

    func faster(_ other: Result) -> Result { other.bytesPerSecond > bytesPerSecond ? other : self }
  }

  private static let pieceBytes = 1 << 20
  private static let threadCount = 8
  /// 1 GiB: long enough to outrun a device's own cache at its start, short enough to wait for.
  private static let maxBytes = 1 << 30

  // Not in the Glibc module, and not the same everywhere.
  #if arch(arm64)
    private static let direct: Int32 = 0o200000
  #else
    private static let direct: Int32 = 0o40000
  #endif

  static func measure(in directory: String) throws -> Result {
    let path = directory + "/probe"
    defer { unlink(path) }
    let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC
    var descriptor = open(path, flags | direct, 0o600)
    let isDirect = descriptor >= 0
    if !isDirect { descriptor = open(path, flags, 0o600) }
    guard descriptor >= 0 else { throw ToolError.system(path, "create") }
    defer { close(descriptor) }

    let sizeBytes = try size(in: directory)
    // As the engine does: blocks are reserved beforehand where the file system can, so that writing only
    // writes.
    _ = posix_fallocate(descriptor, 0, sizeBytes)
    let job = Job(descriptor: descriptor, sizeBytes: sizeBytes, pieceBytes: pieceBytes)
    let start = monotonicNanoseconds()
    try Threads.run(threadCount) { job.writePieces() }
    let synced = fdatasync(descriptor) == 0 ? 0 : errno
    let end = monotonicNanoseconds()
    let failure = job.failure.withLock { $0 }
    guard failure == 0, synced == 0 else {
      throw ToolError.system(path, "write", failure != 0 ? failure : synced)
    }
    return Result(
      bytesPerSecond: Double(sizeBytes) / seconds(from: start, to: end), sizeBytes: sizeBytes,
      isDirect: isDirect)
  }

  /// At most a quarter of the free space.
  private static func size(in directory: String) throws -> Int {
    var status = statvfs()
    guard statvfs(directory, &status) == 0 else { throw ToolError.system(directory, "look at") }
    let free = Int(clamping: status.f_bavail) * Int(clamping: status.f_frsize)
    return max(pieceBytes, min(maxBytes, free / 4) / pieceBytes * pieceBytes)
  }

  /// The writing, shared by the threads: each takes the next piece that nobody has taken.
  private final class Job: Sendable {
    let descriptor: Int32
    let sizeBytes: Int
    let pieceBytes: Int
    /// The first errno, or 0.
    let failure = Mutex<Int32>(0)
    private let next = Atomic<Int>(0)
    /// Written once here, then only read.
    nonisolated(unsafe) private let piece: UnsafeMutableRawPointer

    init(descriptor: Int32, sizeBytes: Int, pieceBytes: Int) {
      self.descriptor = descriptor
      self.sizeBytes = sizeBytes
      self.pieceBytes = pieceBytes
      piece = .allocate(byteCount: pieceBytes, alignment: 4096)
      // Noise, so that no device can store it in less space than it takes.
      var noise = Noise(seed: 1)
      for offset in stride(from: 0, to: pieceBytes, by: 8) {
        piece.storeBytes(of: noise.next(), toByteOffset: offset, as: UInt64.self)
      }
    }

    deinit { piece.deallocate() }

    func writePieces() {
      while true {
        let offset = next.add(pieceBytes, ordering: .relaxed).oldValue
        if offset >= sizeBytes { return }
        let written = pwrite(descriptor, piece, pieceBytes, off_t(offset))
        if written == pieceBytes { continue }
        let code = written < 0 ? errno : ENOSPC
        failure.withLock { if $0 == 0 { $0 = code } }
        return
      }
    }
  }
}
