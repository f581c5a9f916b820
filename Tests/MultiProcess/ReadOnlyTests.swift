import CSupport
import Foundation
import Synchronization
import Testing

@testable import Siltstone

/// Opening for reading only: beside those who write, and with no more rights than that takes.
@Suite struct ReadOnlyTests {
  let directory = TemporaryDirectory()

  static var readOnly: Options {
    var options = Options.small()
    options.sharing = .readOnly
    options.createIfMissing = false
    return options
  }

  func code(_ body: () throws -> Void) -> SiltstoneError.Code? {
    do { try body() } catch { return (error as? SiltstoneError)?.code }
    return nil
  }

  @Test func itSeesWhatOthersWriteAndMayNotWrite() throws {
    let writer = try Database.open(directory.path, options: .small())
    try writer.put("a", "1")
    let reader = try Database.open(directory.path, options: Self.readOnly)
    #expect(try reader.get("a") == Array("1".utf8))
    for number in 0..<5_000 {
      try writer.put("key\(number)", String(repeating: "v", count: 50) + "\(number)")
      if number % 500 == 0 { #expect(try reader.get("key\(number)") != nil, "\(number)") }
    }
    try writer.compact()
    #expect(writer.metrics.flushes > 2)
    for number in stride(from: 0, to: 5_000, by: 97) { #expect(try reader.get("key\(number)") != nil) }
    #expect(code { try reader.put("b", "2") } == .readOnly)
    #expect(code { try reader.flush() } == .readOnly)
    #expect(code { try reader.compact() } == .readOnly)
    #expect(try reader.verify().problems.isEmpty)
    try reader.close()
    #expect(code { _ = try reader.get("a") } == .closed)
    try writer.close()
  }

  @Test func whatItReadsIsKept() throws {
    let writer = try Database.open(directory.path, options: .small())
    for number in 0..<2_000 { try writer.put("key\(number)", "old \(number) " + String(repeating: "v", count: 80)) }
    let reader = try Database.open(directory.path, options: Self.readOnly)
    let snapshot = try reader.snapshot()
    var cursor = try reader.makeCursor()
    try cursor.seekToFirst()
    for round in 0..<3 {
      for number in 0..<2_000 { try writer.put("key\(number)", "new \(round) " + String(repeating: "w", count: 80)) }
      try writer.compact()
    }
    for number in stride(from: 0, to: 2_000, by: 61) {
      let value = try #require(try snapshot.get("key\(number)"))
      #expect(value.starts(with: Array("old \(number) ".utf8)), "compaction keeps what a snapshot sees")
    }
    var count = 0
    while cursor.isValid {
      #expect(try cursor.value.withUnsafeBytes { $0.starts(with: Array("old".utf8)) })
      count += 1
      try cursor.next()
    }
    #expect(count == 2_000)
    snapshot.close()
    _ = consume cursor
    try writer.compact()
    try reader.close()
    try writer.close()
    try ModelTests.checkDirectory(directory.path)
  }

  @Test func itOutlivesThoseWhoWriteAndFollowsTheNext() throws {
    var writer = try Database.open(directory.path, options: .small())
    for number in 0..<1_500 { try writer.put("key\(number)", "first \(number) " + String(repeating: "v", count: 80)) }
    let reader = try Database.open(directory.path, options: Self.readOnly)
    for life in 0..<4 {
      try writer.close()
      #expect(try reader.get("key7")?.isEmpty == false, "life \(life)")
      writer = try Database.open(directory.path, options: .small())
      try writer.put("life", "\(life)")
      #expect(try reader.get("life") == Array("\(life)".utf8))
      for number in 0..<1_500 { try writer.put("key\(number)", "life \(life) " + String(repeating: "w", count: 80)) }
      #expect(try reader.get("key1499")?.starts(with: Array("life \(life)".utf8)) == true)
      #expect(try reader.get("key700")?.starts(with: Array("life \(life)".utf8)) == true)
    }
    try writer.close()
    try reader.close()
  }

  /// Whoever opens holds the byte that an exclusive owner holds for good.
  @Test func itOpensBesideOthersThatOpen() throws {
    let writer = try Database.open(directory.path, options: .small())
    try writer.put("a", "1")
    let storage = try DiskStorage(path: directory.path, create: false)
    let turn = try Opening.takeTurn(storage)
    let exclusive = try storage.tryLock(SharedState.fileName, byte: SharedState.LockByte.exclusive)
    #expect(exclusive != nil)
    let reader = try Database.open(directory.path, options: Self.readOnly)
    #expect(try reader.get("a") == Array("1".utf8))
    try reader.close()
    withExtendedLifetime((turn, exclusive)) {}
  }

  /// What a process that recovers has not got ready yet is no damage.
  @Test func itWaitsForRecovery() throws {
    let writer = try Database.open(directory.path, options: .small())
    try writer.put("a", "1")
    let shared = writer.engine.shared
    let turn = Mutex(Optional(try Opening.takeTurn(writer.engine.storage)))
    csup_store32(shared.header.pointer(to: \.recovering)!, SharedState.Recovery.incomplete)
    let recovery = try BackgroundThread("recovery") {
      usleep(1_500_000)  // longer than the patience with a process that changes the tree
      shared.endRecovery()
      turn.withLock { $0 = nil }
    }
    let reader = try Database.open(directory.path, options: Self.readOnly)
    recovery.join()
    #expect(try reader.get("a") == Array("1".utf8))
    try reader.close()
    try writer.close()
  }

  @Test func itIsRefusedWhereThereIsNothingAndBesideOneThatIsAlone() throws {
    #expect(code { _ = try Database.open(directory.path, options: Self.readOnly) } == .notADatabase)
    #expect(try DiskStorage(path: directory.path, create: false).list().isEmpty)
    var exclusive = Options.small()
    exclusive.sharing = .exclusive
    let alone = try Database.open(directory.path, options: exclusive)
    #expect(code { _ = try Database.open(directory.path, options: Self.readOnly) } == .alreadyOpen)
    try alone.close()
  }
}
