/// The tree at one moment, with its tables open. Immutable and thread-safe. Whoever holds a version pins it: the files
/// that it names stay, and stay readable, until the last reference goes.
final class Version: Sendable {
  let layout: TreeLayout
  let levels: [Level]
  private let tables: [UInt64: Table]
  private let reaper: TableReaper
  private let ordinal: UInt64

  private init(
    _ layout: TreeLayout, _ levels: [Level], _ tables: [UInt64: Table], _ reaper: TableReaper,
    _ ordinal: UInt64
  ) {
    self.layout = layout
    self.levels = levels
    self.tables = tables
    self.reaper = reaper
    self.ordinal = ordinal
  }

  deinit { reaper.versionDied(ordinal) }

  /// Opens every table of `layout`.
  ///
  /// - Throws: `.missingFile` with the name of a table that is not there, or whatever opening it throws.
  static func open(
    _ layout: TreeLayout, storage: any Storage, cache: BlockCache, reaper: TableReaper
  ) throws(SiltstoneError) -> Version {
    var tables: [UInt64: Table] = [:]
    for metadata in layout.tables {
      tables[metadata.number] = try Table(storage: storage, metadata: metadata, cache: cache)
    }
    let ordinal = reaper.versionBorn(adding: layout.tables.map(\.number), removing: [])
    return Version(layout, Version.build(layout, tables, reusing: []), tables, reaper, ordinal)
  }

  /// The version after `edit`. The files that the edit removes are deleted once no version names them, so call this
  /// only when the manifest has the edit. REQUIRES: the edit fits this version, and `opened` has each table that it
  /// adds and this version does not have.
  func applying(_ edit: VersionEdit, opened: [Table]) -> Version {
    var next = layout
    do throws(LayoutViolation) { try next.apply(edit) } catch {
      preconditionFailure("the edit does not fit: \(error.message)")
    }
    var tables = self.tables
    for number in edit.removals { tables[number] = nil }
    let added = Set(edit.additions.map(\.table.number))
    for number in added { tables[number] = self.tables[number] }
    for table in opened { tables[table.metadata.number] = table }
    let fresh = added.filter { self.tables[$0] == nil }
    let ordinal = reaper.versionBorn(
      adding: fresh.sorted(), removing: edit.removals.filter { !added.contains($0) })
    return Version(next, Version.build(next, tables, reusing: levels), tables, reaper, ordinal)
  }

  /// Makes the runs of `layout`, taking those that did not change from `old`.
  private static func build(_ layout: TreeLayout, _ tables: [UInt64: Table], reusing old: [Level]) -> [Level] {
    layout.levels.enumerated().map { index, level in
      Level(
        runs: level.runs.map { run in
          let objects = run.tables.map { metadata in
            guard let table = tables[metadata.number] else {
              preconditionFailure("table \(metadata.number) was not opened")
            }
            return table
          }
          if index < old.count, let same = old[index].runs.first(where: { $0.id == run.id }),
            same.tables.elementsEqual(objects, by: ===)
          {
            return same
          }
          return Run(id: run.id, tables: objects)
        })
    }
  }

  var sizeBytes: UInt64 { layout.sizeBytes }
  var entryCount: UInt64 { layout.entryCount }

  /// The open table of this number. REQUIRES: the version has it.
  func table(_ number: UInt64) -> Table {
    guard let table = tables[number] else { preconditionFailure("the version has no table \(number)") }
    return table
  }

  func checkInvariants() throws(LayoutViolation) {
    try layout.checkInvariants()
    for (level, open) in zip(layout.levels, levels) {
      let matches = zip(level.runs, open.runs).allSatisfy { run, openRun in
        run.id == openRun.id && run.tables.elementsEqual(openRun.tables) { $0 == $1.metadata }
      }
      guard matches, level.runs.count == open.runs.count else {
        throw LayoutViolation(message: "the open tables are not those of the layout")
      }
    }
  }
}
