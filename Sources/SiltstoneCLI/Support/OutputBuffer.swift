import Glibc

/// Results on their way to standard output, written in pieces of 64 KiB.
///
/// REQUIRES: `flush` at the end; what was not flushed is lost. A write that fails is an error like any other:
/// a result that did not fit on the disk must not look complete.
struct OutputBuffer: ~Copyable {
  private let base: UnsafeMutableRawPointer
  /// 64 KiB: what a pipe holds, so a larger piece would only wait.
  private let capacity = 64 << 10
  private var count = 0
  private let descriptor: Int32

  init(descriptor: Int32 = STDOUT_FILENO) {
    self.descriptor = descriptor
    base = .allocate(byteCount: capacity, alignment: 16)
  }

  deinit { base.deallocate() }

  @inline(__always)
  mutating func append(_ byte: UInt8) throws(ToolError) {
    if count == capacity { try flush() }
    base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
    count += 1
  }

  mutating func append(_ bytes: UnsafeRawBufferPointer) throws(ToolError) {
    guard let source = bytes.baseAddress else { return }
    if bytes.count > capacity - count { try flush() }
    if bytes.count > capacity {
      try writeAll(source, bytes.count)
    } else {
      memcpy(base + count, source, bytes.count)
      count += bytes.count
    }
  }

  mutating func append(_ text: String) throws(ToolError) {
    for byte in text.utf8 { try append(byte) }
  }

  /// Appends text or hexadecimal digits.
  mutating func append(_ bytes: UnsafeRawBufferPointer, hex: Bool) throws(ToolError) {
    if hex { try Hex.encode(bytes, into: &self) } else { try append(bytes) }
  }

  mutating func flush() throws(ToolError) {
    let pending = count
    count = 0
    try writeAll(base, pending)
  }

  private func writeAll(_ start: UnsafeRawPointer, _ length: Int) throws(ToolError) {
    var written = 0
    while written < length {
      let result = write(descriptor, start + written, length - written)
      if result < 0 && errno == EINTR { continue }
      guard result >= 0 else { throw .system("standard output", "write") }
      written += result
    }
  }
}

/// Prints one result line.
func printLine(_ line: String) throws {
  var output = OutputBuffer()
  try output.append(line)
  try output.append(UInt8(ascii: "\n"))
  try output.flush()
}
