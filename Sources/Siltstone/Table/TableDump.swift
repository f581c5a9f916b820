extension Table {
  /// Describes the table line by line, for people: the footer, the properties, the index, a line for each block, and
  /// each entry if `includeEntries`. Reads past the cache; a block that does not verify ends it with a throw.
  func dump(_ emit: (String) -> Void, includeEntries: Bool) throws(SiltstoneError) {
    dumpFooter(emit)
    dumpProperties(emit)
    var top = BlockCursor()
    top.reset(to: topIndex)
    top.seekToFirst()
    while top.status == .valid {
      guard let handles = PartitionHandles.decode(top.value) else {
        throw malformed("the top-level index", footer.topIndex.offset)
      }
      emit("partition  up to \(describe(top.key, top.trailer))")
      emit("  index    \(describe(handles.index))")
      if let filter = handles.filter { emit("  filter   \(describe(filter))") }
      try dumpPartition(handles.index, emit, includeEntries)
      top.next()
    }
    if top.status == .corrupt { throw malformed("the top-level index", footer.topIndex.offset) }
  }

  private func dumpFooter(_ emit: (String) -> Void) {
    emit("table      \(file.name), number \(footer.number), \(footer.fileBytes) bytes")
    emit("format     version \(footer.version)")
    emit("top index  \(describe(footer.topIndex)), \(topIndex.entryCount) partitions")
    emit("properties \(describe(footer.properties))")
  }

  private func dumpProperties(_ emit: (String) -> Void) {
    for (name, field) in TableProperties.numbers { emit("  \(name): \(properties[keyPath: field])") }
    for (name, field) in TableProperties.keys {
      emit("  \(name): \(properties[keyPath: field].withView { $0.readable })")
    }
    for use in properties.segmentUse { emit("  values in log segment \(use.segment): \(use.bytes) bytes") }
  }

  private func dumpPartition(
    _ handle: BlockHandle, _ emit: (String) -> Void, _ includeEntries: Bool
  ) throws(SiltstoneError) {
    let block = try reader.read(handle)
    guard let view = BlockView(block.bytes) else { throw malformed("an index partition", handle.offset) }
    var index = BlockCursor()
    index.reset(to: view)
    index.seekToFirst()
    while index.status == .valid {
      var handleBytes = ByteReader(index.value)
      guard let dataHandle = BlockHandle.decode(&handleBytes) else {
        throw malformed("an index partition", handle.offset)
      }
      try dumpDataBlock(dataHandle, "up to \(describe(index.key, index.trailer))", emit, includeEntries)
      index.next()
    }
    if index.status == .corrupt { throw malformed("an index partition", handle.offset) }
  }

  private func dumpDataBlock(
    _ handle: BlockHandle, _ separator: String, _ emit: (String) -> Void, _ includeEntries: Bool
  ) throws(SiltstoneError) {
    let block = try reader.read(handle)
    guard let view = BlockView(block.bytes) else { throw malformed("a data block", handle.offset) }
    emit(
      "  block    \(describe(handle)), \(block.bytes.count) raw, \(view.entryCount) entries, "
        + "\(view.restartCount) restarts, \(separator)")
    guard includeEntries else { return }
    var data = BlockCursor()
    data.reset(to: view)
    data.seekToFirst()
    while data.status == .valid {
      let pointer = data.trailer.isApart ? ValuePointer(data.value) : nil
      let value = pointer.map { "\($0.length) bytes at log position \($0.position)" } ?? data.value.readable
      emit("    \(describe(data.key, data.trailer)) -> \(value)")
      data.next()
    }
    if data.status == .corrupt { throw malformed("a data block", handle.offset) }
  }

  private func describe(_ handle: BlockHandle) -> String {
    let checksum = String(handle.checksum, radix: 16)
    return "at \(handle.offset), \(handle.sizeBytes) bytes, crc \(checksum)"
  }

  private func describe(_ key: ByteView, _ trailer: KeyTrailer) -> String {
    let kind: String
    switch EntryKind(rawValue: trailer.kindByte) {
    case .put: kind = "put"
    case .putApart: kind = "put, value in the log"
    case .delete: kind = "delete"
    case nil: kind = "kind \(trailer.kindByte)"
    }
    return "\(key.readable) @ \(trailer.sequence) \(kind)"
  }
}
