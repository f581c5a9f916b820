internal import CSupport
internal import Glibc
internal import Synchronization

/// A directory on a real disk.
final class DiskStorage: Storage {
  /// What to ask of the system.
  enum Backend: Sendable {
    /// io_uring and direct I/O where granted.
    case automatic
    /// Plain system calls through the page cache.
    case plain
  }

  let path: String
  let directory: Int32
  private let usesURing: Bool
  /// Cleared for good once the file system refuses `O_DIRECT`.
  private let usesDirect: Atomic<Bool>

  /// Opens the directory, making it first if `create` is set and its parent exists.
  ///
  /// - Throws: `.permissionDenied`, `.missingFile`, or `.invalidArgument` on a network file system, whose locks and
  ///   mappings do not hold between hosts.
  init(path: String, create: Bool, backend: Backend = .automatic) throws(SiltstoneError) {
    self.path = path
    let isNew = create && mkdir(path, 0o700) == 0
    if create, !isNew, errno != EEXIST { throw .system("make the directory", errno: errno, file: path) }
    directory = retryingInterrupts { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    if directory < 0 {
      if errno == ENOTDIR { throw SiltstoneError(.notADatabase, "not a directory", file: path, errno: errno) }
      throw .system("open the directory", errno: errno, file: path)
    }
    if let kind = csup_network_file_system(directory) {
      close(directory)
      throw SiltstoneError(
        .invalidArgument, "\(String(cString: kind)) is a network file system; a database needs a local one",
        file: path)
    }
    usesURing = backend == .automatic && URingQueue.isAvailable
    usesDirect = Atomic(backend == .automatic)
    if isNew { try syncParent() }
  }

  /// Nothing in a directory outlives a power cut unless the directory's own name does.
  private func syncParent() throws(SiltstoneError) {
    let parent = csup_open_at(directory, "..", O_RDONLY | O_DIRECTORY, 0)
    if parent < 0 { return }  // one may be allowed to make names there, but not to read it
    defer { close(parent) }
    guard fsync(parent) == 0 else { throw .system("sync the parent directory", errno: errno, file: path) }
  }

  deinit { _ = Glibc.close(directory) }

  var capabilities: StorageCapabilities {
    StorageCapabilities(usesIOURing: usesURing, usesDirectIO: usesDirect.load(ordering: .relaxed))
  }

  func open(_ name: String, _ access: FileAccess) throws(SiltstoneError) -> any StorageFile {
    let flags: Int32 =
      switch access {
      case .read, .readBuffered: O_RDONLY
      case .readWrite, .readWriteBuffered: O_RDWR
      case .create, .createBuffered: O_RDWR | O_CREAT | O_EXCL
      }
    let wantsDirect =
      switch access {
      case .read, .readWrite, .create: usesDirect.load(ordering: .relaxed)
      case .readBuffered, .readWriteBuffered, .createBuffered: false
      }
    if wantsDirect {
      let descriptor = retryingInterrupts { csup_open_at(directory, name, flags | csup_o_direct, 0o600) }
      if descriptor >= 0 { return DiskFile(name: name, descriptor: descriptor, isDirect: true) }
      guard errno == EINVAL || errno == EOPNOTSUPP else { throw openError(errno, name) }
      usesDirect.store(false, ordering: .relaxed)
      // Some file systems create the file before they refuse the flag.
      if access == .create { unlinkat(directory, name, 0) }
    }
    let descriptor = retryingInterrupts { csup_open_at(directory, name, flags, 0o600) }
    guard descriptor >= 0 else { throw openError(errno, name) }
    return DiskFile(name: name, descriptor: descriptor, isDirect: false)
  }

  private func openError(_ number: Int32, _ name: String) -> SiltstoneError {
    .system("open the file", errno: number, file: name)
  }

  func exists(_ name: String) throws(SiltstoneError) -> Bool {
    if faccessat(directory, name, F_OK, 0) == 0 { return true }
    if errno == ENOENT { return false }
    throw .system("look for the file", errno: errno, file: name)
  }

  func remove(_ name: String) throws(SiltstoneError) {
    if unlinkat(directory, name, 0) != 0, errno != ENOENT {
      throw .system("remove the file", errno: errno, file: name)
    }
  }

  func rename(_ name: String, to newName: String) throws(SiltstoneError) {
    guard renameat(directory, name, directory, newName) == 0 else {
      throw .system("rename the file to \(newName)", errno: errno, file: name)
    }
  }

  func list() throws(SiltstoneError) -> [String] { try list(below: directory) }

  func list(below directory: Int32) throws(SiltstoneError) -> [String] {
    // A descriptor of its own: the place in a listing belongs to the description.
    let descriptor = retryingInterrupts { csup_open_at(directory, ".", O_RDONLY | O_DIRECTORY, 0) }
    guard descriptor >= 0 else { throw .system("list the directory", errno: errno, file: path) }
    guard let stream = fdopendir(descriptor) else {
      let number = errno
      close(descriptor)
      throw .system("list the directory", errno: number, file: path)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else { break }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    if errno != 0 { throw .system("list the directory", errno: errno, file: path) }
    return names
  }

  func syncDirectory() throws(SiltstoneError) {
    guard fsync(directory) == 0 else { throw .system("sync the directory", errno: errno, file: path) }
  }

  func map(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile {
    let descriptor = retryingInterrupts { csup_open_at(directory, name, O_RDWR | O_CREAT, 0o600) }
    guard descriptor >= 0 else { throw openError(errno, name) }
    let file = DiskFile(name: name, descriptor: descriptor, isDirect: false)
    return try SharedMapping(file, sizeBytes: sizeBytes)
  }

  func mapReadOnly(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile {
    let descriptor = retryingInterrupts { csup_open_at(directory, name, O_RDONLY, 0) }
    guard descriptor >= 0 else { throw openError(errno, name) }
    return try SharedMapping(
      readOnly: DiskFile(name: name, descriptor: descriptor, isDirect: false), sizeBytes: sizeBytes)
  }

  func tryLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)? {
    try ByteLock(directory: directory, name: name, byte: byte)
  }

  func trySharedLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)? {
    try ByteLock(directory: directory, name: name, byte: byte, isShared: true)
  }

  func isLocked(_ name: String, byte: UInt64) throws(SiltstoneError) -> Bool {
    let descriptor = retryingInterrupts { csup_open_at(directory, name, O_RDONLY, 0) }
    guard descriptor >= 0 else { throw openError(errno, name) }
    defer { _ = Glibc.close(descriptor) }
    let outcome = csup_byte_is_locked(descriptor, byte, 1)
    if outcome < 0 { throw .system("look at a lock of the file", errno: errno, file: name, offset: byte) }
    return outcome == 1
  }

  func makeMarks(_ name: String) throws(SiltstoneError) -> any FileMarks {
    try ByteMarks(directory: directory, name: name)
  }

  /// Permission to read is enough to mark all that there is. That must not take more memory than this; nor may what is
  /// beyond it be passed over, since others' marks may be among it.
  static let maxMarks = 1 << 16

  func marks(_ name: String, in range: Range<UInt64>, limit: Int) throws(SiltstoneError) -> [UInt64] {
    let descriptor = retryingInterrupts { csup_open_at(directory, name, O_RDONLY, 0) }
    guard descriptor >= 0 else { throw openError(errno, name) }
    defer { _ = Glibc.close(descriptor) }
    var found: [UInt64] = []
    // The kernel tells of one lock in a range; the others lie before it or behind it.
    var open = [range]
    while let next = open.popLast(), found.count < limit {
      if found.count > DiskStorage.maxMarks {
        throw .corrupt("a process that only reads marks more than \(DiskStorage.maxMarks) bytes", file: name)
      }
      if next.isEmpty { continue }
      var (first, last): (UInt64, UInt64) = (0, 0)
      let outcome = csup_find_lock(descriptor, next.lowerBound, next.upperBound, &first, &last)
      if outcome < 0 { throw .system("look at the locks of the file", errno: errno, file: name) }
      if outcome == 0 { continue }
      let (low, high) = (max(first, next.lowerBound), min(last, next.upperBound - 1))
      guard low <= high else { continue }
      found += (low...high).prefix(min(limit, DiskStorage.maxMarks + 1) - found.count)
      open.append(next.lowerBound..<low)
      open.append(high + 1..<next.upperBound)
    }
    return found
  }

  func makeIOQueue(depth: Int) throws(SiltstoneError) -> any IOQueue {
    if usesURing, let queue = URingQueue(depth: depth) { return queue }
    return PlainQueue(depth: depth)
  }

  func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
  }

  func wallClockSeconds() -> UInt64 { UInt64(max(0, time(nil))) }

  func fillRandom(_ bytes: UnsafeMutableRawBufferPointer) {
    var generator = SystemRandomNumberGenerator()
    for index in bytes.indices { bytes[index] = UInt8.random(in: 0...255, using: &generator) }
  }
}
