/// Any single file of a database in readable form, without opening the database: for people who want to see.
public enum FileDump {
  /// Describes the file at `path`, line by line, by what its name says that it is.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - entries: whether each entry is listed too.
  ///   - emit: called with each line.
  /// - Throws: `.invalidArgument` for a name that is none of ours, `.corruption` where bytes do not verify; what could
  ///   be read before was emitted by then.
  public static func dump(
    path: String, entries: Bool = false, _ emit: (String) -> Void
  ) throws(SiltstoneError) {
    let slash = path.lastIndex(of: "/")
    let name = String(slash.map { path[path.index(after: $0)...] } ?? path[...])
    let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let storage = try DiskStorage(path: directory, create: false)
    guard try storage.exists(name) else { throw SiltstoneError(.missingFile, "no such file", file: path) }
    if TableFile.number(name) != nil {
      let table = try Table.open(storage: storage, name: name, cache: BlockCache(capacityBytes: 1 << 20))
      try table.dump(emit, includeEntries: entries)
    } else if ManifestFile.number(fromName: name) != nil {
      try ManifestDump.dump(storage, name, emit)
    } else if LogSegment.number(fromFileName: name) != nil {
      try LogDump.dump(storage, name, entries: entries, emit)
    } else if name == CurrentFile.name {
      guard let manifest = try CurrentFile.read(storage) else {
        throw SiltstoneError(.missingFile, "no such file", file: path)
      }
      emit("the current manifest is \(manifest)")
    } else if name == SharedState.fileName {
      try SharedState.dump(storage, emit)
    } else {
      throw SiltstoneError(.invalidArgument, "the name is not that of a file of a database", file: path)
    }
  }
}
