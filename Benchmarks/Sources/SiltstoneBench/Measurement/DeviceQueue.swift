import CDevice
import Glibc

/// Keeps a number of reads or writes of one file in flight, each in a buffer of its own. Used by one thread.
struct DeviceQueue: ~Copyable {
  private let queue: OpaquePointer
  private let depth: Int
  private let pieceBytes: Int
  /// `depth` buffers, one behind the other; the tag of an operation is the number of its buffer.
  private let buffers: UnsafeMutableRawPointer
  private let begins: UnsafeMutablePointer<UInt64>
  /// Operations may be in flight that nobody will hear of.
  private var isBroken = false

  /// Each operation moves `pieceBytes`. Writes take what `contents` puts into the buffers now, the same in each.
  init(
    _ file: Int32, depth: Int, pieceBytes: Int, contents: (UnsafeMutableRawBufferPointer) -> Void = { _ in }
  ) throws {
    var error: Int32 = 0
    guard let queue = cdevice_queue_create(file, UInt32(depth), &error) else {
      throw BenchError("io_uring is not to be had here: \(String(cString: strerror(error)))")
    }
    self.queue = queue
    self.depth = depth
    self.pieceBytes = pieceBytes
    buffers = .allocate(byteCount: depth * pieceBytes, alignment: 4096)
    begins = .allocate(capacity: depth)
    begins.initialize(repeating: 0, count: depth)
    let first = UnsafeMutableRawBufferPointer(start: buffers, count: pieceBytes)
    first.initializeMemory(as: UInt8.self, repeating: 0)
    contents(first)
    for index in 1..<max(depth, 1) {
      (buffers + index * pieceBytes).copyMemory(from: buffers, byteCount: pieceBytes)
    }
  }

  deinit {
    if isBroken { return }  // the kernel may still write to the buffers
    cdevice_queue_destroy(queue)
    buffers.deallocate()
    begins.deallocate()
  }

  enum Direction { case read, write }

  /// Runs operations, always `depth` of them in flight, at the offsets that `next` gives until it gives nil.
  /// `completed` is told the nanoseconds from submission to completion, and the time.
  mutating func run(
    _ direction: Direction, next: () -> UInt64?, completed: (_ elapsed: UInt64, _ now: UInt64) -> Void
  ) throws {
    var inFlight = 0
    var failure: (any Error)?
    for slot in 0..<depth {
      guard let offset = next() else { break }
      submit(direction, offset, slot, Clock.nanoseconds())
      inFlight += 1
    }
    while inFlight > 0 {
      let broken = cdevice_queue_wait(queue)
      if broken != 0 {
        isBroken = true
        throw DeviceQueue.error(direction, broken)
      }
      var (tag, result): (UInt64, Int32) = (0, 0)
      // One at a time, and the next one submitted for it at once: taking all that have completed would leave the device
      // with less than `depth` in flight meanwhile.
      if cdevice_queue_reap(queue, &tag, &result) {
        inFlight -= 1
        let (slot, now) = (Int(tag), Clock.nanoseconds())
        completed(now - begins[slot], now)
        if result != Int32(pieceBytes) { failure = failure ?? DeviceQueue.error(direction, result < 0 ? -result : EIO) }
        if failure == nil, let offset = next() {
          submit(direction, offset, slot, now)
          inFlight += 1
        }
      }
    }
    if let failure { throw failure }
  }

  private func submit(_ direction: Direction, _ offset: UInt64, _ slot: Int, _ now: UInt64) {
    let bytes = buffers + slot * pieceBytes
    begins[slot] = now
    switch direction {
    case .read: cdevice_queue_read(queue, bytes, UInt32(pieceBytes), offset, UInt64(slot))
    case .write: cdevice_queue_write(queue, bytes, UInt32(pieceBytes), offset, UInt64(slot))
    }
  }

  private static func error(_ direction: Direction, _ code: Int32) -> BenchError {
    BenchError("the probe could not \(direction): \(String(cString: strerror(code)))")
  }
}
