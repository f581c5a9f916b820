internal import Synchronization

/// Deletes table files that no living view names, of whatever process. Thread-safe.
///
/// A table is named by every generation from the one that added it up to, not including, the one that removed it; so
/// its file can go when nobody reads from a generation in that interval. Every process that has seen a table removed
/// tries to delete it, since the one that removed it may die; numbers are never used again, so none does harm. The
/// files go in `reap`, which a background thread calls: deleting a large file takes milliseconds.
///
/// A crash may leave files behind that nothing names: `DatabaseFiles.removeUnnamed` finds them on the next open.
final class TableReaper: Sendable {
  private struct Condemned {
    let number: UInt64
    let named: Range<UInt64>
  }

  private struct State {
    /// No generation before this one names the table. A table without an entry may have been there for ever.
    var born: [UInt64: UInt64] = [:]
    var condemned: [Condemned] = []
  }

  private let storage: any Storage
  private let cache: BlockCache
  private let state = Mutex(State())

  init(storage: any Storage, cache: BlockCache) {
    self.storage = storage
    self.cache = cache
  }

  /// No generation before `generation` names these tables.
  func note(_ numbers: [UInt64], bornIn generation: UInt64) {
    state.withLock { state in for number in numbers { state.born[number] = generation } }
  }

  /// Neither `generation` nor any later one names these tables.
  func condemn(_ numbers: [UInt64], endedBy generation: UInt64) {
    state.withLock { state in
      for number in numbers {
        let born = min(state.born.removeValue(forKey: number) ?? 0, generation)
        state.condemned.append(Condemned(number: number, named: born..<generation))
      }
    }
  }

  func isCondemned(_ number: UInt64) -> Bool { state.withLock { $0.condemned.contains { $0.number == number } } }

  /// Deletes what can be deleted, and returns how many files that were. A file that cannot be removed is kept in mind
  /// and tried again by the next call; the first such failure is thrown when all others are through.
  ///
  /// REQUIRES: no edit is uncertain. Until then the manifest on disk may still name what was removed.
  ///
  /// - Parameter nobodyReads: whether no living view is of one of these generations.
  @discardableResult
  func reap(_ nobodyReads: (Range<UInt64>) -> Bool) throws(SiltstoneError) -> Int {
    let candidates = state.withLock { state in
      let candidates = state.condemned
      state.condemned = []
      return candidates
    }
    var kept: [Condemned] = []
    var failure: SiltstoneError?
    var count = 0
    for table in candidates {
      guard nobodyReads(table.named) else {
        kept.append(table)
        continue
      }
      do throws(SiltstoneError) {
        try storage.remove(TableFile.name(table.number))
        cache.eraseTable(table.number)
        count += 1
      } catch {
        failure = failure ?? error
        kept.append(table)
      }
    }
    state.withLock { $0.condemned += kept }
    if let failure { throw failure }
    return count
  }

  /// How many files wait for views of the generations for which `holds` is true.
  func condemnedCount(_ holds: (Range<UInt64>) -> Bool) -> Int {
    state.withLock { $0.condemned.count { holds($0.named) } }
  }

  /// Files that wait for a view to be let go, or for `reap`.
  var condemnedCount: Int { state.withLock { $0.condemned.count } }
}
