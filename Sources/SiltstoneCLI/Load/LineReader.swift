import Glibc

/// Splits a stream into lines, in place: a line is a view of the read buffer, and no line is ever copied or
/// counted character by character.
struct LineReader: ~Copyable {
  enum Step {
    /// `line` is the next line, without its newline. The last one may lack a newline in the stream.
    case line
    /// The next line has not arrived within the time given; asking again goes on waiting.
    case idle
    case end
  }

  /// A key of 64 KiB, a tab, a value of 256 MiB: no record that could be stored is longer, because a format
  /// whose key is not cut off the line stores the whole line as the value.
  static let maxLineBytes = (64 << 10) + 1 + (256 << 20)
  /// 1 MiB: large enough that system calls do not count, small enough to stay in the second-level cache.
  private static let initialCapacity = 1 << 20

  let file: InputFile
  private var base: UnsafeMutableRawPointer
  private var capacity: Int
  private var start = 0  // of the current line
  private var end = 0  // of the current line
  private var unread = 0  // the first byte after the current line and its newline
  private var filled = 0  // the first byte that holds nothing
  private var atEnd = false
  /// Where `base` lies in the stream.
  private var baseOffset: UInt64 = 0
  /// Lines up to the current one, itself included.
  private(set) var lineNumber: UInt64 = 0
  /// The current line was longer than `maxLineBytes`; it was passed over and `line` is empty.
  private(set) var isTooLong = false

  init(_ file: consuming InputFile) {
    self.file = file
    capacity = LineReader.initialCapacity
    base = .allocate(byteCount: capacity, alignment: 4096)
  }

  deinit { base.deallocate() }

  /// The current line; valid until the next call of a mutating function.
  var line: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + start, count: end - start) }

  /// Bytes of the stream up to the end of the current line, its newline included.
  var position: UInt64 { baseOffset + UInt64(unread) }

  /// Moves to the next line. With `idleAfter`, comes back when a pipe has been silent for so many
  /// milliseconds.
  @inline(__always)
  mutating func next(idleAfter milliseconds: Int32? = nil) throws -> Step {
    start = unread
    isTooLong = false
    // The usual case, kept small: the line is in the buffer.
    if let newline = memchr(base + unread, 10, filled - unread) {
      take(lineEndingAt: UnsafeRawPointer(newline))
      return .line
    }
    end = start
    return try findEnd(from: filled - start, idleAfter: milliseconds)
  }

  /// Lengthens the current line by its newline and the line that follows. False, and no change, at the
  /// stream's end.
  mutating func extend() throws -> Bool {
    guard try findEnd(from: unread - start, idleAfter: nil) == .line else { return false }
    return true
  }

  /// Moves to `offset` in a plain file, where line `lineNumber` ends.
  mutating func seek(to offset: UInt64, lineNumber: UInt64) throws {
    try file.seek(to: offset)
    self.lineNumber = lineNumber
    (start, end, unread, filled, atEnd) = (0, 0, 0, 0, false)
    baseOffset = offset
  }

  /// Finds the newline that ends the line at `start`; `searched` bytes of it need not be looked at again.
  private mutating func findEnd(from searched: Int, idleAfter milliseconds: Int32?) throws -> Step {
    var searched = searched
    while true {
      if let newline = memchr(base + start + searched, 10, filled - start - searched) {
        take(lineEndingAt: UnsafeRawPointer(newline))
        return .line
      }
      searched = filled - start
      if atEnd {
        guard filled > unread else { return .end }
        (end, unread) = (filled, filled)
        lineNumber += 1
        return .line
      }
      if searched > LineReader.maxLineBytes { return try passOver() }
      if let milliseconds, !file.isPlainFile, file.isIdle(forMilliseconds: milliseconds) { return .idle }
      try fill()
    }
  }

  @inline(__always)
  private mutating func take(lineEndingAt newline: UnsafeRawPointer) {
    end = newline - UnsafeRawPointer(base)
    unread = end + 1
    lineNumber += 1
    if end - start > LineReader.maxLineBytes {
      isTooLong = true
      start = end
    }
  }

  /// Reads more of the stream behind what is there, after making room.
  private mutating func fill() throws {
    if start == filled { moveDown() }
    // 64 KiB is what a pipe gives at once.
    if capacity - filled < 64 << 10 && start > 0 { moveDown() }
    if filled == capacity { grow() }
    let count = try file.read(
      into: UnsafeMutableRawBufferPointer(start: base + filled, count: capacity - filled))
    filled += count
    if count == 0 { atEnd = true }
  }

  /// Drops what lies before the current line.
  private mutating func moveDown() {
    memmove(base, base + start, filled - start)
    baseOffset += UInt64(start)
    filled -= start
    end -= start
    unread -= start
    start = 0
  }

  private mutating func grow() {
    let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity * 2, alignment: 4096)
    memcpy(larger, base, filled)
    base.deallocate()
    base = larger
    capacity *= 2
  }

  /// Reads to the end of a line that is too long, keeping nothing of it.
  private mutating func passOver() throws -> Step {
    isTooLong = true
    lineNumber += 1
    while !atEnd {
      baseOffset += UInt64(filled)
      (start, end, unread, filled) = (0, 0, 0, 0)
      try fill()
      if let newline = memchr(base, 10, filled) {
        unread = UnsafeRawPointer(newline) - UnsafeRawPointer(base) + 1
        (start, end) = (unread, unread)
        return .line
      }
    }
    (start, end, unread) = (filled, filled, filled)
    return .line
  }
}
