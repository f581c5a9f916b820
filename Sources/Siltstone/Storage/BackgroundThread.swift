internal import CSupport
internal import Glibc
internal import Synchronization

/// A named thread of the engine's own. What blocks runs on one of these, never on a borrowed pool.
final class BackgroundThread: @unchecked Sendable {  // `handle` is set once, before anyone else can see it
  private var handle = pthread_t()
  private let isJoined = Atomic<Bool>(false)

  private final class Start {
    let name: String
    let body: @Sendable () -> Void
    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// Starts `body` on a new thread; profilers see the first 15 bytes of `name`.
  init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SiltstoneError) {
    let start = Unmanaged.passRetained(Start(name, body))
    let number = pthread_create(
      &handle, nil,
      { argument in
        let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
        csup_name_thread(start.name)
        start.body()
        return nil
      }, start.toOpaque())
    if number != 0 {
      start.release()
      isJoined.store(true, ordering: .relaxed)  // there is nothing to join, and nothing to detach
      throw .system("start a thread", errno: number, file: nil)
    }
  }

  /// Returns when the body has. REQUIRES: called once, from another thread.
  func join() {
    let wasJoined = isJoined.exchange(true, ordering: .relaxed)
    precondition(!wasJoined, "a thread is joined once")
    pthread_join(handle, nil)
  }

  // Nobody will ask how it ended, so its stack goes when it does.
  deinit { if !isJoined.load(ordering: .relaxed) { pthread_detach(handle) } }
}
