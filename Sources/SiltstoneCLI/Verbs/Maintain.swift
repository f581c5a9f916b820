import ArgumentParser
import Glibc
import Siltstone

/// `siltstone maintain DIR`
struct Maintain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Do a database's upkeep (log, flush, compaction) until told to end, and nothing else.",
    discussion: """
      Beside processes that open the database as guests, all upkeep is done here: so it can be niced, pinned to \
      cores or confined apart from them. It ends in good order on SIGTERM or SIGINT; should it die otherwise, the \
      next process that offers itself takes over.
      """)

  @OptionGroup var database: DatabaseDirectory

  func run() throws {
    let stop = StopSignal()
    let opened = try database.open(create: true)
    printToStandardError("maintaining \(database.directory) as process \(getpid())\n")
    stop.wait()
    try database.close(opened)
  }
}

/// Waits for the signals by which a person or a supervisor asks a process to end.
struct StopSignal {
  private var set = sigset_t()

  /// From now on the signals do nothing else. REQUIRES: made before the first other thread.
  init() {
    sigemptyset(&set)
    for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&set, signal) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  func wait() {
    var (set, signal) = (set, Int32(0))
    while sigwait(&set, &signal) != 0 {}
  }

  /// Waits for one at most this long; whether there was one.
  func wait(seconds: Double) -> Bool {
    var set = set
    var limit = timespec(tv_sec: Int(seconds), tv_nsec: Int((seconds - seconds.rounded(.down)) * 1e9))
    return sigtimedwait(&set, nil, &limit) > 0
  }
}
