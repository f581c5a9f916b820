import Testing

@testable import Siltstone

@Suite struct ManifestTests {
  private let directory = TemporaryDirectory()
  private let storage: FaultStorage

  init() throws {
    storage = FaultStorage(try DiskStorage(path: directory.path, create: false, backend: .plain))
  }

  static let creation = VersionEdit.Creation(database: DatabaseID(high: 17, low: 4), logSegmentBytes: 1 << 20)

  /// An edit that adds table `number`.
  static func addition(_ number: UInt64) -> VersionEdit {
    var edit = VersionEdit(logStart: number * 100, nextFileNumber: number + 1, nextRunID: number + 1)
    edit.add(paperTable(number, Int(number) * 10, Int(number) * 10 + 5), level: 0, run: number)
    return edit
  }

  private func recover() throws -> (state: TreeState, recovered: Manifest.Recovered) {
    var recovered = Manifest.Recovered(fileName: "")
    let manifest = try Manifest.recover(storage, &recovered)
    return (manifest.state, recovered)
  }

  private func manifests() throws -> [String] {
    try storage.list().filter { ManifestFile.number(fromName: $0) != nil }.sorted()
  }

  @Test func whatIsCommittedIsRecovered() throws {
    var manifest = try Manifest.create(storage, Self.creation)
    #expect(try recover().state == manifest.state)
    for number in 1...20 as ClosedRange<UInt64> {
      try manifest.commit(Self.addition(number))
      let (state, recovered) = try recover()
      #expect(state == manifest.state)
      #expect(recovered == .init(fileName: "MANIFEST-000001", editCount: Int(number) + 1))
    }
    #expect(manifest.state.logStart == 2000)
    #expect(manifest.state.layout.runCount == 20)
  }

  @Test func theFirstCommitAfterOpeningBeginsANewFile() throws {
    var manifest = try Manifest.create(storage, Self.creation)
    try manifest.commit(Self.addition(1))
    for round in 2...6 as ClosedRange<UInt64> {
      let before = try storage.list().sorted()
      var recovered = Manifest.Recovered(fileName: "")
      var next = try Manifest.recover(storage, &recovered)
      #expect(try storage.list().sorted() == before, "opening writes nothing")
      try next.commit(Self.addition(round))
      next.removeOthers()
      try next.sync()
      #expect(try manifests() == [ManifestFile.name(round)])
      #expect(try recover().state == next.state)
      #expect(try recover().recovered.editCount == 1)
    }
  }

  @Test func aManifestThatHasGrownIsRewritten() throws {
    var manifest = try Manifest.create(storage, Self.creation)
    // Large keys, one table: the snapshot stays small while the history grows.
    let key = [UInt8](repeating: 7, count: 60_000)
    for number in 1...40 as ClosedRange<UInt64> {
      var edit = VersionEdit(nextFileNumber: number + 1, nextRunID: 2)
      var table = paperTable(number, 1, 1)
      table.smallestKey = key
      table.largestKey = key
      if number > 1 { edit.remove(number - 1) }
      edit.add(table, level: 0, run: 1)
      try manifest.commit(edit)
      manifest.removeOthers()
    }
    #expect(manifest.bytesWritten > 4_000_000)
    let file = try #require(try manifests().last)
    #expect(try manifests().count == 1)
    #expect(try #require(ManifestFile.number(fromName: file)) > 2)
    #expect(try storage.open(file, .readBuffered).sizeBytes() < 1_400_000)
    #expect(try recover().state == manifest.state)
  }

  @Test func anEditMayBeLargerThanARecord() throws {
    var edit = Self.creationEdit
    for number in 1...400 as ClosedRange<UInt64> {
      edit.add(paperTable(number, Int(number), Int(number)), level: 1, run: 1)
    }
    edit.nextFileNumber = 401
    edit.nextRunID = 2
    for limit in [1, 7, 100, 4096, 1 << 20] {
      var file = ByteBuffer()
      ManifestFile.appendHeader(Self.creation.database, number: 1, to: &file)
      ManifestFile.append(edit, at: UInt64(file.count), to: &file, maxPayloadBytes: limit)
      ManifestFile.appendMark(at: UInt64(file.count), to: &file)
      var reader = ManifestReader(file.view, file: "M")
      #expect(try reader.next() == edit)
      #expect(try reader.next() == nil)
      #expect(reader.tornBytes == 0)
    }
  }

  static var creationEdit: VersionEdit { VersionEdit(creation: creation, logStart: 0) }

  // MARK: - Failures

  /// Every call that a commit makes, failing once: the state is unchanged, the next commit succeeds in a new file, and
  /// what is on disk is never anything but the old state or the new one.
  @Test(
    arguments: [
      FaultStorage.Call.write, .sync, .create, .rename, .syncDirectory, .remove,
    ], [0, 1, 2])
  func afterAFailureTheNextCommitStartsAfresh(call: FaultStorage.Call, after: Int) throws {
    for reopened in [false, true] {
      for name in try storage.list() { try storage.remove(name) }
      var manifest = try Manifest.create(storage, Self.creation)
      try manifest.commit(Self.addition(1))
      if reopened {
        var recovered = Manifest.Recovered(fileName: "")
        manifest = try Manifest.recover(storage, &recovered)
      }
      let before = manifest.state
      var after1 = before
      try after1.apply(Self.addition(2))
      storage.inject(
        .init(call: call, nameSuffix: "", after: after, isSticky: true, error: FaultStorage.ioError("x")))
      let hitsBefore = storage.hits
      var failed = false
      do throws(SiltstoneError) { try manifest.commit(Self.addition(2)) } catch { failed = true }
      let wasHit = storage.hits > hitsBefore
      storage.clear()
      // A new file takes every one of these calls.
      if reopened, after == 0 { #expect(failed) }
      if failed {
        #expect(wasHit)
        #expect(manifest.state == before)
        let onDisk = try recover().state
        #expect(onDisk == before || onDisk == after1)
        let names = try manifests()
        try manifest.commit(Self.addition(2))
        #expect(manifest.hasUncertainEdit == false)
        let fresh = try recover().recovered.fileName
        #expect(call == .syncDirectory || !names.contains(fresh))
      }
      #expect(manifest.state == after1)
      #expect(try recover().state == after1)
      try manifest.commit(Self.addition(3))
      manifest.removeOthers()
      #expect(try recover().state == manifest.state)
      #expect(try manifests().count == 1 || call == .remove)
    }
  }

  @Test func aFailedSyncIsUncertainUntilTheNextSuccess() throws {
    var manifest = try Manifest.create(storage, Self.creation)
    storage.inject(
      .init(call: .sync, nameSuffix: "", after: 0, isSticky: false, error: FaultStorage.ioError("x")))
    #expect(throws: SiltstoneError.self) { try manifest.commit(Self.addition(1)) }
    #expect(manifest.hasUncertainEdit == true)
    try manifest.commit(Self.addition(1))
    #expect(manifest.hasUncertainEdit == false)
    #expect(try recover().recovered.fileName == "MANIFEST-000002")
  }

  /// Taking away what is not there, and adding what is there already: refused before anything is written.
  @Test func anEditThatDoesNotFitIsRefused() throws {
    var manifest = try Manifest.create(storage, Self.creation)
    try manifest.commit(Self.addition(1))
    let before = manifest.state
    var removal = VersionEdit()
    removal.remove(7)
    for edit in [removal, Self.addition(1)] {
      let error = #expect(throws: SiltstoneError.self) { try manifest.commit(edit) }
      #expect(error?.code == .unfitEdit)
      #expect(manifest.state == before && manifest.hasUncertainEdit == false)
      #expect(try recover().state == before)
    }
    try manifest.commit(Self.addition(2))
    #expect(try recover().recovered.fileName == "MANIFEST-000001")
  }

  @Test func aFullDiskPasses() throws {
    var manifest = try Manifest.create(storage, Self.creation)
    try manifest.commit(Self.addition(1))
    let before = manifest.state
    storage.diskIsFull = true
    for _ in 0..<3 {
      let error = #expect(throws: SiltstoneError.self) { try manifest.commit(Self.addition(2)) }
      #expect(error?.code == .diskFull)
      #expect(manifest.state == before)
      #expect(try recover().state == before)
    }
    storage.diskIsFull = false
    try manifest.commit(Self.addition(2))
    #expect(try recover().state == manifest.state)
    #expect(manifest.state.layout.runCount == 2)
  }

  @Test func filesThatNobodyNamesAreRemoved() throws {
    var manifest = try Manifest.create(storage, Self.creation)
    try manifest.commit(Self.addition(1))
    let superfluous = ["000002.sst", "000777.sst", "MANIFEST-000009", "CURRENT.new"]
    for name in superfluous + ["000001.sst", "notes.txt", "000001.log"] {
      _ = try storage.open(name, .createBuffered)
    }
    #expect(try DatabaseFiles.removeUnnamed(storage, manifest) == superfluous.sorted())
    #expect(try storage.list().sorted() == ["000001.log", "000001.sst", "CURRENT", "MANIFEST-000001", "notes.txt"])
  }
}
