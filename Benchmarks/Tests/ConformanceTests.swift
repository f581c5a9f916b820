import Foundation
import Testing

@testable import SiltstoneBench

/// Every engine that this build has goes through one script, and must give the same answers: figures of engines that
/// did not do the same work could not be compared.
@Suite struct ConformanceTests {
  static let engines = EngineCatalogue.all.filter(\.isPresent).map(\.name)

  @Test(arguments: engines, RunSpecification.Durability.allCases)
  func answersAreTheSame(engine: String, durability: RunSpecification.Durability) throws {
    let directory = NSTemporaryDirectory() + "siltstone-bench-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    var specification = RunSpecification(engine: engine, workload: "fillrandom", directory: directory)
    specification.keys = 1_000
    specification.durability = durability
    specification.memtableBytes = 1 << 20
    specification.cacheBytes = 8 << 20
    try EngineCatalogue.visit(engine, Script(specification: specification))
  }
}

private struct Script: EngineVisitor {
  let specification: RunSpecification

  func visit<Engine: KeyValueEngine>(_ type: Engine.Type) throws {
    #expect(type.name == specification.engine)
    let engine = try Engine(directory: specification.directory, specification: specification)
    try write(engine)
    try read(engine)
    try engine.settle()
    try read(engine)
    try engine.compact()
    try read(engine)
    try describe(engine)
    try engine.close()

    let reopened = try Engine(directory: specification.directory, specification: specification)
    try read(reopened)
    try deleteRange(reopened)
    try reopened.close()
  }

  /// Leaves the even numbers below 100, but for 10 and 12, and with 20 overwritten.
  private func write<Engine: KeyValueEngine>(_ engine: Engine) throws {
    let calls = Calls(try engine.makeSession())
    for number in 0..<50 { try calls.put(number, "once") }
    for number in 50..<100 { try calls.batchPut(number, "batch") }
    try calls.session.commitBatch()
    try calls.put(20, "a longer value than before")
    try calls.delete(10)
    // What is not there is deleted in silence.
    try calls.delete(10)
    try calls.batchDelete(12)
    for number in stride(from: 1, to: 100, by: 2) { try calls.batchDelete(number) }
    try calls.session.commitBatch()
    // Another batch must not hold what the last one did.
    try calls.batchPut(98, "again")
    try calls.session.commitBatch()
  }

  private func read<Engine: KeyValueEngine>(_ engine: Engine) throws {
    let calls = Calls(try engine.makeSession())
    #expect(try calls.get(0) == "once")
    #expect(try calls.get(20) == "a longer value than before")
    #expect(try calls.get(60) == "batch")
    #expect(try calls.get(98) == "again")
    for absent in [1, 10, 12, 99, 200] { #expect(try calls.get(absent) == nil) }
    #expect(try calls.multiGet([0, 1, 10, 20, 60, 98, 200]) == 4)
    #expect(try calls.multiGet([1]) == 0)

    // (from, limit, reverse): entries, and bytes of keys and values.
    #expect(try calls.scan(nil, 1_000, false) == [48, 48 * 16 + 22 * 4 + 26 + 24 * 5 + 5])
    #expect(try calls.scan(nil, 1_000, true) == [48, 48 * 16 + 22 * 4 + 26 + 24 * 5 + 5])
    #expect(try calls.scan(nil, 2, false) == [2, 2 * 20])
    #expect(try calls.scan(nil, 1, true) == [1, 16 + 5])
    // At the key itself, between keys, and where the neighbours are deleted.
    #expect(try calls.scan(20, 1, false) == [1, 16 + 26])
    #expect(try calls.scan(19, 1, false) == [1, 16 + 26])
    #expect(try calls.scan(20, 1, true) == [1, 16 + 26])
    #expect(try calls.scan(21, 1, true) == [1, 16 + 26])
    #expect(try calls.scan(10, 3, true) == [3, 3 * 20])
    #expect(try calls.scan(9, 4, false) == [4, 3 * 20 + 16 + 26])
    // Beyond the ends.
    #expect(try calls.scan(99, 5, false) == [0, 0])
    #expect(try calls.scan(500, 5, true) == [5, 5 * 16 + 5 + 4 * 5])
    #expect(try calls.scan(0, 5, true) == [1, 20])
  }

  private func deleteRange<Engine: KeyValueEngine>(_ engine: Engine) throws {
    let calls = Calls(try engine.makeSession())
    try calls.deleteRange(4, 30)
    #expect(try calls.get(2) == "once")
    for gone in [4, 20, 28] { #expect(try calls.get(gone) == nil) }
    #expect(try calls.get(30) == "once")
    #expect(try calls.scan(3, 1, false) == [1, 20])
    #expect(try calls.scan(29, 1, true) == [1, 20])
    #expect(try calls.scan(nil, 1_000, false)[0] == 37)
    try calls.deleteRange(0, 1_000)
    #expect(try calls.scan(nil, 1_000, false) == [0, 0])
    try calls.put(7, "after")
    #expect(try calls.get(7) == "after")
  }

  private func describe<Engine: KeyValueEngine>(_ engine: Engine) throws {
    let identity = engine.identity
    #expect(identity.name == specification.engine)
    #expect(identity.version.first?.isNumber == true || identity.name == "siltstone")
    #expect(!identity.build.isEmpty)
    #expect(Set(identity.settings.map(\.name)).count == identity.settings.count)
    #expect(identity.settings.count >= 5)
    #expect(identity.settings.allSatisfy { !$0.value.isEmpty && !$0.value.contains("?") })
  }
}

/// A session's calls, by numbers and strings.
private struct Calls<Session: EngineSession> {
  let session: Session

  init(_ session: Session) { self.session = session }

  private func key<Value>(_ number: Int, _ body: (UnsafeRawBufferPointer) throws -> Value) rethrows -> Value {
    var maker = KeyMaker(keyBytes: 16)
    return try body(maker.make(UInt64(number)))
  }

  func put(_ number: Int, _ value: String) throws {
    try key(number) { key in try Array(value.utf8).withUnsafeBytes { try session.put(key, $0) } }
  }

  func batchPut(_ number: Int, _ value: String) throws {
    try key(number) { key in try Array(value.utf8).withUnsafeBytes { try session.batchPut(key, $0) } }
  }

  func delete(_ number: Int) throws { try key(number) { try session.delete($0) } }
  func batchDelete(_ number: Int) throws { try key(number) { try session.batchDelete($0) } }

  func deleteRange(_ begin: Int, _ end: Int) throws {
    try key(begin) { begin in try key(end) { try session.deleteRange(from: begin, to: $0) } }
  }

  func get(_ number: Int) throws -> String? {
    var buffer = [UInt8](repeating: 0, count: 100)
    let count = try key(number) { key in try buffer.withUnsafeMutableBytes { try session.get(key, into: $0) } }
    // A buffer that is too short takes what fits.
    var short = [UInt8](repeating: 0, count: 2)
    let again = try key(number) { key in try short.withUnsafeMutableBytes { try session.get(key, into: $0) } }
    #expect(count == again)
    guard let count else { return nil }
    #expect(short == Array(buffer.prefix(2)))
    return String(decoding: buffer.prefix(count), as: UTF8.self)
  }

  func multiGet(_ numbers: [Int]) throws -> Int {
    var keys: [UInt8] = []
    for number in numbers { key(number) { keys += Array($0) } }
    return try keys.withUnsafeBytes { try session.multiGet($0, keyBytes: 16) }
  }

  func scan(_ from: Int?, _ limit: Int, _ reverse: Bool) throws -> [Int] {
    let empty = UnsafeRawBufferPointer(start: nil, count: 0)
    let visited =
      try from.map { try key($0) { try session.scan(from: $0, limit: limit, reverse: reverse) } }
      ?? session.scan(from: empty, limit: limit, reverse: reverse)
    return [visited.entries, visited.bytes]
  }
}
