/// A log segment in readable form.
enum LogDump {
  static func dump(
    _ storage: any Storage, _ name: String, entries: Bool, _ emit: (String) -> Void
  ) throws(SiltstoneError) {
    let file = try storage.open(name, .readBuffered)
    let size = Int(try file.sizeBytes())
    let bytes = AlignedMemory(sizeBytes: max(StorageAlignment.roundUp(size), LogSegment.headerBytes))
    defer { withExtendedLifetime(bytes) {} }
    let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes.buffer[..<size]), at: 0)
    let header = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes.buffer)[..<LogSegment.headerBytes])
    guard let identity = try LogSegment.describe(header, file: name) else { return emit("\(name): blank, never used") }
    emit("\(name): log segment \(identity.number) of database \(identity.database)")
    let first = identity.number * identity.segmentBytes
    emit("positions \(first) to \(first + identity.segmentBytes), format version \(LogSegment.formatVersion)")
    let log = ByteView(UnsafeRawPointer(bytes.base) + LogSegment.headerBytes, max(0, count - LogSegment.headerBytes))
    let records = records(in: log, first: first, entries: entries, emit)
    emit("\(records) records begin in this segment")
  }

  /// A segment begins in the middle of a record, most often: the first one that begins here is found by trying every
  /// byte.
  private static func records(
    in log: ByteView, first: LogPosition, entries: Bool, _ emit: (String) -> Void
  ) -> Int {
    var offset = 0
    var count = 0
    while offset + RecordFraming.headerBytes <= log.count {
      guard let header = RecordFraming.decode(log.base + offset, position: first + UInt64(offset)) else {
        offset += 1
        continue
      }
      let isWhole = offset + header.recordBytes <= log.count
      let note = (header.isContinuation ? ", continues a batch" : "") + (header.keepsValues ? ", keeps values" : "")
      emit(
        "  \(first + UInt64(offset))  \(header.payloadBytes) bytes, \(header.entryCount) entries\(note)"
          + (header.continues ? ", goes on" : "") + (isWhole ? "" : ", ends in the next segment"))
      if entries, isWhole, !header.continues, !header.isContinuation {
        emitEntries(log.dropFirst(offset + RecordFraming.headerBytes).prefix(header.payloadBytes), emit)
      }
      count += 1
      offset += header.recordBytes
    }
    return count
  }

  private static func emitEntries(_ payload: ByteView, _ emit: (String) -> Void) {
    let isWhole = EntryEncoding.forEach(in: payload) { entry in
      switch entry.kind {
      case .put: emit("    put \(entry.key.readable) -> \(entry.value.readable)")
      case .putApart: emit("    put \(entry.key.readable) -> \(entry.value.count) bytes")
      case .delete: emit("    delete \(entry.key.readable)")
      }
      return true
    }
    if !isWhole { emit("    the payload makes no sense") }
  }
}
