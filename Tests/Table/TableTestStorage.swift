import Synchronization

@testable import Siltstone

/// Files in memory, for tests that damage them byte by byte. As strict about alignment as direct I/O.
final class TableTestStorage: Storage {
  private let files = Mutex<[String: [UInt8]]>([:])

  subscript(name: String) -> [UInt8] {
    get { files.withLock { $0[name] ?? [] } }
    set { files.withLock { $0[name] = newValue } }
  }

  fileprivate func update(_ name: String, _ body: (inout [UInt8]) -> Void) {
    files.withLock { body(&$0[name, default: []]) }
  }

  func open(_ name: String, _ access: FileAccess) throws(SiltstoneError) -> any StorageFile {
    let exists = try exists(name)
    switch access {
    case .create, .createBuffered:
      if exists { throw SiltstoneError(.inputOutput, "the file exists", file: name) }
      self[name] = []
    default:
      if !exists { throw SiltstoneError(.missingFile, "no such file", file: name) }
    }
    return TableTestFile(name: name, storage: self)
  }

  func exists(_ name: String) throws(SiltstoneError) -> Bool { files.withLock { $0[name] != nil } }
  func remove(_ name: String) throws(SiltstoneError) { files.withLock { $0[name] = nil } }
  func rename(_ name: String, to newName: String) throws(SiltstoneError) {
    files.withLock { $0[newName] = $0.removeValue(forKey: name) }
  }
  func list() throws(SiltstoneError) -> [String] { files.withLock { Array($0.keys) } }
  func map(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile {
    throw SiltstoneError(.invalidArgument, "tables are not mapped", file: name)
  }
  func makeMarks(_ name: String) throws(SiltstoneError) -> any FileMarks {
    throw SiltstoneError(.invalidArgument, "tables need no marks", file: name)
  }
  func marks(_ name: String, in range: Range<UInt64>, limit: Int) throws(SiltstoneError) -> [UInt64] { [] }
  func mapReadOnly(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile {
    try map(name, sizeBytes: sizeBytes)
  }
  func makeMemory(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any SharedMemory {
    try AnonymousMemory(sizeBytes: sizeBytes)
  }
  func openMemory(
    _ name: String, sizeBytes: Int, _ identity: MemoryIdentity, isWritable: Bool
  ) throws(SiltstoneError) -> any SharedMemory {
    throw SiltstoneError(.unreachableMemory, "tables need no memory", file: name)
  }
  func removeMemory(_ name: String) throws(SiltstoneError) {}
  func listMemory(prefix: String) throws(SiltstoneError) -> [String] { [] }
  func tryLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)? { nil }
  func trySharedLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)? { nil }
  func isLocked(_ name: String, byte: UInt64) throws(SiltstoneError) -> Bool { false }
  func syncDirectory() throws(SiltstoneError) {}
  func useMemory(_ prefix: String, makes: Bool) throws(SiltstoneError) -> (any FileLock)? { nil }
  func reclaimMemory() {}
  func makeIOQueue(depth: Int) throws(SiltstoneError) -> any IOQueue { TableTestQueue(depth: depth) }
  func monotonicNanoseconds() -> UInt64 { 0 }
  func wallClockSeconds() -> UInt64 { 1_700_000_000 }
  func fillRandom(_ bytes: UnsafeMutableRawBufferPointer) {}
  var capabilities: StorageCapabilities { StorageCapabilities(usesIOURing: false, usesDirectIO: true) }
}

private final class TableTestFile: StorageFile {
  let name: String
  let storage: TableTestStorage
  let isDirect = true

  init(name: String, storage: TableTestStorage) {
    self.name = name
    self.storage = storage
  }

  func sizeBytes() throws(SiltstoneError) -> UInt64 { UInt64(storage[name].count) }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SiltstoneError) -> Int {
    precondition(offset % 4096 == 0 && buffer.count % 4096 == 0, "direct I/O wants whole pages")
    precondition(UInt(bitPattern: buffer.baseAddress) % 4096 == 0, "direct I/O wants aligned memory")
    let bytes = storage[name]
    guard offset < bytes.count else { return 0 }
    let count = min(buffer.count, bytes.count - Int(offset))
    bytes.withUnsafeBytes { source in
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[Int(offset)..<Int(offset) + count]))
    }
    return count
  }

  func write(
    _ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ durability: WriteDurability
  ) throws(SiltstoneError) {
    precondition(offset % 4096 == 0 && bytes.count % 4096 == 0, "direct I/O wants whole pages")
    storage.update(name) { file in
      if Int(offset) == file.count { return file.append(contentsOf: bytes) }
      let missing = Int(offset) + bytes.count - file.count
      if missing > 0 { file.append(contentsOf: repeatElement(0, count: missing)) }
      file.replaceSubrange(Int(offset)..<Int(offset) + bytes.count, with: bytes)
    }
  }

  func sync() throws(SiltstoneError) {}
  func truncate(to sizeBytes: UInt64) throws(SiltstoneError) {
    storage.update(name) { $0.removeLast($0.count - Int(sizeBytes)) }
  }
  func preallocate(_ sizeBytes: UInt64) throws(SiltstoneError) -> Bool { false }
}

/// Does nothing until waited for, last submitted first: whoever relies on an order of completion fails.
private final class TableTestQueue: IOQueue {
  let depth: Int
  private var pending: [() -> IOCompletion] = []

  init(depth: Int) { self.depth = depth }

  var outstanding: Int { pending.count }

  private func submit(_ tag: UInt64, _ work: @escaping () throws(SiltstoneError) -> Int) {
    precondition(pending.count < depth)
    pending.append {
      do throws(SiltstoneError) {
        return IOCompletion(tag: tag, bytesTransferred: try work(), error: nil)
      } catch { return IOCompletion(tag: tag, bytesTransferred: 0, error: error) }
    }
  }

  func submitRead(
    _ file: any StorageFile, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, tag: UInt64
  ) throws(SiltstoneError) {
    submit(tag) { () throws(SiltstoneError) in try file.read(into: buffer, at: offset) }
  }

  func submitWrite(
    _ file: any StorageFile, _ bytes: UnsafeRawBufferPointer, at offset: UInt64,
    _ durability: WriteDurability,
    tag: UInt64
  ) throws(SiltstoneError) {
    submit(tag) { () throws(SiltstoneError) in
      try file.write(bytes, at: offset, durability)
      return bytes.count
    }
  }

  func wait() throws(SiltstoneError) -> IOCompletion { pending.removeLast()() }
}
