internal import CSupport

/// Walks a manifest's bytes edit by edit. See `ManifestFile` for what it takes for an end, and what for corruption.
struct ManifestReader: ~Copyable {
  private let bytes: ByteView
  private let file: String
  /// Where in the file the bytes begin. All other offsets here are into the bytes.
  private let origin: Int
  private var position: Int
  private var assembled = ByteBuffer()
  private var editBegin = ManifestFile.headerBytes
  /// Where in the file the edit that was read last begins.
  var editOffset: Int { origin + editBegin }

  /// `bytes` is the whole file and stays valid as long as the reader; its header was checked.
  init(_ bytes: ByteView, file: String) {
    self.bytes = bytes
    self.file = file
    origin = 0
    position = ManifestFile.headerBytes
  }

  /// `bytes` is what begins at `origin` in the file, between two edits.
  init(_ bytes: ByteView, from origin: UInt64, file: String) {
    self.bytes = bytes
    self.file = file
    self.origin = Int(origin)
    position = 0
  }

  /// Bytes behind the last whole edit: 0, or what is torn.
  var tornBytes: Int { bytes.count - position }

  /// The next edit, or nil at the end.
  mutating func next() throws(SiltstoneError) -> VersionEdit? {
    var offset = position
    assembled.removeAll()
    var isOpen = false
    while true {
      guard let header = try verifiedHeader(at: offset) else { return nil }
      let payload = bytes.dropFirst(offset + RecordFraming.headerBytes).prefix(header.payloadBytes)
      if header.isContinuation != isOpen {
        throw .corrupt("a record is out of sequence", file: file, offset: UInt64(origin + offset))
      }
      if !isOpen { editBegin = offset }
      offset += header.recordBytes
      if header.payloadBytes == 0 {
        position = offset  // a mark
        continue
      }
      assembled.append(payload)
      isOpen = header.continues
      if !isOpen { break }
    }
    position = offset
    return try VersionEdit.decode(assembled.view, file: file, offset: UInt64(editOffset))
  }

  /// The header of a whole and undamaged record at `offset`, or nil if everything from there on is torn.
  private func verifiedHeader(at offset: Int) throws(SiltstoneError) -> RecordFraming.Header? {
    if offset == bytes.count { return nil }
    let rest = bytes.count - offset
    if rest >= RecordFraming.headerBytes,
      let header = RecordFraming.decode(bytes.base + offset, position: UInt64(origin + offset)),
      header.recordBytes <= rest, header.payloadBytes > 0 || !(header.continues || header.isContinuation),
      csup_crc32c(0, bytes.base + offset + RecordFraming.headerBytes, header.payloadBytes)
        == header.payloadChecksum
    {
      return header
    }
    if let later = firstBeginning(after: offset) {
      throw .corrupt(
        "a record does not verify, although the one at offset \(origin + later) was written after it had been synced",
        file: file, offset: UInt64(origin + offset))
    }
    return nil
  }

  /// The offset of the first thing behind `offset` that could only be written after `offset` was synced. A false
  /// finding would take a 32-bit checksum, over the very offset, that fits by chance.
  private func firstBeginning(after offset: Int) -> Int? {
    var candidate = offset + 1
    while candidate + RecordFraming.headerBytes <= bytes.count {
      if let header = RecordFraming.decode(bytes.base + candidate, position: UInt64(origin + candidate)),
        !header.isContinuation
      {
        return candidate
      }
      candidate += 1
    }
    return nil
  }
}
