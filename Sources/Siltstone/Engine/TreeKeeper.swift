internal import Synchronization

/// Owns the manifest: every change of the tree is committed here, one at a time, and then shown to readers. Flushes and
/// compactions do their work elsewhere and bring the result as an edit.
final class TreeKeeper: Sendable {
  let storage: any Storage
  let cache: BlockCache
  let view: CurrentView
  let snapshots: SnapshotList
  let shape: CompactionShape
  let options: Options
  let creation: VersionEdit.Creation
  private let reaper: TableReaper
  private let manifest: Mutex<Manifest>
  private let nextFileNumber: Atomic<UInt64>
  private let nextRunID: Atomic<UInt64>
  private let logStartPosition: Atomic<UInt64>
  private let workDone = Mutex(Work())
  /// A flush whose edit could not be committed: it is on disk or not, so that very edit must be tried again.
  let unfinishedFlush = Mutex<PendingFlush?>(nil)

  /// What flushes and compactions have done since the database was opened.
  struct Work: Sendable {
    var flushes: UInt64 = 0
    var flushBytesWritten: UInt64 = 0
    var compactions: UInt64 = 0
    var trivialMoves: UInt64 = 0
    var compactionBytesWritten: UInt64 = 0
    var compactionBytesRead: UInt64 = 0
  }

  init(
    storage: any Storage, manifest: consuming Manifest, cache: BlockCache, reaper: TableReaper, view: CurrentView,
    snapshots: SnapshotList, options: Options
  ) throws(SiltstoneError) {
    self.storage = storage
    self.cache = cache
    self.view = view
    self.snapshots = snapshots
    self.options = options
    self.reaper = reaper
    shape = options.shape
    creation = manifest.state.creation
    // A crash may have left tables that the manifest never heard of. They are removed only when recovery has succeeded,
    // and recovery itself may have to flush: it must not run into them.
    let leftOver = try storage.list().compactMap { TableFile.number($0) }.max() ?? 0
    nextFileNumber = Atomic(max(manifest.state.nextFileNumber, leftOver + 1))
    nextRunID = Atomic(manifest.state.nextRunID)
    logStartPosition = Atomic(manifest.state.logStart)
    self.manifest = Mutex(manifest)
  }

  /// Everything before is in tables.
  var logStart: LogPosition { logStartPosition.load(ordering: .acquiring) }
  var work: Work { workDone.withLock { $0 } }
  func note(_ change: (inout Work) -> Void) { workDone.withLock { change(&$0) } }

  /// Numbers that were never used before. One that is taken and not used is lost, which does no harm.
  func takeFileNumber() -> UInt64 { nextFileNumber.add(1, ordering: .relaxed).oldValue }
  func takeRunID() -> UInt64 { nextRunID.add(1, ordering: .relaxed).oldValue }

  /// Makes `edit` durable, then current. `opened` has every table that the edit adds and the tree did not have.
  ///
  /// - Parameter change: makes the new view from the old one and the new version.
  /// - Throws: what the manifest throws. Nothing has changed for readers then, and the same edit can be tried again.
  func commit(
    _ edit: VersionEdit, opened: [Table], _ change: (ReadView, Version) -> ReadView
  ) throws(SiltstoneError) {
    var edit = edit
    try manifest.withLock { (manifest) throws(SiltstoneError) in
      // Read under the lock, so that they never go back from one edit to the next.
      edit.nextFileNumber = nextFileNumber.load(ordering: .relaxed)
      edit.nextRunID = nextRunID.load(ordering: .relaxed)
      try manifest.commit(edit)
      // Only here do versions change, so the one to build on can be taken before the view's own lock.
      let version = view.load().version.applying(edit, opened: opened)
      view.update { old in change(old, version) }
      if let position = edit.logStart { logStartPosition.store(position, ordering: .releasing) }
    }
    reap()
  }

  /// Deletes table files that nothing needs any more. What fails now is tried again after the next change.
  func reap() {
    manifest.withLock { manifest in
      if manifest.hasUncertainEdit { return }
      do throws(SiltstoneError) { try reaper.reap() } catch {
        options.eventHandler?(Event.failure(error, of: "removing an old table"))
      }
    }
  }

  /// Removes what a crash left of flushes and compactions. REQUIRES: recovery has succeeded, and nothing runs yet.
  func removeUnnamedFiles() throws(SiltstoneError) {
    try manifest.withLock { (manifest) throws(SiltstoneError) in
      if manifest.hasUncertainEdit { return }
      _ = try DatabaseFiles.removeUnnamed(storage, manifest)
    }
  }

  /// Reads the manifest back from the disk. Under its lock, since a commit may put another file in its place.
  func verifyManifest() throws(SiltstoneError) {
    try manifest.withLock { (_) throws(SiltstoneError) in
      var recovered = Manifest.Recovered(fileName: "")
      _ = try Manifest.recover(storage, &recovered)
    }
  }

  /// Deletes what is left to delete, and brings the manifest's last words to disk. An error costs nothing: they only
  /// repeat what is there.
  func close() {
    reap()
    manifest.withLock { manifest in
      do throws(SiltstoneError) { try manifest.sync() } catch {}
    }
  }

  /// Opens the tables that a job wrote. If one cannot be opened, all are removed: nothing names them yet.
  func open(_ outputs: [TableMetadata]) throws(SiltstoneError) -> [Table] {
    do throws(SiltstoneError) {
      var tables: [Table] = []
      for metadata in outputs { tables.append(try Table(storage: storage, metadata: metadata, cache: cache)) }
      return tables
    } catch {
      discard(outputs)
      throw error
    }
  }

  /// Removes tables that no edit has named. What cannot be removed now is found by the next opening.
  func discard(_ outputs: [TableMetadata]) {
    for metadata in outputs {
      do throws(SiltstoneError) { try storage.remove(TableFile.name(metadata.number)) } catch {
        options.eventHandler?(Event.failure(error, of: "removing an unused table"))
      }
    }
  }
}
