import CDevice
import Foundation
import Histogram

/// Measures what the device under a directory can do, in a file that is gone afterwards.
struct DeviceProbe: ~Copyable {
  /// How long to take.
  struct Scope: Sendable {
    /// Written and then read: this much, or a quarter of the free space, or as much as `sequentialSeconds` allows.
    var maxSampleBytes: UInt64
    var sequentialSeconds: Double
    /// For each depth.
    var randomSeconds: Double
    var maxSyncs: Int
    var syncSeconds: Double

    /// Less than four seconds: before and after a comparison.
    static let quick = Scope(
      maxSampleBytes: 512 << 20, sequentialSeconds: 0.6, randomSeconds: 0.25, maxSyncs: 1_000, syncSeconds: 0.4)
    /// Half a minute on a fast device, a minute and a half on a slow one.
    static let full = Scope(
      maxSampleBytes: 2 << 30, sequentialSeconds: 20, randomSeconds: 3, maxSyncs: 5_000, syncSeconds: 5)
  }

  static let sequentialPieceBytes = 1 << 20
  static let sequentialDepth = 16
  static let randomPieceBytes = 4096
  static let randomDepths = [1, 4, 16, 32, 64]

  private let scope: Scope
  private let directory: String
  private let path: String
  private let file: Int32
  private let isDirect: Bool
  /// What has been written, from the file's begin: only this may be read. (Reserved blocks that were never written are
  /// answered by the file system, without the device.)
  private var sampleBytes: UInt64 = 0

  static func measure(in directory: String, _ scope: Scope) throws -> DeviceFigures {
    var probe = try DeviceProbe(directory, scope)
    let write = try probe.sequentialWrite()
    let read = try probe.sequentialRead()
    let random = try probe.randomReads()
    let syncs = try probe.syncs()
    return DeviceFigures(
      isDirect: probe.isDirect, sampleBytes: probe.sampleBytes, sequentialWriteBytesPerSecond: write,
      sequentialReadBytesPerSecond: read, randomReads: random,
      syncP50Nanoseconds: syncs.valueAtPercentile(50), syncP99Nanoseconds: syncs.valueAtPercentile(99))
  }

  private init(_ directory: String, _ scope: Scope) throws {
    self.scope = scope
    self.directory = directory
    path = directory + "/device-probe-\(getpid())"
    (file, isDirect) = try DeviceProbe.open(path)
  }

  deinit {
    close(file)
    unlink(path)
  }

  /// Past the page cache, or through it where the file system refuses that.
  private static func open(_ path: String) throws -> (file: Int32, isDirect: Bool) {
    let flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC
    let direct = Glibc.open(path, flags | cdevice_o_direct, 0o600)
    if direct >= 0 { return (direct, true) }
    let buffered = Glibc.open(path, flags, 0o600)
    guard buffered >= 0 else { throw BenchError("cannot create \(path): \(String(cString: strerror(errno)))") }
    return (buffered, false)
  }

  // MARK: - Sequential

  /// Bytes a second until the last is on stable media.
  private mutating func sequentialWrite() throws -> Double {
    let pieceBytes = DeviceProbe.sequentialPieceBytes
    let limit = try sampleLimit()
    // As engines and file systems do for a log: blocks are reserved first, so that writing only writes.
    _ = posix_fallocate(file, 0, off_t(limit))
    var queue = try DeviceQueue(file, depth: DeviceProbe.sequentialDepth, pieceBytes: pieceBytes) { buffer in
      // Noise, so that no device can store it in less space than it takes.
      var noise = Noise(seed: 1)
      for offset in stride(from: 0, to: buffer.count, by: 8) {
        buffer.storeBytes(of: noise.next(), toByteOffset: offset, as: UInt64.self)
      }
    }
    var position: UInt64 = 0
    let begin = Clock.nanoseconds()
    let deadline = begin + UInt64(scope.sequentialSeconds * 1e9)
    var now = begin
    try queue.run(.write) {
      guard position < limit, now < deadline else { return nil }
      defer { position += UInt64(pieceBytes) }
      return position
    } completed: {
      now = $1
    }
    guard fdatasync(file) == 0 else { throw BenchError("fdatasync: \(String(cString: strerror(errno)))") }
    sampleBytes = position
    return Double(position) / Clock.seconds(from: begin, to: Clock.nanoseconds())
  }

  private func sampleLimit() throws -> UInt64 {
    var status = statvfs()
    guard statvfs(directory, &status) == 0 else {
      throw BenchError("\(directory): \(String(cString: strerror(errno)))")
    }
    let piece = UInt64(DeviceProbe.sequentialPieceBytes)
    let free = UInt64(status.f_bavail) * UInt64(status.f_frsize)
    return max(piece, min(scope.maxSampleBytes, free / 4) / piece * piece)
  }

  private func sequentialRead() throws -> Double {
    let pieceBytes = UInt64(DeviceProbe.sequentialPieceBytes)
    let sampleBytes = sampleBytes
    forgetCached()
    var queue = try DeviceQueue(file, depth: DeviceProbe.sequentialDepth, pieceBytes: Int(pieceBytes))
    var position: UInt64 = 0
    let begin = Clock.nanoseconds()
    let deadline = begin + UInt64(scope.sequentialSeconds * 1e9)
    var now = begin
    try queue.run(.read) {
      guard position < sampleBytes, now < deadline else { return nil }
      defer { position += pieceBytes }
      return position
    } completed: {
      now = $1
    }
    return Double(position) / Clock.seconds(from: begin, to: Clock.nanoseconds())
  }

  /// Where reads go through the page cache, at least it begins empty.
  private func forgetCached() {
    if !isDirect { _ = posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) }
  }

  // MARK: - Random

  private func randomReads() throws -> [DeviceFigures.RandomRead] {
    try DeviceProbe.randomDepths.map { depth in try randomReads(depth: depth) }
  }

  private func randomReads(depth: Int) throws -> DeviceFigures.RandomRead {
    let pieceBytes = DeviceProbe.randomPieceBytes
    let pieces = sampleBytes / UInt64(pieceBytes)
    forgetCached()
    var queue = try DeviceQueue(file, depth: depth, pieceBytes: pieceBytes)
    var latencies = LatencyRecorder.emptyHistogram
    var noise = Noise(seed: UInt64(depth))
    let begin = Clock.nanoseconds()
    let deadline = begin + UInt64(scope.randomSeconds * 1e9)
    var now = begin
    try queue.run(.read) {
      now < deadline ? noise.next(below: pieces) * UInt64(pieceBytes) : nil
    } completed: { elapsed, time in
      latencies.record(elapsed)
      now = time
    }
    return DeviceFigures.RandomRead(
      depth: depth, operationsPerSecond: Double(latencies.totalCount) / Clock.seconds(from: begin, to: now),
      p50Nanoseconds: latencies.valueAtPercentile(50), p99Nanoseconds: latencies.valueAtPercentile(99))
  }

  // MARK: - Sync

  /// Nanoseconds of appending 4 KiB to a growing file and making them durable.
  private func syncs() throws -> Histogram<UInt64> {
    let path = path + "-log"
    let (log, _) = try DeviceProbe.open(path)
    defer {
      close(log)
      unlink(path)
    }
    let block = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { block.deallocate() }
    block.initializeMemory(as: UInt8.self, repeating: 0x5A, count: 4096)
    var latencies = LatencyRecorder.emptyHistogram
    let deadline = Clock.nanoseconds() + UInt64(scope.syncSeconds * 1e9)
    for index in 0..<scope.maxSyncs {
      let begin = Clock.nanoseconds()
      guard pwrite(log, block, 4096, off_t(index * 4096)) == 4096, fdatasync(log) == 0 else {
        throw BenchError("append and fdatasync: \(String(cString: strerror(errno)))")
      }
      let end = Clock.nanoseconds()
      latencies.record(end - begin)
      if end >= deadline { break }
    }
    return latencies
  }
}
