/// Compresses a table's blocks one after the other, and learns from them how hard LZ4 must look for matches.
///
/// LZ4 can be told to skip ahead sooner where it finds nothing. Text loses matches by it, and gains little time. But
/// values of which a part is noise, such as hashes, ids and measurements, take less than half the time, and hardly any
/// more space. So every so many blocks one is compressed both ways, and the next ones are done the quick way if that
/// made it no more than a fiftieth larger.
struct BlockCompressor {
  /// Twice as fast through short stretches of noise; eight times gains little more.
  private static let quick: Int32 = 4
  private static let thorough: Int32 = 1
  /// Trying costs half a block's compression, and so one part in a hundred.
  private static let trialInterval = 64

  private(set) var acceleration = thorough
  private var blocksUntilTrial = 1

  var isQuick: Bool { acceleration == BlockCompressor.quick }

  /// Puts the compressed block into `output` and returns true; or false, with nothing there, if it does not pay.
  mutating func compress(_ raw: ByteView, _ codec: Compression, into output: inout ByteBuffer) -> Bool {
    output.removeAll()
    guard codec == .lz4 else { return codec.compress(raw, into: &output) }
    blocksUntilTrial -= 1
    if blocksUntilTrial == 0 {
      blocksUntilTrial = BlockCompressor.trialInterval
      let quickPays = codec.compress(raw, into: &output, acceleration: BlockCompressor.quick)
      let quickBytes = quickPays ? output.count : raw.count
      output.removeAll()
      let pays = codec.compress(raw, into: &output, acceleration: BlockCompressor.thorough)
      let bytes = pays ? output.count : raw.count
      acceleration = quickBytes <= bytes + bytes / 50 ? BlockCompressor.quick : BlockCompressor.thorough
      return pays
    }
    return codec.compress(raw, into: &output, acceleration: acceleration)
  }
}
