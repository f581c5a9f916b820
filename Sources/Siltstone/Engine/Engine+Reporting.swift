extension Engine {
  /// Runs `body`, and tells the event handler if bytes were found damaged.
  @inline(__always)
  func report<Result>(_ body: () throws(SiltstoneError) -> Result) throws(SiltstoneError) -> Result {
    do throws(SiltstoneError) {
      return try body()
    } catch {
      if error.code == .corruption { emit(Event(.corruption, "\(error)", error: error)) }
      throw error
    }
  }

  func emit(_ event: @autoclosure () -> Event) {
    if let handler = options.eventHandler { handler(event()) }
  }
}
