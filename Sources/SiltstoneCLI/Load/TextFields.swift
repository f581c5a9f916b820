import Glibc

/// Records of `tsv` and `lines`.
enum TextFields {
  private static let tab = UInt8(ascii: "\t")

  /// `tsv` as it comes: the key is what precedes the first tab, the value what follows it.
  @inline(__always)
  static func splitAtTab(_ line: UnsafeRawBufferPointer) throws(BadRecord) -> Record {
    guard let base = line.baseAddress, let found = memchr(base, Int32(tab), line.count) else {
      throw BadRecord(reason: "no tab between a key and a value")
    }
    let length = UnsafeRawPointer(found) - base
    return Record(
      key: UnsafeRawBufferPointer(start: base, count: length),
      value: UnsafeRawBufferPointer(start: base + length + 1, count: line.count - length - 1))
  }

  /// `tsv` with `--key`: the key is those fields, the value is the others in their order, each joined by
  /// tabs.
  static func select(
    _ fields: [Int], of line: UnsafeRawBufferPointer, key: inout ScratchBuffer, value: inout ScratchBuffer,
    ranges: inout [Range<Int>]
  ) throws(BadRecord) -> Record {
    ranges.removeAll(keepingCapacity: true)
    var start = 0
    for index in 0..<line.count where line[index] == tab {
      ranges.append(start..<index)
      start = index + 1
    }
    ranges.append(start..<line.count)
    try join(fields, of: line, ranges, into: &key)
    value.removeAll()
    var isFirst = true
    for (index, range) in ranges.enumerated() where !fields.contains(index) {
      if !isFirst { value.append(tab) }
      isFirst = false
      value.append(UnsafeRawBufferPointer(rebasing: line[range]))
    }
    return Record(key: key.bytes, value: value.bytes)
  }

  /// `lines` with `--key`: the key is those fields, which blanks and tabs separate; the value is the whole
  /// line.
  static func selectWords(
    _ fields: [Int], of line: UnsafeRawBufferPointer, key: inout ScratchBuffer, ranges: inout [Range<Int>]
  ) throws(BadRecord) -> Record {
    ranges.removeAll(keepingCapacity: true)
    var index = 0
    while index < line.count {
      while index < line.count, isBlank(line[index]) { index += 1 }
      let start = index
      while index < line.count, !isBlank(line[index]) { index += 1 }
      if index > start { ranges.append(start..<index) }
    }
    try join(fields, of: line, ranges, into: &key)
    return Record(key: key.bytes, value: line)
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == tab }

  /// The chosen fields, joined by tabs.
  static func join(
    _ fields: [Int], of line: UnsafeRawBufferPointer, _ ranges: [Range<Int>], into key: inout ScratchBuffer
  ) throws(BadRecord) {
    key.removeAll()
    for (position, field) in fields.enumerated() {
      guard field < ranges.count else {
        throw BadRecord(reason: "no field \(field + 1): the line has \(ranges.count)")
      }
      if position > 0 { key.append(tab) }
      key.append(UnsafeRawBufferPointer(rebasing: line[ranges[field]]))
    }
  }
}
