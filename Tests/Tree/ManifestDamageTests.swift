import Foundation
import Testing

@testable import Siltstone

/// A manifest that was torn by a crash, and one that was damaged later.
@Suite struct ManifestDamageTests {
  private let directory = TemporaryDirectory()
  private let storage: DiskStorage
  /// The file, the state after each edit, and where each edit ends, its mark not included.
  private let bytes: [UInt8]
  private let states: [TreeState]
  private let ends: [Int]
  private let name = "MANIFEST-000001"

  init() throws {
    storage = try DiskStorage(path: directory.path, create: false, backend: .plain)
    var manifest = try Manifest.create(storage, ManifestTests.creation)
    var states = [manifest.state]
    var ends = [Int(manifest.bytesWritten)]
    for number in 1...4 as ClosedRange<UInt64> {
      let before = manifest.bytesWritten
      try manifest.commit(ManifestTests.addition(number))
      states.append(manifest.state)
      ends.append(ends[ends.count - 1] + RecordFraming.headerBytes + Int(manifest.bytesWritten - before))
    }
    self.states = states
    self.ends = ends
    bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory.file(name))))
    #expect(bytes.count == ends[4] + RecordFraming.headerBytes)
  }

  private func recover(_ contents: [UInt8]) throws -> (TreeState, Manifest.Recovered) {
    try Data(contents).write(to: URL(fileURLWithPath: directory.file(name)))
    var recovered = Manifest.Recovered(fileName: "")
    let manifest = try Manifest.recover(storage, &recovered)
    return (manifest.state, recovered)
  }

  private func failure(_ contents: [UInt8]) -> SiltstoneError? {
    do { _ = try recover(contents) } catch { return error as? SiltstoneError }
    return nil
  }

  /// The last edit that is whole in the first `length` bytes.
  private func lastWhole(_ length: Int) -> Int? { ends.lastIndex { $0 <= length } }

  @Test func anythingBehindTheLastWholeEditIsCutOff() throws {
    for length in 0...bytes.count {
      let contents = [UInt8](bytes[..<length])
      guard let last = lastWhole(length) else {
        // Not even the first edit: CURRENT never named such a file.
        let error = try #require(failure(contents))
        #expect(error.code == .corruption && error.file == name)
        continue
      }
      let (state, recovered) = try recover(contents)
      #expect(state == states[last], "cut at \(length)")
      #expect(recovered.editCount == last + 1)
    }
  }

  @Test func aTornEditMayHaveHolesAnywhere() throws {
    var generator = SeededGenerator(seed: 21)
    // The last edit, of which each part of 16 bytes reached the disk or did not, and no mark behind it.
    let start = ends[3] + RecordFraming.headerBytes
    for _ in 0..<300 {
      var contents = [UInt8](bytes[..<ends[4]])
      for chunk in stride(from: start, to: ends[4], by: 16) where Bool.random(using: &generator) {
        for index in chunk..<min(chunk + 16, ends[4]) { contents[index] = 0 }
      }
      contents += [UInt8](repeating: 0, count: Int.random(in: 0...64, using: &generator))
      let (state, _) = try recover(contents)
      #expect(state == states[3] || state == states[4])
    }
  }

  @Test func everyFlippedByteIsFound() throws {
    var intact = 0
    for index in bytes.indices {
      for bit in [0x01, 0x80] as [UInt8] {
        var contents = bytes
        contents[index] ^= bit
        guard let error = failure(contents) else {
          // Only the last mark says nothing that is not said elsewhere.
          #expect(index >= ends[4], "a flip at \(index) went unseen")
          intact += 1
          continue
        }
        #expect(error.code == .corruption || error.code == .unsupportedVersion, "\(error)")
        #expect(error.file == name)
        #expect(error.offset != nil)
      }
    }
    #expect(intact == 2 * RecordFraming.headerBytes)
  }

  @Test func theErrorSaysWhere() throws {
    var contents = bytes
    contents[ends[1] + 40] ^= 1  // in the third edit, behind the second's mark
    let error = try #require(failure(contents))
    #expect(error.code == .corruption)
    #expect(error.offset == UInt64(ends[1] + RecordFraming.headerBytes))
  }

  @Test func theLastEditIsProtectedByItsMark() throws {
    for index in (ends[3] + RecordFraming.headerBytes)..<ends[4] {
      var contents = bytes
      contents[index] ^= 0x10
      #expect(failure(contents)?.code == .corruption)
      // Without the mark the edit was never acknowledged, as far as anybody can tell.
      #expect(try recover([UInt8](contents[..<ends[4]])).0 == states[3])
    }
  }

  @Test func anEditThatCannotBeIsCorruption() throws {
    var file = ByteBuffer()
    ManifestFile.appendHeader(ManifestTests.creation.database, number: 1, to: &file)
    ManifestFile.append(states[0].snapshot, at: UInt64(file.count), to: &file)
    var edit = VersionEdit()
    edit.remove(33)
    let offset = file.count
    ManifestFile.append(edit, at: UInt64(offset), to: &file)
    let error = try #require(failure(file.view.copied()))
    #expect(error.code == .corruption)
    #expect(error.offset == UInt64(offset))
    #expect(error.message.contains("table 33"))
  }

  // MARK: - CURRENT

  @Test func everyDamageToCurrentIsFound() throws {
    let url = URL(fileURLWithPath: directory.file("CURRENT"))
    let current = [UInt8](try Data(contentsOf: url))
    #expect(String(decoding: current, as: UTF8.self).hasPrefix("MANIFEST-000001 "))
    var damaged: [[UInt8]] = current.indices.map { [UInt8](current[..<$0]) }
    for index in current.indices {
      for bit in 0..<8 {
        var contents = current
        contents[index] ^= 1 << UInt8(bit)
        damaged.append(contents)
      }
    }
    damaged.append(current + current)
    damaged.append([UInt8](repeating: 65, count: 5000))
    for contents in damaged {
      try Data(contents).write(to: url)
      var recovered = Manifest.Recovered(fileName: "")
      let error = #expect(throws: SiltstoneError.self) { _ = try Manifest.recover(storage, &recovered) }
      #expect(error?.code == .corruption)
      #expect(error?.file == "CURRENT")
    }
    try Data(current).write(to: url)
    #expect(try recover(bytes).0 == states[4])
  }

  @Test func whatIsMissingIsNamed() throws {
    var recovered = Manifest.Recovered(fileName: "")
    try storage.remove(name)
    var error = #expect(throws: SiltstoneError.self) { _ = try Manifest.recover(storage, &recovered) }
    #expect(error?.code == .missingFile && error?.file == name)

    try storage.remove("CURRENT")
    error = #expect(throws: SiltstoneError.self) { _ = try Manifest.recover(storage, &recovered) }
    #expect(error?.code == .notADatabase)

    // The making of a database, cut short.
    _ = try storage.open(name, .createBuffered)
    error = #expect(throws: SiltstoneError.self) { _ = try Manifest.recover(storage, &recovered) }
    #expect(error?.code == .notADatabase)

    _ = try storage.open("000003.sst", .createBuffered)
    error = #expect(throws: SiltstoneError.self) { _ = try Manifest.recover(storage, &recovered) }
    #expect(error?.code == .missingFile && error?.file == "CURRENT")
  }

  @Test func aManifestOfAnotherNameOrDatabaseIsRefused() throws {
    var other = ByteBuffer()
    ManifestFile.appendHeader(DatabaseID(high: 9, low: 9), number: 1, to: &other)
    #expect(failure(other.view.copied() + bytes[ManifestFile.headerBytes...])?.code == .corruption)
    var renamed = ByteBuffer()
    ManifestFile.appendHeader(ManifestTests.creation.database, number: 2, to: &renamed)
    let error = try #require(failure(renamed.view.copied() + bytes[ManifestFile.headerBytes...]))
    #expect(error.code == .corruption && error.message.contains("MANIFEST-000002"))
  }
}
