import Glibc

/// Threads that block, which is what a measurement of blocking writes needs.
enum Threads {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs `body` on `count` threads at once, and returns when all of them have.
  static func run(_ count: Int, _ body: @escaping @Sendable () -> Void) throws {
    var threads: [pthread_t] = []
    defer { for thread in threads { pthread_join(thread, nil) } }
    for _ in 0..<count {
      var thread = pthread_t()
      let argument = Unmanaged.passRetained(Body(body))
      let status = pthread_create(
        &thread, nil,
        { argument in
          if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
          return nil
        }, argument.toOpaque())
      guard status == 0 else {
        argument.release()
        throw ToolError.system("demo", "start a thread", status)
      }
      threads.append(thread)
    }
  }
}
