/// A manifest in readable form.
enum ManifestDump {
  static func dump(_ storage: any Storage, _ name: String, _ emit: (String) -> Void) throws(SiltstoneError) {
    let file = try storage.open(name, .readBuffered)
    let memory = AlignedMemory(sizeBytes: max(Int(try file.sizeBytes()), 1))
    defer { withExtendedLifetime(memory) {} }
    let count = try file.read(into: memory.buffer, at: 0)
    let bytes = ByteView(UnsafeRawPointer(memory.base), count)
    emit("\(name): manifest of database \(try ManifestFile.checkHeader(bytes, file: name)), \(count) bytes")
    var reader = ManifestReader(bytes, file: name)
    while let edit = try reader.next() {
      emit("edit at \(reader.editOffset)")
      describe(edit, emit)
    }
    if reader.tornBytes > 0 { emit("\(reader.tornBytes) bytes of an edit that was never acknowledged") }
  }

  private static func describe(_ edit: VersionEdit, _ emit: (String) -> Void) {
    if let creation = edit.creation {
      emit("  created: database \(creation.database), log segments of \(creation.logSegmentBytes) bytes")
    }
    if let position = edit.logStart { emit("  the log begins at \(position)") }
    if let number = edit.nextFileNumber { emit("  next file \(number)") }
    if let number = edit.nextRunID { emit("  next run \(number)") }
    for number in edit.removals { emit("  remove table \(number)") }
    for addition in edit.additions {
      let table = addition.table
      let bounds = table.smallestKey.withView { $0.readable } + " to " + table.largestKey.withView { $0.readable }
      emit(
        "  add table \(table.number) to level \(addition.level) run \(addition.run): \(table.sizeBytes) bytes, "
          + "\(table.entryCount) entries, \(table.tombstoneCount) tombstones, \(bounds)")
    }
  }
}
