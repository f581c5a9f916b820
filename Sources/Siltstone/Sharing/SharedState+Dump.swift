internal import CSupport

extension SharedState {
  /// Describes the file in readable form. Looks at it as a file: mapping it would take part.
  static func dump(_ storage: any Storage, _ emit: (String) -> Void) throws(SiltstoneError) {
    let file = try storage.open(fileName, .readBuffered)
    let bytes = AlignedMemory(sizeBytes: StorageAlignment.bytes)
    defer { withExtendedLifetime(bytes) {} }
    guard try file.read(into: bytes.buffer, at: 0) == bytes.sizeBytes else {
      throw .corrupt("the shared state is shorter than its header", file: fileName)
    }
    let head = bytes.base.assumingMemoryBound(to: csup_shared.self)
    if head.pointee.magic == 0 { return emit("SHARED: never used") }
    guard head.pointee.magic == CSUP_SHARED_MAGIC,
      head.pointee.checksum == csup_crc32c(0, head, Int(CSUP_SHARED_IDENTITY_BYTES))
    else {
      throw .corrupt("the shared state's header does not verify", file: fileName, offset: 0)
    }
    emit("shared state of database \(DatabaseID(head.pointee.database)), layout version \(head.pointee.version)")
    emit("ring \(head.pointee.ring_bytes) bytes, log segments \(head.pointee.segment_bytes) bytes")
    let isLive = DatabaseID(head.pointee.boot) == BootID.current()
    emit("written \(isLive ? "since" : "before") the machine started; closed in order: \(head.pointee.clean == 1)")
    emit("reserved  \(head.pointee.reserved)")
    emit("published \(head.pointee.published)")
    emit("values    \(head.pointee.values_end)")
    emit("drained   \(head.pointee.drained)")
    emit("durable   \(head.pointee.durable)")
    if head.pointee.failed != 0 { emit("writing failed with errno \(head.pointee.failed)") }
  }
}
