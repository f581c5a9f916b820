import Glibc
import Testing

@testable import Siltstone

/// What every file promises, whichever way the bytes go.
@Suite struct DiskFileTests {
  let directory = TemporaryDirectory()
  static let backends: [DiskStorage.Backend] = [.automatic, .plain]
  static let block = StorageAlignment.bytes

  func open(_ backend: DiskStorage.Backend) throws -> DiskStorage {
    try DiskStorage(path: directory.path, create: false, backend: backend)
  }

  /// Block-aligned memory full of bytes that say where they are.
  static func pattern(_ sizeBytes: Int, seed: UInt64) -> AlignedMemory {
    let memory = AlignedMemory(sizeBytes: sizeBytes)
    var generator = SeededGenerator(seed: seed)
    for index in 0..<sizeBytes { memory.buffer[index] = UInt8(truncatingIfNeeded: generator.next()) }
    return memory
  }

  static func bytes(_ memory: AlignedMemory, _ count: Int? = nil) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: memory.base, count: count ?? memory.sizeBytes)
  }

  @Test(arguments: backends, [WriteDurability.none, .dataSync])
  func whatIsWrittenIsRead(backend: DiskStorage.Backend, durability: WriteDurability) throws {
    let storage = try open(backend)
    let written = Self.pattern(5 * Self.block, seed: 1)
    do {
      let file = try storage.open("a", .create)
      #expect(file.name == "a")
      if backend == .plain { #expect(!file.isDirect) }
      try file.write(Self.bytes(written), at: UInt64(Self.block), durability)
      try file.sync()
      #expect(try file.sizeBytes() == UInt64(6 * Self.block))
    }
    let file = try storage.open("a", .read)
    let read = AlignedMemory(sizeBytes: 6 * Self.block)
    #expect(try file.read(into: read.buffer, at: 0) == read.sizeBytes)
    #expect(read.buffer.prefix(Self.block).allSatisfy { $0 == 0 })
    #expect(read.buffer.dropFirst(Self.block).elementsEqual(written.buffer))
  }

  @Test(arguments: backends)
  func bufferedFilesTakeAnyOffsetAndLength(backend: DiskStorage.Backend) throws {
    let file = try open(backend).open("a", .createBuffered)
    #expect(!file.isDirect)
    let written = Self.pattern(1000, seed: 2)
    try file.write(Self.bytes(written), at: 17, .dataSync)
    try file.write(Self.bytes(written, 3), at: 1017, .none)
    var read = [UInt8](repeating: 0xAA, count: 999)
    #expect(try read.withUnsafeMutableBytes { try file.read(into: $0, at: 18) } == 999)
    #expect(read.elementsEqual(written.buffer.dropFirst()))
    #expect(try file.sizeBytes() == 1020)
  }

  @Test(arguments: backends)
  func readingStopsWhereTheFileEnds(backend: DiskStorage.Backend) throws {
    let storage = try open(backend)
    let size = 2 * Self.block + 100
    let written = Self.pattern(size, seed: 3)
    try storage.open("a", .createBuffered).write(Self.bytes(written), at: 0, .none)
    let file = try storage.open("a", .read)
    let read = AlignedMemory(sizeBytes: 4 * Self.block)
    #expect(try file.read(into: read.buffer, at: 0) == size)
    #expect(read.buffer.prefix(size).elementsEqual(written.buffer))
    #expect(try file.read(into: read.buffer, at: UInt64(2 * Self.block)) == 100)
    #expect(try file.read(into: read.buffer, at: UInt64(3 * Self.block)) == 0)
    #expect(try file.read(into: read.buffer, at: UInt64(64 * Self.block)) == 0)
  }

  @Test(arguments: backends)
  func hostileOffsetsAreErrors(backend: DiskStorage.Backend) throws {
    let file = try open(backend).open("a", .create)
    let memory = AlignedMemory(sizeBytes: Self.block)
    for offset in [UInt64(1) << 63, .max &- UInt64(Self.block - 1)] {
      let read = #expect(throws: SiltstoneError.self) { try file.read(into: memory.buffer, at: offset) }
      #expect(read?.code == .inputOutput && read?.file == "a" && read?.offset == offset)
      for durability in [WriteDurability.none, .dataSync] {
        let write = #expect(throws: SiltstoneError.self) {
          try file.write(Self.bytes(memory), at: offset, durability)
        }
        #expect(write?.file == "a" && write?.offset == offset)
      }
    }
    #expect(try file.sizeBytes() == 0)
  }

  @Test(arguments: backends)
  func truncationCutsAndGrows(backend: DiskStorage.Backend) throws {
    let file = try open(backend).open("a", .create)
    let written = Self.pattern(2 * Self.block, seed: 4)
    try file.write(Self.bytes(written), at: 0, .none)
    try file.truncate(to: UInt64(Self.block))
    try file.truncate(to: UInt64(3 * Self.block))
    let read = AlignedMemory(sizeBytes: 4 * Self.block)
    #expect(try file.read(into: read.buffer, at: 0) == 3 * Self.block)
    #expect(read.buffer.prefix(Self.block).elementsEqual(written.buffer.prefix(Self.block)))
    #expect(read.buffer.dropFirst(Self.block).allSatisfy { $0 == 0 })
  }

  @Test(arguments: backends)
  func preallocationKeepsTheBytes(backend: DiskStorage.Backend) throws {
    let file = try open(backend).open("a", .create)
    let written = Self.pattern(Self.block, seed: 5)
    try file.write(Self.bytes(written), at: 0, .none)
    let isReserved = try file.preallocate(1 << 20)
    #expect(try file.sizeBytes() == (isReserved ? 1 << 20 : UInt64(Self.block)))
    let read = AlignedMemory(sizeBytes: Self.block)
    #expect(try file.read(into: read.buffer, at: 0) == Self.block)
    #expect(read.buffer.elementsEqual(written.buffer))
  }

  @Test(arguments: backends)
  func aReadOnlyFileRefusesWritesAndSaysWhere(backend: DiskStorage.Backend) throws {
    let storage = try open(backend)
    _ = try storage.open("a", .create)
    let file = try storage.open("a", .read)
    let error = #expect(throws: SiltstoneError.self) {
      try file.write(Self.bytes(AlignedMemory(sizeBytes: Self.block)), at: UInt64(Self.block), .none)
    }
    #expect(error?.code == .inputOutput && error?.errno == EBADF)
    #expect(error?.file == "a" && error?.offset == UInt64(Self.block))
  }
}
