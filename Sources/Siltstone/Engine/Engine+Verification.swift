extension Engine {
  /// Reads everything back: the manifest, every table, the log. What is wrong with one file does not keep the others
  /// from being checked.
  func verify(_ progress: (String) -> Void) throws(SiltstoneError) -> VerifyReport {
    try checkOpen()
    var report = VerifyReport()
    try tree.follow()
    let version = try view.load().version
    defer { withExtendedLifetime(version) {} }  // its pin keeps what is read
    check("manifest", progress, &report) { () throws(SiltstoneError) in
      try verifyManifest(version)
      return "\(version.layout.tables.count) tables in \(version.layout.runCount) runs"
    }
    for level in version.levels {
      for run in level.runs {
        for table in run.tables {
          check(TableFile.name(table.metadata.number), progress, &report) { () throws(SiltstoneError) in
            var values = 0
            try table.verify(segmentBytes: segments.segmentBytes) { (pointer) throws(SiltstoneError) in
              _ = try self.values.value(pointer, mayCache: false)
              values += 1
            }
            let apart = values > 0 ? ", \(values) values in the log" : ""
            return "\(table.metadata.entryCount) entries, \(table.metadata.sizeBytes) bytes\(apart)"
          }
          report.tables += 1
          report.entries += table.metadata.entryCount
          report.tableBytes += table.metadata.sizeBytes
        }
      }
    }
    var records = 0
    check("log", progress, &report) { () throws(SiltstoneError) in
      records = try verifyLog()
      return "\(records) records"
    }
    report.logRecords = records
    for problem in report.problems { emit(Event(.corruption, "\(problem)", error: problem)) }
    return report
  }

  private func check(
    _ name: String, _ progress: (String) -> Void, _ report: inout VerifyReport,
    _ body: () throws(SiltstoneError) -> String
  ) {
    do throws(SiltstoneError) {
      progress("\(name): \(try body())")
    } catch {
      report.problems.append(error)
      progress("\(name): \(error)")
    }
  }

  private func verifyManifest(_ version: Version) throws(SiltstoneError) {
    do throws(LayoutViolation) {
      try version.checkInvariants()
    } catch {
      throw .corrupt("the tree contradicts itself: \(error.message)", file: CurrentFile.name)
    }
    try tree.verifyManifest()
  }

  /// Whether the log at `position` has become superfluous, and its file may have been renamed or written over. What was
  /// recovered privately was read whole, and verified, and is in memory: then whoever has come since may have done so.
  private func isSuperfluous(_ position: LogPosition) -> Bool { shared.isPrivate || tree.logStart > position }

  /// Reads the log files from where the log begins to what is in them by now.
  private func verifyLog() throws(SiltstoneError) -> Int {
    let drained = shared.drained
    let begin = tree.logStart
    var reader = LogReader(
      storage: storage, database: tree.creation.database, segmentBytes: segments.segmentBytes, from: begin, ring: nil,
      end: drained)
    var records = 0
    while reader.position < drained {
      let next: LogReader.Record?
      do throws(SiltstoneError) {
        next = try reader.next()
      } catch {
        if isSuperfluous(reader.position) { return records }
        throw error
      }
      guard let record = next else {
        if isSuperfluous(reader.position) || reader.isCutShort { return records }
        throw .corrupt(
          "the log does not verify", file: LogSegment.fileName(reader.position / segments.segmentBytes),
          offset: UInt64(LogSegment.headerBytes) + reader.position % segments.segmentBytes)
      }
      if !record.header.continues, !record.header.isContinuation, EntryEncoding.measure(record.payload) == nil {
        throw .corrupt("the log record at position \(record.position) makes no sense", file: "log")
      }
      records += 1
    }
    return records
  }
}
