/// Anything that is a run of bytes: keys and values may be any of these. Strings stand for their UTF-8.
public protocol Bytes {
  /// Calls `body` with the bytes, valid only inside it.
  func withBytes<Result, Failure: Error>(_ body: (RawSpan) throws(Failure) -> Result) throws(Failure) -> Result
}

extension Array: Bytes where Element == UInt8 {
  /// The array's own storage, without a copy.
  @inlinable
  public func withBytes<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(span.bytes)
  }
}

extension ArraySlice: Bytes where Element == UInt8 {
  /// The slice's own storage, without a copy.
  @inlinable
  public func withBytes<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(span.bytes)
  }
}

extension String: Bytes {
  /// The string's UTF-8, without a copy for a native string.
  @inlinable
  public func withBytes<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(utf8.span.bytes)
  }
}

extension Substring: Bytes {
  /// The substring's UTF-8, without a copy for a native string.
  @inlinable
  public func withBytes<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(utf8.span.bytes)
  }
}

extension ByteView {
  /// The span's bytes; valid for as long as what the span borrows.
  @inline(__always)
  init(_ span: RawSpan) {
    self = span.withUnsafeBytes { ByteView($0) }
  }
}
