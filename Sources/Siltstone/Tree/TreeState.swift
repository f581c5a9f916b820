/// All that the manifest says: the layout, and the few numbers beside it. What its edits add up to.
struct TreeState: Equatable, Sendable {
  let creation: VersionEdit.Creation
  var logStart: LogPosition = 0
  var nextFileNumber: UInt64 = 1
  var nextRunID: UInt64 = 1
  var layout = TreeLayout()

  init(_ creation: VersionEdit.Creation) { self.creation = creation }

  /// The state that a manifest's first edit describes; nil if it is not a first edit.
  init?(first edit: VersionEdit) throws(LayoutViolation) {
    guard let creation = edit.creation else { return nil }
    self.init(creation)
    var rest = edit
    rest.creation = nil
    try apply(rest)
  }

  /// Carries out `edit`, or throws and has then an unspecified value.
  mutating func apply(_ edit: VersionEdit) throws(LayoutViolation) {
    if edit.creation != nil { throw LayoutViolation(message: "the database is created twice") }
    logStart = try TreeState.advance(logStart, edit.logStart, "the log's start")
    nextFileNumber = try TreeState.advance(nextFileNumber, edit.nextFileNumber, "the next file number")
    nextRunID = try TreeState.advance(nextRunID, edit.nextRunID, "the next run id")
    if logStart > KeyTrailer.maxSequence { throw LayoutViolation(message: "the log's start is out of range") }
    if max(nextFileNumber, nextRunID) > Limits.maxFileNumber {
      throw LayoutViolation(message: "a file's or a run's number is out of range")
    }
    for addition in edit.additions where addition.table.number >= nextFileNumber || addition.run >= nextRunID {
      throw LayoutViolation(
        message: "table \(addition.table.number) of run \(addition.run) has a number that was never given out"
      )
    }
    try layout.apply(edit)
  }

  private static func advance(_ old: UInt64, _ new: UInt64?, _ what: String) throws(LayoutViolation) -> UInt64 {
    guard let new else { return old }
    if new < old { throw LayoutViolation(message: "\(what) goes back from \(old) to \(new)") }
    return new
  }

  /// The one edit that makes this state out of nothing.
  var snapshot: VersionEdit {
    var edit = VersionEdit(
      creation: creation, logStart: logStart, nextFileNumber: nextFileNumber, nextRunID: nextRunID)
    for (number, level) in layout.levels.enumerated() {
      for run in level.runs {
        for table in run.tables { edit.add(table, level: number, run: run.id) }
      }
    }
    return edit
  }
}
