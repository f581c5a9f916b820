import Foundation
import Histogram
import Testing

@testable import SiltstoneBench

@Suite struct RecoveryTests {
  private var specification: RunSpecification {
    var specification = RunSpecification(engine: "siltstone", workload: "recover", directory: "/")
    specification.keys = 1_000
    return specification
  }

  @Test func nothingIsFlushedBeforeTheProcessDies() {
    var large = specification
    large.keys = 2_300_000
    let recovery = Recovery.specification(large)
    #expect(recovery.memtableBytes >= 2 * 2_300_000 * 116)
    #expect(recovery.memtableBytes % (1 << 20) == 0)
    #expect(Recovery.specification(specification).memtableBytes == specification.memtableBytes)
    large.durability = .synced
    #expect(Recovery.specification(large).durability == .staged)
  }

  @Test func aLostWriteIsFoundOut() throws {
    let specification = specification
    let session = StoreSession()
    try Recovery.entries(specification, count: 1_000) { _, key, value in try session.put(key, value) }
    try Recovery.verify(session, specification, acknowledged: 1_000)

    // What was not acknowledged may be missing, and what was may not.
    let last = session.newest
    session.entries[last] = nil
    try Recovery.verify(session, specification, acknowledged: 999)
    #expect(throws: BenchError.self) { try Recovery.verify(session, specification, acknowledged: 1_000) }
    session.entries[last] = Array(repeating: 0, count: 100)
    #expect(throws: BenchError.self) { try Recovery.verify(session, specification, acknowledged: 1_000) }
  }
}

@Suite struct ProcessShareTests {
  @Test func sharesAddUp() throws {
    let specification = RunSpecification(engine: "lmdb", workload: "fill-processes", directory: "/")
    func share(_ operations: UInt64, latency: UInt64, end: UInt64, points: [UInt64]) -> ProcessShare {
      var result = RunResult(engine: .init(name: "lmdb", version: ""), specification: specification)
      result.operations = operations
      result.processBytesWritten = operations * 10
      result.timeline = points.enumerated().map { index, operations in
        .init(
          second: Double(index + 1), operations: operations, processorNanoseconds: 1, bytesWritten: 2, residentBytes: 3)
      }
      var histogram = Histogram<UInt64>(numberOfSignificantValueDigits: .three)
      histogram.record(latency, count: operations)
      return ProcessShare(result, histogram, end: end)
    }
    let shares = [
      share(30, latency: 100, end: 2_000_000_000, points: [10, 20]),
      share(70, latency: 900, end: 4_000_000_000, points: [30, 30, 10]),
    ]
    // Through what the pipe carries.
    let carried = try shares.map {
      try ProcessShare(json: String(decoding: JSONEncoder().encode($0), as: UTF8.self))
    }
    var sum = RunResult(engine: .init(name: "lmdb", version: ""), specification: specification)
    ProcessShare.sum(carried, since: 1_000_000_000, &sum)
    #expect(sum.operations == 100)
    #expect(sum.processBytesWritten == 1_000)
    #expect(sum.seconds == 3)
    #expect(sum.timeline.map(\.operations) == [40, 50, 10])
    #expect(sum.timeline.map(\.residentBytes) == [6, 6, 3])
    #expect(sum.latency?.count == 100)
    #expect(sum.latency?.p50 == 900)
    #expect(sum.latency?.curve.first?.nanoseconds == 100)
  }
}

@Suite struct CLibraryTests {
  @Test func textIsFoundWhereverItLies() throws {
    let path = NSTemporaryDirectory() + "siltstone-bench-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    for offset in [0, 5, (1 << 20) - 3, (1 << 20), (2 << 20) - 12, (3 << 20) - 13] {
      var bytes = [UInt8](repeating: UInt8(ascii: "_"), count: 3 << 20)
      let library = try #require(CLibrary(path: path, bytes))
      #expect(!library.hasAssertions)
      bytes.replaceSubrange(offset..<offset + 13, with: Array("__assert_fail".utf8))
      #expect(try #require(CLibrary(path: path, bytes)).hasAssertions)
    }
  }

  @Test func theLibraryOfASymbolIsFound() throws {
    let library = try #require(CLibrary(defining: "malloc"))
    #expect(library.path.hasPrefix("/") && library.path.contains("libc"))
    #expect(CLibrary(defining: "there_is_no_such_symbol") == nil)
  }
}

extension CLibrary {
  fileprivate init?(path: String, _ bytes: [UInt8]) {
    guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else { return nil }
    self.init(path: path, package: nil)
  }
}

/// A dictionary, as far as `Recovery` needs a session.
private final class StoreSession: EngineSession {
  var entries: [[UInt8]: [UInt8]] = [:]
  var newest: [UInt8] = []

  func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
    newest = Array(key)
    entries[newest] = Array(value)
  }

  func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
    guard let value = entries[Array(key)] else { return nil }
    buffer.copyBytes(from: value.prefix(buffer.count))
    return value.count
  }

  func delete(_ key: UnsafeRawBufferPointer) throws {}
  func batchPut(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {}
  func batchDelete(_ key: UnsafeRawBufferPointer) throws {}
  func commitBatch() throws {}
  func deleteRange(from begin: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {}
  func multiGet(_ keys: UnsafeRawBufferPointer, keyBytes: Int) throws -> Int { 0 }
  func scan(from key: UnsafeRawBufferPointer, limit: Int, reverse: Bool) throws -> (entries: Int, bytes: Int) { (0, 0) }
}
