import CSupport
import Glibc
import Testing

@testable import Siltstone

/// The directory: names, errors, and what the machine grants.
@Suite struct DiskStorageTests {
  let directory = TemporaryDirectory()

  func open(_ backend: DiskStorage.Backend = .automatic) throws -> DiskStorage {
    try DiskStorage(path: directory.path, create: false, backend: backend)
  }

  @Test func namesAreMadeListedRenamedAndRemoved() throws {
    let storage = try open()
    #expect(try storage.list().isEmpty)
    for name in ["one", "two", "three"] { _ = try storage.open(name, .create) }
    #expect(try Set(storage.list()) == ["one", "two", "three"])
    #expect(try Set(storage.list()).count == 3, "a second listing starts at the beginning")
    try storage.rename("one", to: "two")
    try storage.remove("three")
    try storage.syncDirectory()
    #expect(try storage.list() == ["two"])
    #expect(try storage.exists("two"))
    #expect(try !storage.exists("one"))
  }

  @Test func renamingReplacesTheBytes() throws {
    let storage = try open()
    for (name, byte) in [("old", UInt8(1)), ("new", 2)] {
      try [byte].withUnsafeBytes { try storage.open(name, .createBuffered).write($0, at: 0, .none) }
    }
    try storage.rename("new", to: "old")
    var byte: UInt8 = 0
    let file = try storage.open("old", .readBuffered)
    let count = try withUnsafeMutableBytes(of: &byte) { try file.read(into: $0, at: 0) }
    #expect(count == 1 && byte == 2)
  }

  @Test(arguments: [DiskStorage.Backend.automatic, .plain])
  func openingSaysWhatIsWrong(backend: DiskStorage.Backend) throws {
    let storage = try open(backend)
    for access in [FileAccess.read, .readWrite, .readBuffered, .readWriteBuffered] {
      let error = #expect(throws: SiltstoneError.self) { try storage.open("none", access) }
      #expect(error?.code == .missingFile && error?.file == "none")
    }
    _ = try storage.open("there", .create)
    for access in [FileAccess.create, .createBuffered] {
      let error = #expect(throws: SiltstoneError.self) { try storage.open("there", access) }
      #expect(error?.errno == EEXIST && error?.file == "there")
    }
    #expect(try storage.list() == ["there"])
  }

  @Test func removingIsIdempotentAndRenamingIsNot() throws {
    let storage = try open()
    try storage.remove("none")
    let error = #expect(throws: SiltstoneError.self) { try storage.rename("none", to: "some") }
    #expect(error?.code == .missingFile && error?.file == "none")
  }

  @Test func theDirectoryIsMadeOnlyOnRequest() throws {
    let path = directory.file("inner")
    let missing = #expect(throws: SiltstoneError.self) { try DiskStorage(path: path, create: false) }
    #expect(missing?.code == .missingFile)
    _ = try DiskStorage(path: path, create: true).open("a", .create)
    #expect(try DiskStorage(path: path, create: true).list() == ["a"])
    #expect(try DiskStorage(path: path, create: false).list() == ["a"])
    let orphan = #expect(throws: SiltstoneError.self) {
      try DiskStorage(path: directory.file("no/inner"), create: true)
    }
    #expect(orphan?.code == .missingFile)
  }

  @Test func aFileIsNoDirectory() throws {
    _ = try open().open("plain", .create)
    let error = #expect(throws: SiltstoneError.self) {
      try DiskStorage(path: directory.file("plain"), create: true)
    }
    #expect(error?.code == .notADatabase)
  }

  @Test func plainGrantsNothing() throws {
    let capabilities = try open(.plain).capabilities
    #expect(!capabilities.usesIOURing && !capabilities.usesDirectIO)
    #expect(try open(.plain).makeIOQueue(depth: 4) is PlainQueue)
  }

  @Test func capabilitiesAreWhatIsReallyUsed() throws {
    let storage = try open()
    let file = try storage.open("a", .create)
    #expect(storage.capabilities.usesDirectIO == file.isDirect)
    #expect(try storage.makeIOQueue(depth: 4) is URingQueue == storage.capabilities.usesIOURing)
  }

  @Test(arguments: [
    (ENOSPC, SiltstoneError.Code.diskFull), (EDQUOT, .diskFull), (EACCES, .permissionDenied),
    (EPERM, .permissionDenied), (EROFS, .permissionDenied), (ENOENT, .missingFile), (ENOMEM, .outOfMemory),
    (EIO, .inputOutput), (EBADF, .inputOutput), (EINVAL, .inputOutput), (0x7FFF, .inputOutput),
  ])
  func everyErrnoHasItsCode(number: Int32, code: SiltstoneError.Code) {
    let error = SiltstoneError.system("write", errno: number, file: "000001.log", offset: 4096)
    #expect(error.code == code && error.errno == number && error.file == "000001.log" && error.offset == 4096)
    #expect(error.description.contains("000001.log at offset 4096"))
    #expect(error.description.contains(String(cString: strerror(number))))
    #expect(!error.description.contains("\n"))
  }

  /// Where the system has a device that is always full, the whole way of the error; the mapping is tested above.
  @Test func aFullDiskIsNamed() throws {
    let descriptor = Glibc.open("/dev/full", O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    let file = DiskFile(name: "full", descriptor: descriptor, isDirect: false)
    for durability in [WriteDurability.none, .dataSync] {
      let error = #expect(throws: SiltstoneError.self) {
        try [UInt8](repeating: 1, count: 10).withUnsafeBytes { try file.write($0, at: 0, durability) }
      }
      #expect(error?.code == .diskFull && error?.file == "full")
    }
    for backend in [DiskStorage.Backend.automatic, .plain] {
      let queue = try open(backend).makeIOQueue(depth: 1)
      let bytes = AlignedMemory(sizeBytes: StorageAlignment.bytes)
      try queue.submitWrite(file, DiskFileTests.bytes(bytes), at: 0, .none, tag: 9)
      let completion = try queue.wait()
      #expect(completion.tag == 9 && completion.error?.code == .diskFull && completion.error?.file == "full")
    }
  }

  @Test func networkFileSystemsAreKnown() {
    let network: [UInt32: String] = [
      0x6969: "NFS", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB2", 0x0102_1997: "9P", 0x00C3_6400: "Ceph",
      0x5346_414F: "AFS",
    ]
    for (magic, name) in network {
      #expect(csup_network_kind(magic).map { String(cString: $0) } == name)
    }
    let local: [String: UInt32] = [
      "ext4": 0xEF53, "xfs": 0x5846_5342, "btrfs": 0x9123_683E, "tmpfs": 0x0102_1994, "overlay": 0x794C_7630,
      "FUSE": 0x6573_5546, "f2fs": 0xF2F5_2010,
    ]
    for (name, magic) in local { #expect(csup_network_kind(magic) == nil, "\(name)") }
  }

  @Test func clocksAndRandomnessMove() throws {
    let storage = try open()
    let first = storage.monotonicNanoseconds()
    #expect(storage.monotonicNanoseconds() >= first)
    #expect(storage.wallClockSeconds() > 1_700_000_000)
    var words: (UInt64, UInt64) = (0, 0)
    withUnsafeMutableBytes(of: &words) { storage.fillRandom($0) }
    #expect(words.0 != words.1)
  }

  @Test func interruptedCallsAreMadeAgain() {
    var calls = 0
    let result: Int = retryingInterrupts {
      calls += 1
      errno = EINTR
      return calls < 4 ? -1 : 7
    }
    #expect(result == 7 && calls == 4)
    let failed: Int = retryingInterrupts {
      errno = EIO
      return -1
    }
    #expect(failed == -1)
  }

  /// A program that is executed inherits no file.
  @Test func descriptorsCloseOnExec() throws {
    let storage = try open()
    let file = try #require(try storage.open("a", .create) as? DiskFile)
    let buffered = try #require(try storage.open("b", .createBuffered) as? DiskFile)
    for descriptor in [file.descriptor, buffered.descriptor] {
      #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }
  }

  /// A process that only reads can lock whatever it likes, and must neither hide others' marks nor take up memory.
  @Test func greedyMarksHideNobodyAndAreCapped() throws {
    let storage = try open()
    _ = try storage.open("file", .createBuffered)
    let marks = try storage.makeMarks("file")
    try marks.set(105, true)
    let descriptor = Glibc.open(directory.file("file"), O_RDONLY)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let setOwnLock: Int32 = 37  // F_OFD_SETLK
    var toTheEnd = flock(l_type: Int16(F_RDLCK), l_whence: Int16(SEEK_SET), l_start: 110, l_len: 0, l_pid: 0)
    try #require(fcntl(descriptor, setOwnLock, &toTheEnd) == 0)
    #expect(try storage.marks("file", in: 100..<115, limit: .max).sorted() == [105, 110, 111, 112, 113, 114])
    #expect(try storage.marks("file", in: 100..<1 << 56, limit: 3).count == 3)
    #expect(throws: SiltstoneError.self) { try storage.marks("file", in: 100..<1 << 56, limit: .max) }
  }
}
