import Testing

@testable import Siltstone

/// A fault that does not come would make the tests that count on it pass for nothing.
@Suite struct FaultStorageTests {
  let directory = TemporaryDirectory()
  static let block = StorageAlignment.bytes

  func open() throws -> FaultStorage { FaultStorage(try DiskStorage(path: directory.path, create: false)) }

  func fault(_ call: FaultStorage.Call, _ suffix: String, after: Int = 0, sticky: Bool = false)
    -> FaultStorage.Fault
  {
    FaultStorage.Fault(
      call: call, nameSuffix: suffix, after: after, isSticky: sticky, error: FaultStorage.ioError("injected"))
  }

  func write(_ file: any StorageFile, _ index: Int = 0, _ durability: WriteDurability = .none) throws {
    try file.write(
      DiskFileTests.bytes(AlignedMemory(sizeBytes: Self.block)), at: UInt64(index * Self.block), durability)
  }

  @Test func withoutFaultsAllPasses() throws {
    let storage = try open()
    let file = try storage.open("a.log", .create)
    try write(file, 0, .dataSync)
    try file.sync()
    try storage.rename("a.log", to: "b.log")
    try storage.syncDirectory()
    try storage.remove("b.log")
    #expect(storage.hits == 0 && storage.count(.write) == 1 && storage.count(.sync) == 2)
  }

  @Test func theNthCallFailsOnce() throws {
    let storage = try open()
    let log = try storage.open("a.log", .create)
    let other = try storage.open("a.table", .create)
    storage.inject(fault(.write, ".log", after: 2))
    try write(log)
    try write(other)
    try write(log)
    #expect(throws: SiltstoneError.self) { try write(log) }
    try write(log)
    #expect(storage.hits == 1)
  }

  @Test func aStickyFaultStaysUntilCleared() throws {
    let storage = try open()
    let file = try storage.open("a.log", .create)
    storage.inject(fault(.sync, ".log", sticky: true))
    for _ in 0..<3 { #expect(throws: SiltstoneError.self) { try file.sync() } }
    #expect(throws: SiltstoneError.self) { try write(file, 0, .dataSync) }
    try write(file)
    storage.clear()
    try file.sync()
    #expect(storage.hits == 4)
  }

  @Test func namesAndDirectoriesFailToo() throws {
    let storage = try open()
    _ = try storage.open("a", .create)
    for call in [FaultStorage.Call.create, .rename, .remove, .syncDirectory] {
      storage.inject(fault(call, ""))
    }
    #expect(throws: SiltstoneError.self) { try storage.open("b", .create) }
    #expect(throws: SiltstoneError.self) { try storage.rename("a", to: "c") }
    #expect(throws: SiltstoneError.self) { try storage.remove("a") }
    #expect(throws: SiltstoneError.self) { try storage.syncDirectory() }
    #expect(try storage.list() == ["a"] && storage.hits == 4)
  }

  @Test func queuesReportFaultsAsCompletions() throws {
    let storage = try open()
    let file = try storage.open("a.log", .create)
    let queue = try storage.makeIOQueue(depth: 4)
    storage.inject(fault(.write, ".log", after: 1))
    let block = AlignedMemory(sizeBytes: Self.block)
    for tag in 0..<3 {
      try queue.submitWrite(file, DiskFileTests.bytes(block), at: 0, .none, tag: UInt64(tag))
    }
    var failed: [UInt64] = []
    while queue.outstanding > 0 {
      let completion = try queue.wait()
      if completion.error != nil { failed.append(completion.tag) }
    }
    #expect(failed == [1])
  }

  @Test func aFullDiskTakesWhatNeedsNoSpace() throws {
    let storage = try open()
    let file = try storage.open("a.log", .create)
    try write(file)
    storage.diskIsFull = true
    try write(file)
    for operation in [{ try write(file, 1) }, { _ = try storage.open("b", .create) }] as [() throws -> Void] {
      let error = #expect(throws: SiltstoneError.self) { try operation() }
      #expect(error?.code == .diskFull)
    }
    storage.diskIsFull = false
    try write(file, 1)
    #expect(try file.sizeBytes() == UInt64(2 * Self.block) && storage.hits == 2)
  }
}
