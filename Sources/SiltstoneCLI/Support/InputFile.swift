import Glibc

/// A file, a pipe or standard input, open for reading.
struct InputFile: ~Copyable {
  /// For messages: the path, or `standard input`.
  let name: String
  let descriptor: Int32
  /// A plain file can be sought in; a pipe or a terminal cannot.
  let isPlainFile: Bool
  /// Where reading begins: 0, but for a standard input that was read before it came here.
  let origin: UInt64
  /// What lies from `origin` to the end, if that is known.
  let sizeBytes: UInt64?

  /// Opens `path`; `-` is standard input.
  init(_ path: String) throws {
    if path == "-" {
      try self.init(descriptor: STDIN_FILENO, name: "standard input")
    } else {
      let raw = RawArguments.bytes(of: path).map(CChar.init(bitPattern:)) + [0]
      let descriptor = open(raw, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw ToolError.system(path, "open") }
      try self.init(descriptor: descriptor, name: path)
    }
  }

  /// Takes over an open descriptor.
  init(descriptor: Int32, name: String) throws {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw ToolError.system(name, "look at") }
    if status.st_mode & S_IFMT == S_IFDIR {
      throw ToolError.system(name, "read", EISDIR)
    }
    let position = status.st_mode & S_IFMT == S_IFREG ? lseek(descriptor, 0, SEEK_CUR) : -1
    self.name = name
    self.descriptor = descriptor
    isPlainFile = position >= 0
    origin = UInt64(max(0, position))
    sizeBytes = position >= 0 ? UInt64(max(0, status.st_size - position)) : nil
  }

  deinit { if descriptor != STDIN_FILENO { close(descriptor) } }

  /// Reads what there is, at most `buffer`; 0 is the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      guard errno == EINTR else { throw ToolError.system(name, "read") }
    }
  }

  /// Whether nothing arrives for as long as this. A plain file is always ready.
  func isIdle(forMilliseconds milliseconds: Int32) -> Bool {
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&request, 1, milliseconds) == 0
  }

  /// Moves to `offset` bytes after the origin. REQUIRES: `isPlainFile`.
  func seek(to offset: UInt64) throws {
    guard lseek(descriptor, off_t(origin + offset), SEEK_SET) >= 0 else {
      throw ToolError.system(name, "seek")
    }
  }
}
