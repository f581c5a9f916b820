import CSupport
import Foundation
import Testing

@testable import Siltstone

/// Damage to any file: the right data, or a typed error that names the file; never wrong data, and no harm to the rest.
@Suite struct CorruptionTests {
  /// A database with tables on two levels and some log beyond them.
  final class Specimen {
    let disk: CrashDisk
    let backup: [String: [UInt8]]
    let expected: [String: String]

    /// Without `isClean`, as a death of the process leaves it, with the log's end in the ring alone.
    init(isClean: Bool = true) throws {
      let busy = CrashDisk()
      let engine = try Engine.open("", Specimen.options, on: busy)
      var expected: [String: String] = [:]
      for round in 0..<4 {
        for number in stride(from: round, to: 120, by: round + 1) {
          let value = "\(round)/\(number)/" + String(repeating: "v", count: number % 70)
          try engine.put("key\(number)", value)
          expected["key\(number)"] = value
        }
        try engine.flush()
        if round == 1 { try engine.compact(.all) }
      }
      for number in 200..<230 {
        try engine.put("key\(number)", "log")
        expected["key\(number)"] = "log"
      }
      try engine.sync()
      for number in 230..<250 {
        try engine.put("key\(number)", "ring")
        expected["key\(number)"] = "ring"
      }
      if isClean {
        try engine.close()
        disk = busy
      } else {
        disk = busy.crashed(.process)
        try engine.close()
      }
      backup = disk.backup()
      self.expected = expected
    }

    static var options: Options {
      var options = Options.small()
      options.compactionThreads = 1
      return options
    }

    enum Outcome { case right, refused(SiltstoneError), wrong(String) }

    /// Opens it as it is and reads it all, by lookups and by a scan: for reading only, and then as one that recovers
    /// it. Both must come to the same, and the first must change nothing.
    func read() -> Outcome {
      let before = disk.backup()
      let readOnly = read(.readOnly)
      if disk.backup() != before { Issue.record("read-only opening has changed something: \(readOnly)") }
      let outcome = read(.processes)
      if "\(readOnly)" != "\(outcome)" { Issue.record("\(outcome), but for reading only \(readOnly)") }
      return outcome
    }

    private func read(_ sharing: Options.Sharing) -> Outcome {
      do throws(SiltstoneError) {
        var options = Specimen.options
        options.sharing = sharing
        let engine = try Engine.open("", options, on: disk)
        defer { try? engine.close() }
        var seen: [String: String] = [:]
        try engine.scan(.all, at: nil, reverse: false) { (key, value) throws(SiltstoneError) in
          let name = String(decoding: ByteView(key).copied(), as: UTF8.self)
          seen[name] = String(decoding: ByteView(value).copied(), as: UTF8.self)
          return true
        }
        if seen != expected { return .wrong("a scan finds \(seen.count) of \(expected.count)") }
        for number in stride(from: 0, to: 260, by: 13) {
          let found = try engine.text("key\(number)")
          if found != expected["key\(number)"] { return .wrong("key\(number): \(found ?? "nil")") }
        }
        return .right
      } catch {
        return .refused(error)
      }
    }
  }

  /// What a test saw, so that it cannot pass without having seen anything.
  struct Tally {
    var right = 0
    var refused = 0
  }

  /// Damages `name` to `bytes`, reads, and puts the file back: then all must be there again.
  static func examine(
    _ specimen: Specimen, _ name: String, _ bytes: [UInt8]?, _ what: String, _ tally: inout Tally,
    mayName: (String) -> Bool = { _ in false }
  ) {
    specimen.disk.restore(specimen.backup)
    specimen.disk.setContents(name, bytes)
    switch specimen.read() {
    case .right: tally.right += 1
    case .wrong(let message): Issue.record("\(name), \(what): wrong data: \(message)")
    case .refused(let error):
      tally.refused += 1
      let named = error.file ?? ""
      #expect(named == name || mayName(named), "\(name), \(what): \(error)")
      if tally.refused % 7 == 1 {
        // Everything else stays as the refusal has left it.
        specimen.disk.setContents(name, specimen.backup[name])
        if case .right = specimen.read() {} else { Issue.record("\(name), \(what): harm was done: \(error)") }
      }
    }
  }

  static func files(_ specimen: Specimen, _ suffix: String) -> [String] {
    specimen.backup.keys.filter { $0.hasSuffix(suffix) || $0.hasPrefix(suffix) }.sorted()
  }

  static func flipped(_ bytes: [UInt8], _ offset: Int) -> [UInt8] {
    var bytes = bytes
    bytes[offset] ^= UInt8(1 << (offset % 8))
    return bytes
  }

  @Test func flipsInSmallFiles() throws {
    let specimen = try Specimen()
    for name in Self.files(specimen, "CURRENT") + Self.files(specimen, "MANIFEST") {
      let bytes = specimen.backup[name] ?? []
      var tally = Tally()
      for offset in bytes.indices where bytes.count < 100 || offset < 64 || offset % 5 == 0 || offset > bytes.count - 20
      {
        Self.examine(specimen, name, Self.flipped(bytes, offset), "flip at \(offset)", &tally)
      }
      #expect(tally.refused > 20, "\(name): \(tally)")
    }
  }

  @Test func flipsInTables() throws {
    let specimen = try Specimen()
    let names = Self.files(specimen, ".sst")
    #expect(names.count >= 3)
    for name in names {
      let bytes = specimen.backup[name] ?? []
      var tally = Tally()
      for offset in bytes.indices where offset % 61 == 7 || offset >= bytes.count - 64 {
        Self.examine(specimen, name, Self.flipped(bytes, offset), "flip at \(offset)", &tally)
      }
      #expect(tally.refused > 50, "\(name): \(tally)")
    }
  }

  /// In the part that holds live log every flip is seen, since a closed database knows where its log must end.
  @Test func flipsInTheLog() throws {
    let specimen = try Specimen()
    for name in Self.files(specimen, ".log") {
      let bytes = specimen.backup[name] ?? []
      var tally = Tally()
      let last = bytes.lastIndex { $0 != 0 } ?? 0
      for offset in 0...last where offset < 56 || offset % 37 == 1 || offset > last - 300 {
        Self.examine(specimen, name, Self.flipped(bytes, offset), "flip at \(offset)", &tally)
      }
      if name == LogSegment.fileName(0) { #expect(tally.refused > 80, "\(name): \(tally)") }
    }
  }

  @Test(arguments: [true, false])
  func flipsInSharedState(isClean: Bool) throws {
    let specimen = try Specimen(isClean: isClean)
    let bytes = specimen.backup[SharedState.fileName] ?? []
    var tally = Tally()
    for offset in 0..<256 {
      for bit in [0, 5] {
        var bytes = bytes
        bytes[offset] ^= UInt8(1 << bit)
        Self.examine(specimen, SharedState.fileName, bytes, "bit \(bit) at \(offset)", &tally) { $0.hasSuffix(".log") }
      }
    }
    #expect(tally.refused > 50 && tally.right > 50, "\(tally)")
    // After an orderly end the files have it all; otherwise what was only staged is in the ring, and must not vanish.
    let ring = Int(CSUP_SHARED_HEADER_BYTES)
    let live = bytes[ring...].lastIndex { $0 != 0 } ?? ring
    var inRing = Tally()
    for offset in stride(from: live - 600, to: live, by: 11) {
      Self.examine(specimen, SharedState.fileName, Self.flipped(bytes, offset), "flip at \(offset)", &inRing)
    }
    #expect(isClean ? inRing.refused == 0 : inRing.refused > 20, "\(inRing)")
  }

  @Test func truncations() throws {
    let specimen = try Specimen()
    for (name, bytes) in specimen.backup.sorted(by: { $0.key < $1.key }) {
      var tally = Tally()
      let count = bytes.count
      let few = [0, 1, 8, 16, 63, 64, 65, 1_000, 4_095, 4_096, 4_097, count / 2, count - 4_096, count - 65, count - 1]
      let many = name.hasPrefix("MANIFEST") || name == "CURRENT" ? Array(stride(from: 0, to: count, by: 7)) : []
      for length in Set(few + many) where length >= 0 && length < count {
        // A manifest that ends early is an older one, which asks for tables and log that are gone.
        Self.examine(specimen, name, Array(bytes.prefix(length)), "cut to \(length)", &tally) { other in
          name.hasPrefix("MANIFEST") && (other.hasSuffix(".sst") || other.hasSuffix(".log"))
        }
      }
      if !name.hasSuffix(".log") { #expect(tally.refused > 0, "\(name): \(tally)") }
    }
  }

  @Test func missingFiles() throws {
    let specimen = try Specimen()
    for name in specimen.backup.keys.sorted() {
      specimen.disk.restore(specimen.backup)
      specimen.disk.setContents(name, nil)
      let outcome = specimen.read()
      switch outcome {
      case .right: #expect(name == SharedState.fileName || name.hasSuffix(".log") && name != LogSegment.fileName(0))
      case .wrong(let message): Issue.record("without \(name): \(message)")
      case .refused(let error):
        #expect(name != SharedState.fileName, "\(error)")
        #expect(error.code == .missingFile && error.file == name, "without \(name): \(error)")
        specimen.disk.setContents(name, specimen.backup[name])
        if case .right = specimen.read() {} else { Issue.record("without \(name), harm was done") }
      }
    }
  }

  /// All that is known of a database without CURRENT is that it was one: nothing of it may be cleared away.
  @Test func aLogWithoutCurrentIsNoEmptyDirectory() throws {
    let disk = CrashDisk()
    let engine = try Engine.open("", .small(), on: disk)
    try engine.put("a", "1", .synced)
    try engine.close()
    let current = disk.contents(CurrentFile.name)
    disk.setContents(CurrentFile.name, nil)
    for sharing in [Options.Sharing.processes, .readOnly] {
      var options = Options.small()
      options.sharing = sharing
      #expect { try Engine.open("", options, on: disk) } throws: { ($0 as? SiltstoneError)?.code == .missingFile }
    }
    disk.setContents(CurrentFile.name, current)
    let again = try Engine.open("", .small(), on: disk)
    #expect(try again.text("a") == "1")
    try again.close()
  }

  @Test func newerFormatsAreRefused() throws {
    let specimen = try Specimen()
    var seen: Set<String> = []
    for (name, original) in specimen.backup.sorted(by: { $0.key < $1.key }) {
      var bytes = original
      func setNewer(versionAt version: Int, checksumAt place: Int, of range: Range<Int>) {
        bytes[version] += 2  // of two versions of the format a table may have the first
        let checksum = bytes.withUnsafeBytes { csup_crc32c(0, $0.baseAddress! + range.lowerBound, range.count) }
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: checksum.littleEndian, toByteOffset: place, as: UInt32.self) }
      }
      let end = bytes.count
      switch name {
      case SharedState.fileName: setNewer(versionAt: 8, checksumAt: 64, of: 0..<64)
      case LogSegment.fileName(0): setNewer(versionAt: 8, checksumAt: 48, of: 0..<48)
      case _ where name.hasPrefix("MANIFEST"): setNewer(versionAt: 8, checksumAt: 60, of: 0..<60)
      case _ where name.hasSuffix(".sst"):
        setNewer(versionAt: end - 64 + 48, checksumAt: end - 64 + 52, of: end - 64..<end - 64 + 52)
      default: continue
      }
      seen.insert(String(name.suffix(3)))
      specimen.disk.restore(specimen.backup)
      specimen.disk.setContents(name, bytes)
      guard case .refused(let error) = specimen.read() else {
        Issue.record("\(name) was not refused")
        continue
      }
      #expect(error.code == .unsupportedVersion && error.file == name, "\(name): \(error)")
      specimen.disk.setContents(name, original)
      if case .right = specimen.read() {} else { Issue.record("\(name): harm was done") }
    }
    #expect(seen.count >= 4, "\(seen)")
  }

  /// A file of another database is not read, whatever it holds.
  @Test func filesOfAnotherDatabaseAreRefused() throws {
    let (specimen, other) = (try Specimen(), try Specimen())
    for name in Self.files(specimen, ".log") where other.backup[name] != nil {
      var tally = Tally()
      Self.examine(specimen, name, other.backup[name], "of another", &tally)
      if name == LogSegment.fileName(0) { #expect(tally.refused == 1) }
    }
    let (crashed, stranger) = (try Specimen(isClean: false), try Specimen(isClean: false))
    var tally = Tally()
    Self.examine(crashed, SharedState.fileName, stranger.backup[SharedState.fileName], "of another", &tally)
    #expect(tally.refused == 1)
  }
}
