/// The queue where there is no io_uring: each operation is done at submission, and its completion kept until asked for.
final class PlainQueue: IOQueue {
  let depth: Int
  private var completions: [IOCompletion] = []

  init(depth: Int) { self.depth = depth }

  var outstanding: Int { completions.count }

  func submitRead(
    _ file: any StorageFile, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, tag: UInt64
  ) throws(SiltstoneError) {
    precondition(outstanding < depth, "at most depth operations at a time")
    precondition(buffer.count > 0, "an operation of no bytes")
    do throws(SiltstoneError) {
      let count = try file.read(into: buffer, at: offset)
      completions.append(IOCompletion(tag: tag, bytesTransferred: count, error: nil))
    } catch {
      completions.append(IOCompletion(tag: tag, bytesTransferred: 0, error: error))
    }
  }

  func submitWrite(
    _ file: any StorageFile, _ bytes: UnsafeRawBufferPointer, at offset: UInt64,
    _ durability: WriteDurability, tag: UInt64
  ) throws(SiltstoneError) {
    precondition(outstanding < depth, "at most depth operations at a time")
    precondition(bytes.count > 0, "an operation of no bytes")
    do throws(SiltstoneError) {
      try file.write(bytes, at: offset, durability)
      completions.append(IOCompletion(tag: tag, bytesTransferred: bytes.count, error: nil))
    } catch {
      completions.append(IOCompletion(tag: tag, bytesTransferred: 0, error: error))
    }
  }

  func wait() throws(SiltstoneError) -> IOCompletion {
    precondition(outstanding > 0, "nothing to wait for")
    return completions.removeFirst()
  }
}
