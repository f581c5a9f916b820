internal import Synchronization

/// Deletes table files that no living version names. Thread-safe.
///
/// Versions are numbered as they are made. A table is named by every version from the one that added it up to, not
/// including, the one that removed it; so its file can go when no version in that interval lives. The files go in
/// `reap`, which a background thread calls: a version's last reference may go on a reader's thread, where deleting a
/// large file would take milliseconds.
///
/// A crash may leave files behind that nothing names: `DatabaseFiles.removeUnnamed` finds them on the next open.
final class TableReaper: Sendable {
  private struct Condemned {
    let number: UInt64
    let named: Range<UInt64>
  }

  private struct State {
    var nextOrdinal: UInt64 = 0
    /// Ascending. A handful: as many as there are versions pinned.
    var living: [UInt64] = []
    var born: [UInt64: UInt64] = [:]
    var condemned: [Condemned] = []

    mutating func takeUnnamed() -> [Condemned] {
      let living = self.living
      let isNamed = { (table: Condemned) in living.contains { table.named.contains($0) } }
      let unnamed = condemned.filter { !isNamed($0) }
      condemned.removeAll { !isNamed($0) }
      return unnamed
    }
  }

  private let storage: any Storage
  private let cache: BlockCache
  private let state = Mutex(State())

  init(storage: any Storage, cache: BlockCache) {
    self.storage = storage
    self.cache = cache
  }

  /// Registers a version, and returns its number for `versionDied`.
  func versionBorn(adding added: [UInt64], removing removed: [UInt64]) -> UInt64 {
    state.withLock { state in
      let ordinal = state.nextOrdinal
      state.nextOrdinal += 1
      state.living.append(ordinal)
      for number in added { state.born[number] = ordinal }
      for number in removed {
        let born = state.born.removeValue(forKey: number) ?? 0
        state.condemned.append(Condemned(number: number, named: born..<ordinal))
      }
      return ordinal
    }
  }

  func versionDied(_ ordinal: UInt64) {
    state.withLock { state in state.living.removeAll { $0 == ordinal } }
  }

  /// Deletes what can be deleted, and returns how many files that were. A file that cannot be removed is kept in mind
  /// and tried again by the next call; the first such failure is thrown when all others are through.
  ///
  /// REQUIRES: `Manifest.hasUncertainEdit` is false. Until then the manifest on disk may still name what was removed.
  @discardableResult
  func reap() throws(SiltstoneError) -> Int {
    let unnamed = state.withLock { $0.takeUnnamed() }
    var failure: SiltstoneError?
    var count = 0
    for table in unnamed {
      do throws(SiltstoneError) {
        try storage.remove(TableFile.name(table.number))
        cache.eraseTable(table.number)
        count += 1
      } catch {
        failure = failure ?? error
        state.withLock { $0.condemned.append(table) }
      }
    }
    if let failure { throw failure }
    return count
  }

  /// Files that wait for a version to be let go, or for `reap`.
  var condemnedCount: Int { state.withLock { $0.condemned.count } }
}
