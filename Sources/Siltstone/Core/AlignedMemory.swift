/// Zeroed memory at a page boundary, as direct I/O wants it. One owner; freed with it.
///
/// A reference may be let go after its last use, and a pointer into the memory is no use of it: whoever holds on to
/// one ends its scope with `withExtendedLifetime`.
final class AlignedMemory: @unchecked Sendable {  // plain memory; whoever shares one orders the accesses
  let base: UnsafeMutableRawPointer
  let sizeBytes: Int

  init(sizeBytes: Int) {
    self.sizeBytes = sizeBytes
    base = .allocate(byteCount: sizeBytes, alignment: ByteBuffer.alignmentBytes)
    base.initializeMemory(as: UInt8.self, repeating: 0, count: sizeBytes)
  }

  deinit { base.deallocate() }

  var buffer: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: sizeBytes) }
}
