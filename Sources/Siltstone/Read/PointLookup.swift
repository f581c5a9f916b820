/// Watches a lookup probe one structure after the other. `Unobserved` compiles to nothing, so the traced lookup and
/// the fast one are the same code.
protocol LookupObserver {
  mutating func probedMemtable(_ memtable: Memtable, isActive: Bool, outcome: LookupResult.Outcome)
  /// `table` is nil if no table of the run covers the key.
  mutating func probedRun(level: Int, _ run: Run, _ table: Table?, before: LookupProbes, after: borrowing LookupResult)
}

struct Unobserved: LookupObserver {
  @inline(__always) mutating func probedMemtable(_: Memtable, isActive: Bool, outcome: LookupResult.Outcome) {}
  @inline(__always) mutating func probedRun(
    level: Int, _: Run, _: Table?, before: LookupProbes, after: borrowing LookupResult
  ) {}
}

extension ReadView {
  /// The newest version of `key` that a read at `position` sees: memtables from newest to oldest, then each level's
  /// runs from newest to oldest; the first structure that knows the key decides. The key is hashed once for all
  /// filters.
  ///
  /// `result.value` stays valid while both `result` and this view live.
  @inline(__always)
  func lookUp<Observer: LookupObserver>(
    _ key: ByteView, at position: LogPosition, into result: inout LookupResult, _ observer: inout Observer
  ) throws(SiltstoneError) {
    if try probe(active, isActive: true, key, position, &result, &observer) { return }
    for memtable in sealed {
      if try probe(memtable, isActive: false, key, position, &result, &observer) { return }
    }
    let hash = KeyHash.of(key)
    for (number, level) in version.levels.enumerated() {
      for run in level.runs {
        let table = run.table(covering: key)
        let before = LookupProbes(result)
        if let table {
          try table.get(key, hash: hash, snapshot: position, into: &result)
        }
        observer.probedRun(level: number, run, table, before: before, after: result)
        if result.outcome != .notFound { return }
      }
    }
  }

  @inline(__always)
  private func probe<Observer: LookupObserver>(
    _ memtable: Memtable, isActive: Bool, _ key: ByteView, _ position: LogPosition, _ result: inout LookupResult,
    _ observer: inout Observer
  ) throws(SiltstoneError) -> Bool {
    if let (trailer, value) = try memtable.get(key, snapshot: position) {
      // The memtable is pinned by this view.
      if trailer.isPut { result.setFound(value, trailer) } else { result.setDeleted(trailer) }
    }
    observer.probedMemtable(memtable, isActive: isActive, outcome: result.outcome)
    return result.outcome != .notFound
  }
}
