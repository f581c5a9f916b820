import Synchronization

@testable import Siltstone

/// A storage that fails on demand: the nth call of a kind on files whose name ends in a given way, once or for good,
/// and a disk that is full until told otherwise. All else goes to the storage below.
final class FaultStorage: Storage {
  enum Call: Sendable, Hashable { case create, write, sync, rename, remove, read, syncDirectory, preallocate }

  struct Fault: Sendable {
    var call: Call
    var nameSuffix: String
    /// How many such calls succeed first.
    var after: Int
    var isSticky: Bool
    var error: SiltstoneError
  }

  private struct State {
    var faults: [Fault] = []
    var diskIsFull = false
    var hits = 0
    var counts: [Call: Int] = [:]
  }
  let below: any Storage
  private let state = Mutex(State())
  /// What the clock says; nil if it is the real one.
  let clock = Mutex<UInt64?>(nil)
  /// Called before memory is opened that another has made.
  let beforeOpeningMemory = Mutex<(@Sendable () throws(SiltstoneError) -> Void)?>(nil)
  /// Called before somebody says that memory is in use.
  let beforeUsingMemory = Mutex<(@Sendable () -> Void)?>(nil)
  /// Called before a file is opened.
  let beforeOpening = Mutex<(@Sendable (String) throws(SiltstoneError) -> Void)?>(nil)
  /// Called before somebody asks whether a byte is locked.
  let beforeLook = Mutex<(@Sendable (UInt64) throws(SiltstoneError) -> Void)?>(nil)

  init(_ below: any Storage) { self.below = below }

  func inject(_ fault: Fault) { state.withLock { $0.faults.append(fault) } }
  func clear() { state.withLock { $0.faults = [] } }
  /// While set, nothing can be created or grown.
  var diskIsFull: Bool {
    get { state.withLock { $0.diskIsFull } }
    set { state.withLock { $0.diskIsFull = newValue } }
  }
  /// How many faults were met.
  var hits: Int { state.withLock { $0.hits } }
  func count(_ call: Call) -> Int { state.withLock { $0.counts[call] ?? 0 } }

  static func ioError(_ name: String) -> SiltstoneError {
    SiltstoneError(.inputOutput, "injected", file: name, errno: 5)
  }

  fileprivate func check(_ call: Call, _ name: String, growing: Bool = false) throws(SiltstoneError) {
    let error: SiltstoneError? = state.withLock { state in
      state.counts[call, default: 0] += 1
      if growing && state.diskIsFull {
        state.hits += 1
        return SiltstoneError(.diskFull, "injected", file: name, errno: 28)
      }
      guard let index = state.faults.firstIndex(where: { $0.call == call && name.hasSuffix($0.nameSuffix) }) else {
        return nil
      }
      if state.faults[index].after > 0 {
        state.faults[index].after -= 1
        return nil
      }
      state.hits += 1
      let error = state.faults[index].error
      if !state.faults[index].isSticky { state.faults.remove(at: index) }
      return error
    }
    if let error { throw error }
  }

  func open(_ name: String, _ access: FileAccess) throws(SiltstoneError) -> any StorageFile {
    if let body = beforeOpening.withLock({ $0 }) { try body(name) }
    switch access {
    case .create, .createBuffered: try check(.create, name, growing: true)
    default: break
    }
    return FaultFile(try below.open(name, access), self)
  }
  func exists(_ name: String) throws(SiltstoneError) -> Bool { try below.exists(name) }
  func remove(_ name: String) throws(SiltstoneError) {
    try check(.remove, name)
    try below.remove(name)
  }
  func rename(_ name: String, to newName: String) throws(SiltstoneError) {
    try check(.rename, newName)
    try below.rename(name, to: newName)
  }
  func list() throws(SiltstoneError) -> [String] { try below.list() }
  func syncDirectory() throws(SiltstoneError) {
    try check(.syncDirectory, "")
    try below.syncDirectory()
  }
  func map(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile {
    try below.map(name, sizeBytes: sizeBytes)
  }
  func tryLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)? {
    try below.tryLock(name, byte: byte)
  }
  func trySharedLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)? {
    try below.trySharedLock(name, byte: byte)
  }
  func isLocked(_ name: String, byte: UInt64) throws(SiltstoneError) -> Bool {
    if let body = beforeLook.withLock({ $0 }) { try body(byte) }
    return try below.isLocked(name, byte: byte)
  }
  func makeMarks(_ name: String) throws(SiltstoneError) -> any FileMarks { try below.makeMarks(name) }
  func marks(_ name: String, in range: Range<UInt64>, limit: Int) throws(SiltstoneError) -> [UInt64] {
    try below.marks(name, in: range, limit: limit)
  }
  func mapReadOnly(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile {
    try below.mapReadOnly(name, sizeBytes: sizeBytes)
  }
  func makeMemory(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any SharedMemory {
    try below.makeMemory(name, sizeBytes: sizeBytes)
  }
  func openMemory(
    _ name: String, sizeBytes: Int, _ identity: MemoryIdentity, isWritable: Bool
  ) throws(SiltstoneError) -> any SharedMemory {
    if let body = beforeOpeningMemory.withLock({ $0 }) { try body() }
    return try below.openMemory(name, sizeBytes: sizeBytes, identity, isWritable: isWritable)
  }
  func removeMemory(_ name: String) throws(SiltstoneError) { try below.removeMemory(name) }
  func listMemory(prefix: String) throws(SiltstoneError) -> [String] { try below.listMemory(prefix: prefix) }
  func useMemory(_ prefix: String, makes: Bool) throws(SiltstoneError) -> (any FileLock)? {
    if let body = beforeUsingMemory.withLock({ $0 }) { body() }
    return try below.useMemory(prefix, makes: makes)
  }
  func reclaimMemory() { below.reclaimMemory() }
  func makeIOQueue(depth: Int) throws(SiltstoneError) -> any IOQueue { PlainQueue(depth: depth) }
  func monotonicNanoseconds() -> UInt64 { clock.withLock { $0 } ?? below.monotonicNanoseconds() }
  func wallClockSeconds() -> UInt64 { below.wallClockSeconds() }
  func fillRandom(_ bytes: UnsafeMutableRawBufferPointer) { below.fillRandom(bytes) }
  var capabilities: StorageCapabilities { below.capabilities }
}

/// A file of a `FaultStorage`.
private final class FaultFile: StorageFile {
  private let below: any StorageFile
  private let storage: FaultStorage

  init(_ below: any StorageFile, _ storage: FaultStorage) {
    self.below = below
    self.storage = storage
  }

  var name: String { below.name }
  var isDirect: Bool { below.isDirect }
  func sizeBytes() throws(SiltstoneError) -> UInt64 { try below.sizeBytes() }
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SiltstoneError) -> Int {
    try storage.check(.read, name)
    return try below.read(into: buffer, at: offset)
  }
  func write(
    _ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ durability: WriteDurability
  ) throws(SiltstoneError) {
    let end = offset + UInt64(bytes.count)
    try storage.check(.write, name, growing: end > (try below.sizeBytes()))
    if durability == .dataSync { try storage.check(.sync, name) }
    try below.write(bytes, at: offset, durability)
  }
  func sync() throws(SiltstoneError) {
    try storage.check(.sync, name)
    try below.sync()
  }
  func truncate(to sizeBytes: UInt64) throws(SiltstoneError) { try below.truncate(to: sizeBytes) }
  func preallocate(_ sizeBytes: UInt64) throws(SiltstoneError) -> Bool {
    try storage.check(.preallocate, name, growing: true)
    return try below.preallocate(sizeBytes)
  }
}
