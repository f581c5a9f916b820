internal import Glibc

/// A borrowed run of bytes: a pointer and a count, nothing more.
///
/// The currency of every inner loop. It owns nothing: whoever hands one out says how long it stays valid. Arrays
/// appear only at the edge of the API.
struct ByteView {
  let base: UnsafeRawPointer
  let count: Int

  @inline(__always)
  init(_ base: UnsafeRawPointer, _ count: Int) {
    self.base = base
    self.count = count
  }

  @inline(__always)
  init(_ buffer: UnsafeRawBufferPointer) {
    self.base = buffer.baseAddress ?? ByteView.emptyBase
    self.count = buffer.count
  }

  /// A view of no bytes at an address that may be read from, so that callers never meet a null pointer.
  static var empty: ByteView { ByteView(emptyBase, 0) }
  nonisolated(unsafe) private static let emptyBase = UnsafeRawPointer(
    UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16))

  @inline(__always)
  subscript(index: Int) -> UInt8 { base.load(fromByteOffset: index, as: UInt8.self) }

  /// The bytes from `start` on. REQUIRES: `start <= count`.
  @inline(__always)
  func dropFirst(_ start: Int) -> ByteView { ByteView(base + start, count &- start) }

  /// The first `length` bytes. REQUIRES: `length <= count`.
  @inline(__always)
  func prefix(_ length: Int) -> ByteView { ByteView(base, length) }

  var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  /// Copies the bytes to `end`, moves `end` behind them, and returns a view of the copy. REQUIRES: room there.
  func stored(at end: inout UnsafeMutableRawPointer) -> ByteView {
    end.copyMemory(from: base, byteCount: count)
    defer { end += count }
    return ByteView(end, count)
  }

  /// A copy that the caller owns.
  func copied() -> [UInt8] { [UInt8](buffer) }

  /// Negative, zero or positive, as `self` sorts before, with or after `other` in unsigned byte order.
  @inline(__always)
  func compare(_ other: ByteView) -> Int {
    let order = memcmp(base, other.base, min(count, other.count))
    return order != 0 ? Int(order) : count &- other.count
  }

  @inline(__always)
  func equals(_ other: ByteView) -> Bool {
    count == other.count && memcmp(base, other.base, count) == 0
  }

  /// The number of leading bytes shared with `other`, found eight at a time.
  @inline(__always)
  func commonPrefixLength(_ other: ByteView) -> Int {
    let limit = min(count, other.count)
    var index = 0
    while index &+ 8 <= limit {
      let difference =
        base.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        ^ other.base.loadUnaligned(fromByteOffset: index, as: UInt64.self)
      if difference != 0 { return index &+ difference.trailingZeroBitCount >> 3 }
      index &+= 8
    }
    while index < limit, self[index] == other[index] { index &+= 1 }
    return index
  }
}

extension Array where Element == UInt8 {
  /// Runs `body` over this array's bytes; the view is valid only inside it.
  @inline(__always)
  func withView<Result, Failure: Error>(_ body: (ByteView) throws(Failure) -> Result) throws(Failure) -> Result {
    try withUnsafeBytesTyped { (buffer) throws(Failure) in try body(ByteView(buffer)) }
  }

  /// `withUnsafeBytes` with a typed error: the standard library's own still rethrows untyped.
  @inline(__always)
  private func withUnsafeBytesTyped<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let outcome: Swift.Result<Result, Failure> = withUnsafeBytes { buffer in
      do throws(Failure) { return .success(try body(buffer)) } catch { return .failure(error) }
    }
    return try outcome.get()
  }
}
