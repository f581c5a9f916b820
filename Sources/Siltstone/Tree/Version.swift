/// The tree at one moment, with its tables open. Immutable and thread-safe. Whoever holds a version pins the generation
/// it was taken in: the files that it names stay, and stay readable, until the last reference goes.
final class Version: Sendable {
  let layout: TreeLayout
  let levels: [Level]
  /// Bytes of values in log segments, by segment.
  let segmentUse: [UInt64: UInt64]
  private let tables: [UInt64: Table]
  private let pin: GenerationPin

  private init(_ layout: TreeLayout, _ levels: [Level], _ tables: [UInt64: Table], _ pin: GenerationPin) {
    self.layout = layout
    self.levels = levels
    segmentUse = layout.segmentUse
    self.tables = tables
    self.pin = pin
  }

  /// The generation in which it was what there is to read from.
  var generation: UInt64 { pin.generation }

  /// The same, keeping nothing: for those who only ask what there was.
  func unpinned() -> Version { Version(layout, levels, tables, GenerationPin(unpinned: generation)) }

  /// Opens every table of `layout`.
  ///
  /// - Parameter pin: of a generation in which the layout was current.
  /// - Throws: `.missingFile` with the name of a table that is not there, or whatever opening it throws.
  static func open(
    _ layout: TreeLayout, storage: any Storage, cache: BlockCache, pin: GenerationPin
  ) throws(SiltstoneError) -> Version {
    var tables: [UInt64: Table] = [:]
    for metadata in layout.tables {
      tables[metadata.number] = try Table(storage: storage, metadata: metadata, cache: cache)
    }
    return Version(layout, Version.build(layout, tables, reusing: []), tables, pin)
  }

  /// A later version, with the tables of this one that it still has, and `opened`. REQUIRES: that is all of them.
  func becoming(_ layout: TreeLayout, opened: [Table], pin: GenerationPin) -> Version {
    var known = tables
    for table in opened { known[table.metadata.number] = table }
    var next: [UInt64: Table] = [:]
    for metadata in layout.tables { next[metadata.number] = known[metadata.number] }
    return Version(layout, Version.build(layout, next, reusing: levels), next, pin)
  }

  func has(_ number: UInt64) -> Bool { tables[number] != nil }
  var tableNumbers: [UInt64] { Array(tables.keys) }

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
