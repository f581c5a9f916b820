import Glibc
import Testing

@testable import Siltstone

/// What both queues promise.
@Suite struct IOQueueTests {
  let directory = TemporaryDirectory()
  static let backends: [DiskStorage.Backend] = [.automatic, .plain]
  static let block = StorageAlignment.bytes

  func open(_ backend: DiskStorage.Backend) throws -> DiskStorage {
    try DiskStorage(path: directory.path, create: false, backend: backend)
  }

  /// Many more blocks than the queue is deep, written in random order with the queue kept full, and read back so.
  @Test(arguments: backends, [WriteDurability.none, .dataSync])
  func aFullQueueLosesNothing(backend: DiskStorage.Backend, durability: WriteDurability) throws {
    let storage = try open(backend)
    let file = try storage.open("a", .create)
    let queue = try storage.makeIOQueue(depth: 16)
    #expect(queue.depth == 16 && queue.outstanding == 0)
    let count = 200
    let source = DiskFileTests.pattern(count * Self.block, seed: 7)
    let copy = AlignedMemory(sizeBytes: count * Self.block)
    var generator = SeededGenerator(seed: 8)

    func runAll(_ submit: (Int) throws -> Void) throws {
      var pending = Array(0..<count).shuffled(using: &generator)
      var seen: Set<UInt64> = []
      while !pending.isEmpty || queue.outstanding > 0 {
        if queue.outstanding < queue.depth, let index = pending.popLast() {
          try submit(index)
        } else {
          let completion = try queue.wait()
          #expect(completion.error == nil && completion.bytesTransferred == Self.block)
          #expect(seen.insert(completion.tag).inserted)
        }
      }
      #expect(seen == Set((0..<count).map(UInt64.init)))
    }

    try runAll { index in
      try queue.submitWrite(
        file, UnsafeRawBufferPointer(start: source.base + index * Self.block, count: Self.block),
        at: UInt64(index * Self.block), durability, tag: UInt64(index))
    }
    try runAll { index in
      try queue.submitRead(
        file, into: UnsafeMutableRawBufferPointer(start: copy.base + index * Self.block, count: Self.block),
        at: UInt64(index * Self.block), tag: UInt64(index))
    }
    #expect(copy.buffer.elementsEqual(source.buffer))
  }

  @Test(arguments: backends)
  func readsStopWhereTheFileEnds(backend: DiskStorage.Backend) throws {
    let storage = try open(backend)
    let size = Self.block + 100
    let source = DiskFileTests.pattern(size, seed: 9)
    try storage.open("a", .createBuffered).write(DiskFileTests.bytes(source), at: 0, .none)
    for access in [FileAccess.read, .readBuffered] {
      let file = try storage.open("a", access)
      let queue = try storage.makeIOQueue(depth: 2)
      let memory = AlignedMemory(sizeBytes: 4 * Self.block)
      try queue.submitRead(file, into: memory.buffer, at: 0, tag: .max)
      let cut = try queue.wait()
      #expect(cut.tag == .max && cut.error == nil && cut.bytesTransferred == size)
      #expect(memory.buffer.prefix(size).elementsEqual(source.buffer))
      try queue.submitRead(file, into: memory.buffer, at: UInt64(8 * Self.block), tag: 1)
      let past = try queue.wait()
      #expect(past.error == nil && past.bytesTransferred == 0)
    }
  }

  @Test(arguments: backends)
  func anOperationsFailureIsItsOwn(backend: DiskStorage.Backend) throws {
    let storage = try open(backend)
    _ = try storage.open("a", .create)
    let readOnly = try storage.open("a", .read)
    let good = try storage.open("b", .create)
    let queue = try storage.makeIOQueue(depth: 8)
    let memory = DiskFileTests.pattern(Self.block, seed: 10)
    for tag in 0..<8 {
      try queue.submitWrite(
        tag % 2 == 0 ? good : readOnly, DiskFileTests.bytes(memory), at: UInt64(tag * Self.block), .none,
        tag: UInt64(tag))
    }
    #expect(queue.outstanding == 8)
    for _ in 0..<8 {
      let completion = try queue.wait()
      #expect((completion.error == nil) == (completion.tag % 2 == 0))
      if let error = completion.error {
        #expect(error.file == "a" && error.errno == EBADF)
        #expect(error.offset == completion.tag * UInt64(Self.block))
      }
    }
    #expect(queue.outstanding == 0)
  }

  @Test(arguments: backends)
  func hostileOffsetsAreErrors(backend: DiskStorage.Backend) throws {
    let storage = try open(backend)
    let file = try storage.open("a", .create)
    let queue = try storage.makeIOQueue(depth: 1)
    let memory = AlignedMemory(sizeBytes: Self.block)
    for offset in [UInt64(1) << 63, .max &- UInt64(2 * Self.block - 1)] {
      try queue.submitRead(file, into: memory.buffer, at: offset, tag: 3)
      let completion = try queue.wait()
      #expect(completion.error?.code == .inputOutput && completion.error?.offset == offset)
    }
  }

  /// The queue keeps the file open, and waits for what it still has to do.
  @Test(arguments: backends)
  func aQueueFinishesItsWorkBeforeItGoes(backend: DiskStorage.Backend) throws {
    let storage = try open(backend)
    let source = DiskFileTests.pattern(64 * Self.block, seed: 11)
    do {
      let queue = try storage.makeIOQueue(depth: 64)
      let file = try storage.open("a", .create)
      for index in 0..<64 {
        try queue.submitWrite(
          file, UnsafeRawBufferPointer(start: source.base + index * Self.block, count: Self.block),
          at: UInt64(index * Self.block), .none, tag: 0)
      }
    }
    let copy = AlignedMemory(sizeBytes: source.sizeBytes)
    #expect(try storage.open("a", .read).read(into: copy.buffer, at: 0) == copy.sizeBytes)
    #expect(copy.buffer.elementsEqual(source.buffer))
  }

  /// A queue is handed from thread to thread; what a thread submitted is done even if that thread is gone.
  @Test(arguments: backends)
  func workOutlivesTheThreadThatSubmittedIt(backend: DiskStorage.Backend) throws {
    let storage = try open(backend)
    let file = try storage.open("a", .create)
    nonisolated(unsafe) let queue = try storage.makeIOQueue(depth: 32)
    let source = DiskFileTests.pattern(32 * Self.block, seed: 12)
    let thread = try BackgroundThread("submitter") {
      for index in 0..<32 {
        let piece = UnsafeRawBufferPointer(start: source.base + index * Self.block, count: Self.block)
        try? queue.submitWrite(file, piece, at: UInt64(index * Self.block), .dataSync, tag: UInt64(index))
      }
    }
    thread.join()
    #expect(queue.outstanding == 32)
    while queue.outstanding > 0 { #expect(try queue.wait().error == nil) }
    let copy = AlignedMemory(sizeBytes: source.sizeBytes)
    #expect(try file.read(into: copy.buffer, at: 0) == copy.sizeBytes)
    #expect(copy.buffer.elementsEqual(source.buffer))
  }

  @Test func aRingThatIsRefusedIsNil() {
    // Deeper than any kernel grants (32,768).
    #expect(URingQueue(depth: 1 << 20) == nil)
  }
}
