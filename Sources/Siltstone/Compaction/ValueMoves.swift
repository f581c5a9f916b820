/// How a compaction gets values out of log segments that hold little else of use: it reads them, and has them stored
/// once more at the end of the log; where the log is no place for values now, they go into the table with their keys.
struct ValueMoves: Sendable {
  let values: ValueReader
  /// Segments that are to become empty.
  var leaving: Set<UInt64> = []
  /// Stores a value at the end of the log, where it stays until the job's outputs are in the tree; nil if it should not
  /// be there.
  let move: @Sendable (_ value: ByteView, _ checksum: UInt32) throws(SiltstoneError) -> ValuePointer?

  func concerns(_ pointer: ValuePointer) -> Bool {
    if leaving.isEmpty { return false }
    var concerns = false
    pointer.forEachPiece(segmentBytes: values.segmentBytes) { position, _ in
      concerns = concerns || leaving.contains(position / values.segmentBytes)
    }
    return concerns
  }
}

/// What of the log is held by values that tables point at, and how much of that they are.
struct ValueSegments {
  let segmentBytes: UInt64
  /// Of all that lie before the log's beginning, so that nothing but values keeps them.
  private let use: [UInt64: UInt64]
  /// Bytes of values in them.
  let valueBytes: UInt64

  /// More garbage than values, and more than a few segments: then it is time to make room.
  private static let spareSegments: UInt64 = 4

  init(_ use: [UInt64: UInt64], logStart: LogPosition, segmentBytes: UInt64) {
    self.segmentBytes = segmentBytes
    self.use = use.filter { $0.key < logStart / segmentBytes }
    valueBytes = self.use.values.reduce(0, +)
  }

  var count: Int { use.count }
  var totalBytes: UInt64 { UInt64(use.count) * segmentBytes }
  var garbageBytes: UInt64 { totalBytes - min(valueBytes, totalBytes) }
  var isGarbageHeavy: Bool { garbageBytes > allowedBytes }
  /// Garbage beyond what is allowed, in units of that.
  var garbageExcess: Double { max(0, Double(garbageBytes) / Double(allowedBytes) - 1) }
  private var allowedBytes: UInt64 { valueBytes + ValueSegments.spareSegments * segmentBytes }

  /// Those of which less than half is values: a value that is moved out makes room for more than itself.
  var sparse: Set<UInt64> { Set(use.filter { $0.value < segmentBytes / 2 }.keys) }
}
