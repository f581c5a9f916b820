/// Values as `db_bench` makes them: consecutive slices of a buffer of a mebibyte, in which each piece of 100 bytes is
/// noise for its first half and the same noise again, so that a fast codec halves it; or noise all through.
struct ValueMaker: ~Copyable {
  private let base: UnsafeMutableRawPointer
  private let sizeBytes: Int
  private var position = 0

  /// `largest` is the longest value that will be asked for.
  init(seed: UInt64, largest: Int, compressible: Bool) {
    let pieceBytes = 100
    sizeBytes = max(1 << 20, 2 * largest)
    base = .allocate(byteCount: sizeBytes + pieceBytes, alignment: 16)
    var noise = Noise(seed: seed)
    let noiseBytes = compressible ? pieceBytes / 2 : pieceBytes
    for piece in stride(from: 0, to: sizeBytes, by: pieceBytes) {
      for index in 0..<noiseBytes {
        // Printable, as db_bench's are: a codec then saves a little on noise too.
        let byte = compressible ? UInt8(32 + noise.next(below: 95)) : UInt8(truncatingIfNeeded: noise.next())
        base.storeBytes(of: byte, toByteOffset: piece + index, as: UInt8.self)
        if compressible { base.storeBytes(of: byte, toByteOffset: piece + noiseBytes + index, as: UInt8.self) }
      }
    }
    position = Int(noise.next(below: UInt64(sizeBytes - largest)))
  }

  deinit { base.deallocate() }

  /// A value of `count` bytes. Valid as long as the maker.
  @inline(__always)
  mutating func make(_ count: Int) -> UnsafeRawBufferPointer {
    if position &+ count > sizeBytes { position = 0 }
    defer { position &+= count }
    return UnsafeRawBufferPointer(start: base + position, count: count)
  }
}
