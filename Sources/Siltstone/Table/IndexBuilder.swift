/// Builds the two-level index: partitions, each an index block over some hundred data blocks, and the top-level index
/// over the partitions. All are blocks as in BlockFormat.swift.
///
///     top-level index:   separator -> handle of an index partition, handle of its filter partition
///     index partition:   separator -> handle of a data block
///
/// A separator is an internal key that is at or after every entry of what it points to, and before every entry of what
/// follows. So the first separator at or after a key points to the only block that can hold it. Between two user keys
/// it is cut as short as it can be, with the oldest trailer, which takes one byte; where the versions of one user key
/// span two blocks, it is the last internal key itself.
struct IndexBuilder: ~Copyable {
  /// An index partition of about 16 KiB is one small read, and leaves an entry of some 40 bytes in the pinned
  /// top-level index for each 1-6 MiB of data: under 50 MiB for a terabyte.
  static let partitionBytes = 16 << 10
  /// Small entries give a partition many keys. Its filter, too, should stay a small read.
  static let filterPartitionBytes = 32 << 10

  private var partition = BlockBuilder(
    restartInterval: BlockView.indexRestartInterval, expectedBytes: IndexBuilder.partitionBytes)
  private var top = BlockBuilder(restartInterval: BlockView.indexRestartInterval, expectedBytes: 4096)
  private var value = ByteBuffer()

  /// The bytes that the index would add to the file if it ended now.
  var sizeBytes: Int { partition.sizeBytes + top.sizeBytes }
  var isPartitionFull: Bool { partition.sizeBytes >= IndexBuilder.partitionBytes }

  /// Adds the data block that ends with the entry `last`. `next` is the user key after it, or nil at the table's end.
  mutating func addBlock(
    _ handle: BlockHandle, last: ByteView, _ lastTrailer: KeyTrailer, next: ByteView?
  ) {
    value.removeAll()
    handle.encode(into: &value)
    if let next, next.equals(last) {
      partition.add(last, lastTrailer, value.view)
    } else {
      partition.add(IndexBuilder.separator(last, next), .oldest, value.view)
    }
  }

  /// A user key at or after `last` and before `next`: the shortest prefix of `next` that is after `last`, if that is
  /// shorter than `last` itself. A view of one of the two. REQUIRES: `last` before `next`.
  static func separator(_ last: ByteView, _ next: ByteView?) -> ByteView {
    guard let next else { return last }
    let length = last.commonPrefixLength(next) + 1
    return length < last.count && length < next.count ? next.prefix(length) : last
  }

  /// Stores the partition, whose filter lies at `filter`, and begins the next.
  mutating func finishPartition(
    filter: BlockHandle?, _ output: inout BlockWriter
  ) throws(SiltstoneError) -> BlockHandle {
    partition.seal()
    let handle = try output.write(partition, .none)
    value.removeAll()
    PartitionHandles(index: handle, filter: filter).encode(into: &value)
    top.add(partition.lastKey.view, partition.lastTrailer, value.view)
    partition.reset()
    return handle
  }

  /// Stores the top-level index. REQUIRES: the last partition is finished.
  mutating func finish(_ output: inout BlockWriter) throws(SiltstoneError) -> BlockHandle {
    assert(partition.isEmpty)
    top.seal()
    return try output.write(top, .none)
  }
}
