internal import CSupport
internal import Glibc

/// Overlapping I/O through io_uring. One owner at a time.
final class URingQueue: IOQueue {
  let depth: Int
  private(set) var outstanding = 0
  private let ring: OpaquePointer

  /// What must be kept and known until an operation is whole.
  private struct Operation {
    var file: any StorageFile
    var descriptor: Int32
    var base: UnsafeMutableRawPointer
    var length: Int
    var done: Int
    var offset: UInt64
    var durability: WriteDurability?  // nil: a read
    var tag: UInt64
  }
  private var operations: [Operation?]
  private var free: [Int]

  /// Whether this system grants rings at all; asked once.
  static let isAvailable: Bool = URingQueue(depth: 1) != nil

  /// Nil if the system refuses a ring.
  init?(depth: Int) {
    var number: Int32 = 0
    guard let ring = csup_ring_create(UInt32(depth), &number) else { return nil }
    self.ring = ring
    self.depth = depth
    operations = Array(repeating: nil, count: depth)
    free = Array(0..<depth)
  }

  deinit {
    while outstanding > 0 {
      do throws(SiltstoneError) { _ = try wait() } catch { break }
    }
    csup_ring_destroy(ring)
  }

  func submitRead(
    _ file: any StorageFile, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, tag: UInt64
  ) throws(SiltstoneError) {
    try start(file, buffer.baseAddress!, buffer.count, offset, nil, tag)
  }

  func submitWrite(
    _ file: any StorageFile, _ bytes: UnsafeRawBufferPointer, at offset: UInt64,
    _ durability: WriteDurability, tag: UInt64
  ) throws(SiltstoneError) {
    try start(
      file, UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count, offset, durability, tag)
  }

  private func start(
    _ file: any StorageFile, _ base: UnsafeMutableRawPointer, _ length: Int, _ offset: UInt64,
    _ durability: WriteDurability?, _ tag: UInt64
  ) throws(SiltstoneError) {
    guard let disk = file as? DiskFile else { preconditionFailure("io_uring works on files of a real disk") }
    precondition(outstanding < depth, "at most depth operations at a time")
    precondition(length > 0, "an operation of no bytes")
    disk.assertAligned(UnsafeRawBufferPointer(start: base, count: length), offset)
    let slot = free.removeLast()
    operations[slot] = Operation(
      file: file, descriptor: disk.descriptor, base: base, length: length, done: 0, offset: offset,
      durability: durability, tag: tag)
    outstanding += 1
    do throws(SiltstoneError) {
      try submit(slot)
    } catch {
      finish(slot)
      throw error
    }
  }

  private func submit(_ slot: Int) throws(SiltstoneError) {
    let operation = operations[slot]!
    let base = operation.base + operation.done
    // A request holds 2 GiB at most; the rest follows as after any short transfer.
    let length = UInt32(min(operation.length - operation.done, 1 << 30))
    let offset = operation.offset &+ UInt64(operation.done)
    let number: Int32
    if let durability = operation.durability {
      number = csup_ring_submit_write(
        ring, operation.descriptor, base, length, offset, durability == .dataSync, UInt64(slot))
    } else {
      number = csup_ring_submit_read(ring, operation.descriptor, base, length, offset, UInt64(slot))
    }
    if number != 0 { throw .system("submit I/O", errno: number, file: operation.file.name, offset: offset) }
  }

  private func finish(_ slot: Int) {
    operations[slot] = nil
    free.append(slot)
    outstanding -= 1
  }

  func wait() throws(SiltstoneError) -> IOCompletion {
    precondition(outstanding > 0, "nothing to wait for")
    while true {
      var tag: UInt64 = 0
      var result: Int32 = 0
      let number = csup_ring_wait(ring, &tag, &result)
      if number != 0 { throw .system("wait for I/O", errno: number, file: nil) }
      let slot = Int(tag)
      precondition(slot < depth && operations[slot] != nil, "the ring completed what was not submitted")
      if let completion = settle(slot, result) { return completion }
    }
  }

  /// What the operation came to, or nil if the rest of it was submitted again.
  private func settle(_ slot: Int, _ result: Int32) -> IOCompletion? {
    let isRead = operations[slot]!.durability == nil
    // Cancelled: the thread that submitted it is gone. The queue's owner still wants it done.
    if result == -EINTR || result == -EAGAIN || result == -ECANCELED { return submitAgain(slot) }
    if result == -EOPNOTSUPP, operations[slot]!.durability == .dataSync { return writeAndSync(slot) }
    if result < 0 { return complete(slot, errno: -result) }
    operations[slot]!.done += Int(result)
    let operation = operations[slot]!
    if operation.done == operation.length { return complete(slot, errno: 0) }
    if result == 0 { return complete(slot, errno: isRead ? 0 : EIO) }
    if isRead, operation.file.isDirect, operation.done % StorageAlignment.bytes != 0 {
      return complete(slot, errno: 0)  // the end of the file
    }
    return submitAgain(slot)
  }

  /// Nil, or the operation's failure if the rest of it could not be submitted: it must not count as outstanding
  /// when nothing in the kernel will ever complete it.
  private func submitAgain(_ slot: Int) -> IOCompletion? {
    do throws(SiltstoneError) {
      try submit(slot)
      return nil
    } catch {
      return complete(slot, errno: error.errno)
    }
  }

  /// The file system knows no durable writes: do it the long way.
  private func writeAndSync(_ slot: Int) -> IOCompletion {
    let operation = operations[slot]!
    do throws(SiltstoneError) {
      try operation.file.write(
        UnsafeRawBufferPointer(start: operation.base, count: operation.length), at: operation.offset,
        .dataSync)
      operations[slot]!.done = operation.length
      return complete(slot, errno: 0)
    } catch {
      return complete(slot, errno: error.errno == 0 ? EIO : error.errno)
    }
  }

  private func complete(_ slot: Int, errno number: Int32) -> IOCompletion {
    let operation = operations[slot]!
    defer { finish(slot) }
    let error: SiltstoneError? =
      number == 0
      ? nil
      : .system(
        operation.durability == nil ? "read" : "write", errno: number, file: operation.file.name,
        offset: operation.offset &+ UInt64(operation.done))
    return IOCompletion(tag: operation.tag, bytesTransferred: operation.done, error: error)
  }
}
