extension Manifest {
  /// What recovery met.
  struct Recovered: Equatable, Sendable {
    var fileName: String
    var editCount = 0
    /// What a crash left of an edit that nobody was told to be done.
    var tornBytes = 0
  }

  /// More than any tree needs: it would take ten million tables with the longest keys. Bounds the memory that a hostile
  /// file can ask for to what it takes on disk.
  private static let maxFileBytes: UInt64 = 4 << 30

  /// Reads the manifest that CURRENT names. Changes nothing on disk.
  ///
  /// - Throws: `.notADatabase` if the directory holds none (or one whose making was cut short), `.missingFile` if
  ///   CURRENT is gone or what it names is, `.corruption` if bytes do not verify, `.unsupportedVersion` if a newer
  ///   build has written them.
  static func recover(
    _ storage: any Storage, _ recovered: inout Recovered
  ) throws(SiltstoneError) -> Manifest {
    guard let name = try CurrentFile.read(storage), let number = ManifestFile.number(fromName: name) else {
      throw try missingCurrent(storage)
    }
    recovered = Recovered(fileName: name)
    let file = try storage.open(name, .readBuffered)
    let size = try file.sizeBytes()
    guard size <= maxFileBytes else { throw .corrupt("the manifest is larger than any can be", file: name) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(Int(size), 1), alignment: 16)
    defer { buffer.deallocate() }
    let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(size)]), at: 0)
    let bytes = ByteView(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    let database = try ManifestFile.checkHeader(bytes, file: name)
    var reader = ManifestReader(bytes, file: name)
    let state = try replay(&reader, database, &recovered)
    return Manifest(
      storage: storage, state: state, lastNumber: number, lastPosition: UInt64(bytes.count - recovered.tornBytes))
  }

  private static func replay(
    _ reader: inout ManifestReader, _ database: DatabaseID, _ recovered: inout Recovered
  ) throws(SiltstoneError) -> TreeState {
    let name = recovered.fileName
    var state: TreeState?
    while let edit = try reader.next() {
      let offset = UInt64(reader.editOffset)
      do throws(LayoutViolation) {
        if state == nil { state = try TreeState(first: edit) } else { try state?.apply(edit) }
      } catch {
        throw .corrupt("an edit cannot be: \(error.message)", file: name, offset: offset)
      }
      guard let state, state.creation.database == database else {
        throw .corrupt(
          "the manifest does not begin with this database's creation", file: name, offset: offset)
      }
      recovered.editCount += 1
    }
    recovered.tornBytes = reader.tornBytes
    guard let state else {
      throw .corrupt(
        "the manifest's first edit does not verify", file: name, offset: UInt64(ManifestFile.headerBytes))
    }
    return state
  }

  /// CURRENT is the last file to appear when a database is made, so a first manifest without one is a making that was
  /// cut short, while anything more was a database.
  private static func missingCurrent(_ storage: any Storage) throws(SiltstoneError) -> SiltstoneError {
    for name in try storage.list() {
      if TableFile.number(name) != nil || (ManifestFile.number(fromName: name) ?? 0) > 1 {
        return SiltstoneError(
          .missingFile, "CURRENT is missing, although there is a \(name)", file: CurrentFile.name)
      }
    }
    return SiltstoneError(.notADatabase, "the directory holds no database", file: CurrentFile.name)
  }
}

extension Manifest {
  /// The manifest as processes that have the database open say that it is.
  static func join(
    _ storage: any Storage, _ end: SharedState.ManifestEnd, isWritable: Bool
  ) throws(SiltstoneError) -> Manifest {
    let (state, file) = try read(storage, from: 0, to: end, onto: nil, isWritable: isWritable)
    var manifest = Manifest(storage: storage, state: state, lastNumber: 0, isWritable: isWritable)
    manifest.adopt(state, file, end)
    return manifest
  }

  /// Takes in what other processes have committed since. `end` is what they say of it, and everything before that was
  /// synced. When it throws, nothing has changed.
  ///
  /// - Throws: `.missingFile` if the manifest was replaced meanwhile: then there is a newer end to catch up with.
  mutating func catchUp(to end: SharedState.ManifestEnd) throws(SiltstoneError) {
    if end.number == number, end.offset == position { return }
    let isSame = end.number == number
    let (next, file) = try Manifest.read(
      storage, from: isSame ? position : 0, to: end, onto: isSame ? state : nil, isWritable: isWritable)
    guard next.creation == state.creation else {
      throw .corrupt("the manifest is another database's", file: file.name)
    }
    adopt(next, file, end)
  }

  private static func read(
    _ storage: any Storage, from begin: UInt64, to end: SharedState.ManifestEnd, onto state: TreeState?,
    isWritable: Bool
  ) throws(SiltstoneError) -> (TreeState, any StorageFile) {
    let name = ManifestFile.name(end.number)
    let file = try storage.open(name, isWritable ? .readWriteBuffered : .readBuffered)
    guard begin <= end.offset, end.offset <= maxFileBytes else {
      throw .corrupt("the shared state says that the manifest ends where it cannot", file: SharedState.fileName)
    }
    let length = Int(end.offset - begin)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(length, 1), alignment: 16)
    defer { buffer.deallocate() }
    let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]), at: begin)
    let bytes = ByteView(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    var next = state
    if state == nil { _ = try ManifestFile.checkHeader(bytes, file: name) }
    var reader =
      state == nil ? ManifestReader(bytes, file: name) : ManifestReader(bytes, from: begin, file: name)
    while let edit = try reader.next() {
      do throws(LayoutViolation) {
        if next == nil { next = try TreeState(first: edit) } else { try next?.apply(edit) }
      } catch {
        throw .corrupt("an edit cannot be: \(error.message)", file: name, offset: UInt64(reader.editOffset))
      }
    }
    guard count == length, reader.tornBytes == 0, let next else {
      throw .corrupt("the manifest does not hold what it is said to hold", file: name, offset: begin)
    }
    return (next, file)
  }
}

/// The tree's files in the directory, as opposed to those that the manifest names.
enum DatabaseFiles {
  /// Removes tables and manifests that `manifest` does not name, and a CURRENT that was never put in place: what a
  /// crash left of flushes and compactions. Returns their names.
  ///
  /// REQUIRES: nothing is being written, the manifest has no uncertain edit, and recovery has succeeded as a whole, the
  /// log included: until then, a file that looks superfluous may be evidence.
  static func removeUnnamed(
    _ storage: any Storage, _ manifest: borrowing Manifest
  ) throws(SiltstoneError) -> [String] {
    let tables = Set(manifest.state.layout.tables.map(\.number))
    let current = try CurrentFile.read(storage)
    var removed: [String] = []
    for name in try storage.list().sorted() {
      let isUnnamedTable = TableFile.number(name).map { !tables.contains($0) } ?? false
      let isOldManifest = ManifestFile.number(fromName: name) != nil && name != current
      if isUnnamedTable || isOldManifest || name == CurrentFile.temporaryName {
        try storage.remove(name)
        removed.append(name)
      }
    }
    return removed
  }
}
