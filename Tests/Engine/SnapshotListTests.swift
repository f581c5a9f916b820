import Testing

@testable import Siltstone

@Suite struct SnapshotListTests {
  let directory = TemporaryDirectory()

  func makeList() throws -> SnapshotList {
    let storage = try DiskStorage(path: directory.path, create: false, backend: .plain)
    let (shared, _) = try SharedState.attach(
      storage: storage, database: DatabaseID(high: 1, low: 1), ringBytes: 1 << 16)
    shared.reset()
    return SnapshotList(SnapshotTable(try ProcessTable(storage, shared, sharing: 0, memoryUse: nil)))
  }

  @Test func positionsAreCountedAndSorted() throws {
    let list = try makeList()
    #expect(list.oldest == nil && list.count == 0)
    #expect(try list.sorted().isEmpty)
    for position in [30, 10, 20, 10] as [LogPosition] { #expect(try list.acquire { position } == position) }
    #expect(try list.sorted() == [10, 20, 30])
    #expect(list.count == 4 && list.oldest == 10)
    list.release(10)
    #expect(try list.sorted() == [10, 20, 30], "one of two is left")
    list.release(10)
    #expect(try list.sorted() == [20, 30])
    #expect(list.oldest == 20)
  }

  @Test func aRegistrationEndsOnce() throws {
    let list = try makeList()
    let registration = try SnapshotRegistration(in: list) { 7 }
    let other = try SnapshotRegistration(in: list) { 7 }
    #expect(list.count == 2 && !registration.hasEnded)
    registration.end()
    registration.end()
    #expect(list.count == 1 && registration.hasEnded && !other.hasEnded)
  }

  @Test func aDroppedRegistrationEnds() throws {
    let list = try makeList()
    do {
      let registration = try SnapshotRegistration(in: list) { 7 }
      withExtendedLifetime(registration) { #expect(list.count == 1) }
    }
    #expect(list.count == 0)
  }

  func expectClosed(_ body: () throws -> Void) {
    let error = #expect(throws: SiltstoneError.self, performing: body)
    #expect(error?.code == .closed)
  }

  @Test func aClosedSnapshotSaysSo() throws {
    let database = try Database.open(directory.path, options: .small())
    try database.put("a", "1")
    let snapshot = try database.snapshot()
    try database.put("a", "2")
    #expect(try snapshot.get("a") == Array("1".utf8))
    #expect(try snapshot.withValue(of: "a") { $0.byteCount } == 1)
    #expect(try snapshot.multiGet(["a", "b"]) == [Array("1".utf8), nil])
    snapshot.close()
    snapshot.close()
    expectClosed { _ = try snapshot.get("a") }
    expectClosed { _ = try snapshot.withValue(of: "a") { $0.byteCount } }
    expectClosed { _ = try snapshot.multiGet(["a"]) }
    expectClosed { _ = try snapshot.makeCursor() }
    expectClosed { try snapshot.scan { _, _ in true } }
    #expect(try database.get("a") == Array("2".utf8))
    try database.close()
  }
}
