import Glibc

/// The real `find`, printing the metadata of every file under /usr and /var into a pipe.
struct FindStream: ~Copyable {
  private let process: pid_t
  /// The reading end. Whoever reads it closes it.
  let descriptor: Int32

  /// Path, tab, size, time of change, mode. Names that hold a tab or a newline would make other lines than
  /// one, and are left out.
  private static let arguments = [
    "find", "/usr", "/var", "-xdev", "!", "-path", "*\n*", "!", "-path", "*\t*", "-printf",
    "%p\\t%s %T@ %m\\n",
  ]

  init() throws {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw ToolError.system("demo", "make a pipe") }
    // If `find` held its own reading end, it would never notice that nobody reads any more.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[1]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    // Directories that may not be read are no news.
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)

    var arguments: [UnsafeMutablePointer<CChar>?] = FindStream.arguments.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var process = pid_t()
    let status = posix_spawnp(&process, "find", &actions, nil, &arguments, environ)
    guard status == 0 else {
      close(ends[0])
      throw ToolError.system("find", "start it", status)
    }
    self.process = process
    descriptor = ends[0]
  }

  /// Waits for the end of `find`. Its status says no more than that it could not look everywhere.
  func wait() {
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
  }
}
