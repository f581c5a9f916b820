/// A directory that nobody has open, as it stands, for a process that is only going to read: the same code that would
/// recover and change it finds its files here, and all that it would share with others - the mapping, the locks, the
/// memory - is private and goes with the process. Whatever would change the directory is refused.
///
/// REQUIRES: while it is being opened, nobody changes the directory; see `Opening`.
final class FrozenStorage: Storage {
  private let below: any Storage

  init(_ below: any Storage) { self.below = below }

  private func refuse(_ what: String, _ name: String?) -> SiltstoneError {
    SiltstoneError(.readOnly, "the database is open for reading only; cannot \(what)", file: name)
  }

  // MARK: - Files

  func open(_ name: String, _ access: FileAccess) throws(SiltstoneError) -> any StorageFile {
    switch access {
    case .read, .readBuffered: try below.open(name, access)
    case .readWrite, .create, .readWriteBuffered, .createBuffered: throw refuse("open the file for writing", name)
    }
  }
  func exists(_ name: String) throws(SiltstoneError) -> Bool { try below.exists(name) }
  func list() throws(SiltstoneError) -> [String] { try below.list() }
  func remove(_ name: String) throws(SiltstoneError) { throw refuse("remove the file", name) }
  func rename(_ name: String, to newName: String) throws(SiltstoneError) { throw refuse("rename the file", name) }
  func syncDirectory() throws(SiltstoneError) { throw refuse("sync the directory", nil) }
  func makeIOQueue(depth: Int) throws(SiltstoneError) -> any IOQueue { try below.makeIOQueue(depth: depth) }

  // MARK: - What others would share

  /// A copy of the file, if it has this size, or else zeros: a mapping of the file itself would not stay as it is when
  /// somebody writes to the file, and would be a signal when somebody cuts it short.
  func map(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile {
    let memory = try AnonymousMemory(sizeBytes: sizeBytes)
    guard try below.exists(name) else { return PrivateCopy(memory) }
    let file = try below.open(name, .readBuffered)
    guard try file.sizeBytes() == UInt64(sizeBytes) else { return PrivateCopy(memory) }
    let bytes = UnsafeMutableRawBufferPointer(start: memory.base, count: sizeBytes)
    guard try file.read(into: bytes, at: 0) == sizeBytes else {
      throw .corrupt("the file has not the size it had a moment ago", file: name)
    }
    return PrivateCopy(memory)
  }
  func mapReadOnly(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile {
    try map(name, sizeBytes: sizeBytes)
  }
  func makeMemory(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any SharedMemory {
    try AnonymousMemory(sizeBytes: sizeBytes)
  }
  func openMemory(
    _ name: String, sizeBytes: Int, _ identity: MemoryIdentity, isWritable: Bool
  ) throws(SiltstoneError) -> any SharedMemory {
    throw SiltstoneError(.unreachableMemory, "nobody shares memory here", file: name)
  }
  func removeMemory(_ name: String) throws(SiltstoneError) {}
  func listMemory(prefix: String) throws(SiltstoneError) -> [String] { [] }
  func useMemory(_ prefix: String, makes: Bool) throws(SiltstoneError) -> (any FileLock)? { nil }
  func reclaimMemory() {}
  func tryLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)? { PrivateLock() }
  func trySharedLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)? { PrivateLock() }
  func isLocked(_ name: String, byte: UInt64) throws(SiltstoneError) -> Bool { false }

  /// The one thing that others can see: a later writer is to know what is read here. Without the file there is nothing
  /// to mark, and nothing is made.
  func makeMarks(_ name: String) throws(SiltstoneError) -> any FileMarks {
    try below.exists(name) ? try below.makeMarks(name) : NoMarks()
  }
  func marks(_ name: String, in range: Range<UInt64>, limit: Int) throws(SiltstoneError) -> [UInt64] { [] }

  // MARK: - The machine

  func monotonicNanoseconds() -> UInt64 { below.monotonicNanoseconds() }
  func wallClockSeconds() -> UInt64 { below.wallClockSeconds() }
  func fillRandom(_ bytes: UnsafeMutableRawBufferPointer) { below.fillRandom(bytes) }
  var capabilities: StorageCapabilities { below.capabilities }
}

/// What a file held, in memory that nobody else sees.
private final class PrivateCopy: MappedFile {
  private let memory: AnonymousMemory

  init(_ memory: AnonymousMemory) { self.memory = memory }

  var base: UnsafeMutableRawPointer { memory.base }
  var sizeBytes: Int { memory.sizeBytes }
  var identity: FileIdentity { FileIdentity(device: 0, inode: 0) }
  var isPrivate: Bool { true }
  func sync(upTo end: Int) throws(SiltstoneError) {}
  func populate(_ range: Range<Int>) {}
}

private final class PrivateLock: FileLock {}

private final class NoMarks: FileMarks {
  func set(_ byte: UInt64, _ isSet: Bool) throws(SiltstoneError) {}
}
