import Glibc
import Testing

@testable import Siltstone

/// Mappings, arenas and locks: what processes and threads meet on.
@Suite struct SharedMemoryTests {
  let directory = TemporaryDirectory()
  static let sizeBytes = 3 << 20

  func open() throws -> DiskStorage { try DiskStorage(path: directory.path, create: false) }

  @Test func aMappingIsMadeOfZerosAndKeepsWhatIsStored() throws {
    let storage = try open()
    do {
      let mapping = try storage.map("SHARED", sizeBytes: Self.sizeBytes)
      #expect(mapping.sizeBytes == Self.sizeBytes)
      #expect(UnsafeRawBufferPointer(start: mapping.base, count: Self.sizeBytes).allSatisfy { $0 == 0 })
      mapping.base.storeBytes(of: 0xFEED, toByteOffset: Self.sizeBytes - 8, as: UInt64.self)
      // Another mapping of the same file is the same memory.
      let other = try storage.map("SHARED", sizeBytes: Self.sizeBytes)
      #expect(other.base != mapping.base)
      #expect(other.base.load(fromByteOffset: Self.sizeBytes - 8, as: UInt64.self) == 0xFEED)
      try mapping.sync(upTo: Self.sizeBytes)
    }
    let again = try storage.map("SHARED", sizeBytes: Self.sizeBytes)
    #expect(again.base.load(fromByteOffset: Self.sizeBytes - 8, as: UInt64.self) == 0xFEED)
    #expect(try storage.open("SHARED", .readBuffered).sizeBytes() == UInt64(Self.sizeBytes))
  }

  /// No store may ever meet a full disk: that would be a signal.
  @Test func everyBlockOfAMappingIsAllocated() throws {
    _ = try open().map("SHARED", sizeBytes: Self.sizeBytes)
    var info = stat()
    #expect(stat(directory.file("SHARED"), &info) == 0)
    #expect(Int(info.st_blocks) * 512 >= Self.sizeBytes)
  }

  @Test(arguments: [0, 1, 4096, (3 << 20) - 1, (3 << 20) + 1])
  func aFileOfAnotherSizeIsMadeAnew(oldBytes: Int) throws {
    let storage = try open()
    try [UInt8](repeating: 0xFF, count: oldBytes).withUnsafeBytes {
      try storage.open("SHARED", .createBuffered).write($0, at: 0, .none)
    }
    let mapping = try storage.map("SHARED", sizeBytes: Self.sizeBytes)
    #expect(UnsafeRawBufferPointer(start: mapping.base, count: Self.sizeBytes).allSatisfy { $0 == 0 })
    #expect(try storage.open("SHARED", .readBuffered).sizeBytes() == UInt64(Self.sizeBytes))
  }

  @Test func anArenaIsZeroedWhetherPopulatedOrNot() throws {
    let arena = try AnonymousMemory(sizeBytes: 5 << 20)
    #expect(arena.sizeBytes == 5 << 20)
    arena.base.storeBytes(of: 7, as: UInt64.self)
    arena.populate(upTo: 3 << 20)
    arena.populate(upTo: .max)
    #expect(arena.base.load(as: UInt64.self) == 7, "populating changes nothing")
    let rest = UnsafeRawBufferPointer(start: arena.base + 8, count: arena.sizeBytes - 8)
    #expect(rest.allSatisfy { $0 == 0 })
  }

  @Test func memoryThatDoesNotExistIsRefused() {
    let error = #expect(throws: SiltstoneError.self) { try AnonymousMemory(sizeBytes: 1 << 60) }
    #expect(error?.code == .outOfMemory)
  }

  @Test func aByteHasOneHolder() throws {
    let storage = try open()
    let other = try open()
    var held = try storage.tryLock("LOCK", byte: 5)
    #expect(held != nil)
    // Not even this process may take it again, through this storage or another: a lock is its descriptor's.
    #expect(try storage.tryLock("LOCK", byte: 5) == nil)
    #expect(try other.tryLock("LOCK", byte: 5) == nil)
    let neighbour = try other.tryLock("LOCK", byte: 6)
    #expect(neighbour != nil)
    held = nil
    #expect(try other.tryLock("LOCK", byte: 5) != nil)
    #expect(try storage.tryLock("LOCK", byte: 6) == nil)
    _ = neighbour
  }

  /// What a process's own locks get wrong: closing any descriptor of the file would end them.
  @Test func otherDescriptorsOfTheFileDoNotMatter() throws {
    let storage = try open()
    let held = try storage.tryLock("LOCK", byte: 1 << 40)
    #expect(held != nil)
    _ = try storage.open("LOCK", .readWriteBuffered)
    #expect(try storage.tryLock("LOCK", byte: 1 << 40) == nil)
    _ = held
  }

  @Test func aByteThatCannotBeIsAnError() throws {
    let error = #expect(throws: SiltstoneError.self) { try open().tryLock("LOCK", byte: 1 << 63) }
    #expect(error?.code == .inputOutput && error?.file == "LOCK")
  }

  /// A child of fork shares its parent's descriptors; it must not keep the parent's lock alive.
  @Test func aChildOfForkHoldsNoLock() throws {
    let storage = try open()
    var held = try storage.tryLock("LOCK", byte: 0)
    #expect(held != nil)
    var pipeEnds: [Int32] = [-1, -1]
    try #require(pipe(&pipeEnds) == 0)
    let (reading, writing) = (pipeEnds[0], pipeEnds[1])
    let child = fork()
    if child == 0 {
      var isUp: UInt8 = 1
      _ = write(writing, &isUp, 1)
      while true { _ = pause() }
    }
    try #require(child > 0)
    defer {
      kill(child, SIGKILL)
      waitpid(child, nil, 0)
      close(reading)
      close(writing)
    }
    var isUp: UInt8 = 0
    try #require(read(reading, &isUp, 1) == 1)
    #expect(try storage.tryLock("LOCK", byte: 0) == nil, "the fork must not cost the parent its lock")
    held = nil
    #expect(try storage.tryLock("LOCK", byte: 0) != nil, "the child must not keep it")
  }
}
