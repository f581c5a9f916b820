/// The durable record of the tree: what it is, and every change of it, in a file that only grows until it is replaced.
///
/// One owner in each process; calls one at a time, and of all processes only the holder of the manifest lock commits,
/// after it has caught up with the others. Opening writes nothing: the first `commit` after it begins a new manifest
/// with a snapshot of the state. A commit that fails does the same to the next one, since nothing may be appended after
/// a failed write or sync. So there is one way back to a good file, whatever happened.
struct Manifest: ~Copyable, Sendable {
  /// What has been committed.
  private(set) var state: TreeState
  /// True after a failed commit, until one succeeds. The disk may then hold the failed edit or not, so no file may be
  /// deleted that either side names: neither the tables that the edit adds nor those that it removes, nor the log from
  /// the state's `logStart` on. To try the same edit again is always right.
  private(set) var hasUncertainEdit = false
  /// Bytes written since this object was made.
  private(set) var bytesWritten: UInt64 = 0

  let storage: any Storage
  let isWritable: Bool
  /// The file that grows; nil if the next edit must go to a new one.
  private var file: (any StorageFile)?
  private(set) var number: UInt64
  private(set) var position: UInt64 = 0
  private var rewriteThreshold: UInt64 = 0

  /// Whether a new manifest was begun, and the old one may still be there.
  private var mayHaveOthers = false

  /// A manifest is rewritten when it is larger than this and than four snapshots: replaying it at the next open then
  /// costs at most four times what it must, and rewriting adds at most a third to what is written anyway.
  private static let minRewriteBytes: UInt64 = 1 << 20
  private static let rewriteFactor: UInt64 = 4

  /// - Parameters:
  ///   - lastNumber: of the file that says `state`, and `lastPosition` how much of it does.
  ///   - isWritable: whether there will be commits.
  init(
    storage: any Storage, state: TreeState, lastNumber: UInt64, lastPosition: UInt64 = 0, isWritable: Bool = true
  ) {
    self.storage = storage
    self.state = state
    self.isWritable = isWritable
    number = lastNumber
    position = lastPosition
  }

  /// Goes on where another process has come to in `file`.
  mutating func adopt(_ next: TreeState, _ file: any StorageFile, _ end: SharedState.ManifestEnd) {
    if number != end.number {
      rewriteThreshold = max(Manifest.minRewriteBytes, Manifest.rewriteFactor * end.offset)
    }
    state = next
    self.file = file
    number = end.number
    position = end.offset
  }

  /// Makes the manifest of a new database, durably. REQUIRES: the directory has no CURRENT.
  static func create(
    _ storage: any Storage, _ creation: VersionEdit.Creation
  ) throws(SiltstoneError) -> Manifest {
    var manifest = Manifest(storage: storage, state: TreeState(creation), lastNumber: 0)
    try manifest.commit(VersionEdit())
    manifest.removeOthers()
    return manifest
  }

  /// Makes `edit` durable. When this returns, the edit is part of `state` and will be found by recovery. When it
  /// throws, `state` is unchanged; see `hasUncertainEdit`. A full disk is such a failure, and passes when space
  /// returns. `.unfitEdit`, if the edit does not fit the state, comes before anything is done.
  ///
  /// REQUIRES: the files of the tables that the edit adds are synced (the directory is synced here).
  mutating func commit(_ edit: VersionEdit) throws(SiltstoneError) {
    var next = state
    do throws(LayoutViolation) { try next.apply(edit) } catch {
      throw SiltstoneError(.unfitEdit, "the edit does not fit the tree: \(error.message)")
    }
    let moved = Set(edit.removals)
    if edit.additions.contains(where: { !moved.contains($0.table.number) }) { try storage.syncDirectory() }
    hasUncertainEdit = true
    if let file, position <= rewriteThreshold {
      try append(edit, to: file)
    } else {
      try rewrite(next)
    }
    state = next
    hasUncertainEdit = false
  }

  private mutating func append(_ edit: VersionEdit, to file: any StorageFile) throws(SiltstoneError) {
    self.file = nil  // until it is known to be good again
    var buffer = ByteBuffer(capacityBytes: 4096)
    ManifestFile.append(edit, at: position, to: &buffer)
    try file.write(buffer.view.buffer, at: position, .none)
    try file.sync()
    KillPoint.reach(.editWritten)
    position += UInt64(buffer.count)
    bytesWritten += UInt64(buffer.count)
    if writeMark(file) { self.file = file }
  }

  /// Begins a new manifest with `next`, and makes CURRENT name it.
  private mutating func rewrite(_ next: TreeState) throws(SiltstoneError) {
    file = nil
    // An attempt that failed, or whose process died, may have left a file, and CURRENT may name it already.
    repeat { number += 1 } while try storage.exists(ManifestFile.name(number))
    let name = ManifestFile.name(number)
    var buffer = ByteBuffer(capacityBytes: 4096)
    ManifestFile.appendHeader(next.creation.database, number: number, to: &buffer)
    ManifestFile.append(next.snapshot, at: UInt64(buffer.count), to: &buffer)
    let file = try storage.open(name, .createBuffered)
    try file.write(buffer.view.buffer, at: 0, .none)
    try file.sync()
    try storage.syncDirectory()
    try CurrentFile.write(storage, naming: name)
    KillPoint.reach(.manifestReplaced)
    position = UInt64(buffer.count)
    bytesWritten += position
    rewriteThreshold = max(Manifest.minRewriteBytes, Manifest.rewriteFactor * position)
    if writeMark(file) { self.file = file }
    mayHaveOthers = true
  }

  /// The next commit begins a new manifest: what the file holds behind `position` is anybody's guess.
  mutating func distrustFile() { file = nil }

  /// Marks what was synced as acknowledged; false if that failed. Nobody waits for a mark, so it is not synced, and its
  /// failure only means that this file is not written to any more.
  private mutating func writeMark(_ file: any StorageFile) -> Bool {
    var mark = ByteBuffer(capacityBytes: RecordFraming.headerBytes)
    ManifestFile.appendMark(at: position, to: &mark)
    do throws(SiltstoneError) { try file.write(mark.view.buffer, at: position, .none) } catch { return false }
    position += UInt64(mark.count)
    return true
  }

  /// Old manifests are only in the way; what cannot be removed now is removed on the next open. REQUIRES: whoever
  /// follows the manifest can know by now which one it is.
  mutating func removeOthers() {
    guard mayHaveOthers else { return }
    mayHaveOthers = false
    let name = ManifestFile.name(number)
    do throws(SiltstoneError) {
      for other in try storage.list() where other != name && ManifestFile.number(fromName: other) != nil {
        try storage.remove(other)
      }
    } catch {}
  }

  /// Brings the last mark to stable media: for an orderly close.
  mutating func sync() throws(SiltstoneError) {
    guard let file else { return }
    self.file = nil
    try file.sync()
    self.file = file
  }
}
