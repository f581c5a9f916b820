import Foundation
import Testing

@testable import Siltstone

/// Damage to values that stay in the log, and crashes while they are written.
@Suite struct LargeValueDamageTests {
  /// Tables that point at values, in segments that are needed for nothing else.
  private static func specimen() throws -> (disk: CrashDisk, expected: [String: [UInt8]]) {
    let disk = CrashDisk()
    let engine = try Engine.open("", .small(), on: disk)
    var expected: [String: [UInt8]] = [:]
    for number in 0..<100 {
      expected["key\(number)"] = LargeValueTests.value(number, 0)
      try engine.put("key\(number)", LargeValueTests.value(number, 0))
    }
    try engine.flush()
    try engine.close()
    return (disk, expected)
  }

  private static func get(_ engine: Engine, _ key: String) throws(SiltstoneError) -> [UInt8]? {
    try Array(key.utf8).withView { (key) throws(SiltstoneError) in try engine.get(key, at: nil) { $0.copied() } }
  }

  /// Looks up all keys, whose values are right or refused as damage to that file.
  private static func refusals(_ engine: Engine, _ expected: [String: [UInt8]], _ file: String) -> [SiltstoneError] {
    var refusals: [SiltstoneError] = []
    for (key, value) in expected {
      do throws(SiltstoneError) {
        let found = try get(engine, key)
        #expect(found == value)
      } catch {
        #expect(error.code == .corruption && error.file == file, "\(error)")
        refusals.append(error)
      }
    }
    return refusals
  }

  private static func firstSegment(_ disk: CrashDisk) throws -> (name: String, number: UInt64) {
    let number = try #require(try disk.list().compactMap { LogSegment.number(fromFileName: $0) }.min())
    return (LogSegment.fileName(number), number)
  }

  @Test func aDamagedValueIsNamedAndTheOthersAreRight() throws {
    let (disk, expected) = try Self.specimen()
    let (name, _) = try Self.firstSegment(disk)
    var bytes = try #require(disk.contents(name))
    bytes[20_000] ^= 4
    disk.setContents(name, bytes)
    let engine = try Engine.open("", .small(), on: disk)
    let refusals = Self.refusals(engine, expected, name)
    #expect(refusals.count == 1)
    #expect(refusals.allSatisfy { ($0.offset ?? .max) <= 20_000 }, "\(refusals)")
    let problems = try engine.verify { _ in }.problems
    #expect(problems.count == 1 && problems[0].file == name, "\(problems)")
    try engine.close()
  }

  @Test func aMissingSegmentIsNamedByOpening() throws {
    let (disk, _) = try Self.specimen()
    let (name, _) = try Self.firstSegment(disk)
    let backup = disk.backup()
    disk.setContents(name, nil)
    var found: SiltstoneError?
    do throws(SiltstoneError) { try Engine.open("", .small(), on: disk).close() } catch { found = error }
    #expect(found?.code == .missingFile && found?.file == name, "\(String(describing: found))")
    disk.restore(backup)
    let engine = try Engine.open("", .small(), on: disk)
    #expect(try engine.verify { _ in }.problems.isEmpty)
    try engine.close()
  }

  @Test func aSegmentOfAnotherNumberIsNoValue() throws {
    let (disk, expected) = try Self.specimen()
    let (name, number) = try Self.firstSegment(disk)
    let other = try #require(disk.contents(LogSegment.fileName(number + 1)))
    disk.setContents(name, other)
    let engine = try Engine.open("", .small(), on: disk)
    #expect(!Self.refusals(engine, expected, name).isEmpty)
    try engine.close()
  }

  // MARK: - Crashes

  /// Writers of large values only, over few keys, so that all is soon overwritten and moved.
  private static func run(_ engine: Engine, _ round: Int, _ told: inout [Int: (staged: Int, synced: Int)]) throws {
    var random = SeededGenerator(seed: UInt64(round))
    for step in 0..<200 {
      let key = Int.random(in: 0..<20, using: &random)
      let number = round * 1_000 + step
      let isSynced = Int.random(in: 0..<8, using: &random) == 0
      try engine.put("key\(key)", value(key, number), isSynced ? .synced : .staged)
      told[key, default: (-1, -1)].staged = number
      if isSynced { told = told.mapValues { ($0.staged, $0.staged) } }
      if Int.random(in: 0..<100, using: &random) == 0 { try engine.flush() }
    }
  }

  /// Mostly of a few blocks, now and then of several records.
  private static func value(_ key: Int, _ number: Int) -> [UInt8] {
    LargeValueTests.value(key, number, size: number % 16 == 0 ? 40_000 : 4_096 + number % 4_000)
  }

  private static func number(_ value: [UInt8]?) -> Int {
    guard let value else { return -1 }
    let fields = value.prefix(16).split(separator: UInt8(ascii: "/"))
    return fields.count < 2 ? -2 : Int(String(decoding: fields[1], as: UTF8.self)) ?? -2
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func whatWasPromisedIsThereByteForByte(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var disk = CrashDisk()
    var told: [Int: (staged: Int, synced: Int)] = [:]
    for round in 0..<4 {
      let engine = try Engine.open("", .small(), on: disk)
      try Self.run(engine, round, &told)
      let isPowerCut = Bool.random(using: &random)
      let survivor = disk.crashed(isPowerCut ? .power(&random) : .process)
      try engine.close()
      let recovered = try Engine.open("", .small(), on: survivor)
      for (key, promise) in told {
        let value = try Self.get(recovered, "key\(key)")
        let number = Self.number(value)
        #expect(number >= (isPowerCut ? promise.synced : promise.staged), "seed \(seed), round \(round), key \(key)")
        if number >= 0 { #expect(value == Self.value(key, number)) }
        told[key] = (number, -1)
      }
      let problems = try recovered.verify { _ in }.problems
      #expect(problems.isEmpty, "seed \(seed), round \(round): \(problems)")
      try recovered.sync()
      told = told.mapValues { ($0.staged, $0.staged) }
      try recovered.close()
      disk = survivor
    }
  }
}
