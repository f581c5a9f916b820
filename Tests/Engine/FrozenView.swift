import Testing

@testable import Siltstone

/// A database that nobody has open, opened for reading only: nothing of it may change by that, and what is seen must be
/// what recovery by a writer shows.
struct FrozenView {
  let engine: Engine
  let contents: [[UInt8]]

  init(of disk: CrashDisk, _ place: String) throws {
    let before = disk.backup()
    var options = Options.small()
    options.sharing = .readOnly
    engine = try Engine.open("", options, on: disk)
    contents = try Self.contents(engine)
    let report = try engine.verify { _ in }
    #expect(report.problems.isEmpty, "\(place): \(report.problems)")
    #expect(disk.backup() == before, "\(place)")
  }

  func expectSame(as recovered: Engine, _ place: String) throws {
    #expect(try Self.contents(recovered) == contents, "\(place)")
  }

  /// Whatever has happened since.
  func expectUnchanged(_ place: String) throws { try expectSame(as: engine, place) }

  /// Keys and values, in turn.
  private static func contents(_ engine: Engine) throws -> [[UInt8]] {
    var contents: [[UInt8]] = []
    try engine.scan(.all, at: nil, reverse: false) { (key, value) throws(SiltstoneError) in
      contents += [ByteView(key).copied(), ByteView(value).copied()]
      return true
    }
    return contents
  }
}
