/// Adds up how much of which log segments a table's values are.
struct SegmentTally {
  private let segmentBytes: UInt64
  private var bytes: [UInt64: UInt64] = [:]

  init(segmentBytes: UInt64) { self.segmentBytes = segmentBytes }

  mutating func add(_ pointer: ValuePointer) {
    pointer.forEachPiece(segmentBytes: segmentBytes) { position, count in
      bytes[position / segmentBytes, default: 0] += UInt64(count)
    }
  }

  /// Ascending.
  var sorted: [SegmentUse] {
    bytes.sorted { $0.key < $1.key }.map { SegmentUse(segment: $0.key, bytes: $0.value) }
  }
}

/// A count, then for each the segment's number, as its distance from the one before, and the bytes: all varints.
extension ByteBuffer {
  mutating func append(_ segmentUse: [SegmentUse]) {
    append(varint: UInt64(segmentUse.count))
    var last: UInt64 = 0
    for use in segmentUse {
      append(varint: use.segment - last)
      append(varint: use.bytes)
      last = use.segment
    }
  }
}

extension ByteReader {
  /// Nil if it is not there, or makes no sense.
  mutating func readSegmentUse() -> [SegmentUse]? {
    guard let count = readVarint(), count <= UInt64(rest.count) else { return nil }
    var uses: [SegmentUse] = []
    for index in 0..<count {
      guard let distance = readVarint(), let bytes = readVarint(), index == 0 || distance > 0, bytes > 0,
        bytes < 1 << 48
      else { return nil }
      let (segment, overflow) = (uses.last?.segment ?? 0).addingReportingOverflow(distance)
      if overflow || segment > KeyTrailer.maxSequence { return nil }
      uses.append(SegmentUse(segment: segment, bytes: bytes))
    }
    return uses
  }
}
