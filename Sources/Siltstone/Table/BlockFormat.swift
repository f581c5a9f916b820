/// A block of sorted entries, decompressed: what data blocks and index blocks are.
///
///     +--------------------------------+ 0
///     | keys: a header and a key       |
///     |   suffix for each entry        |
///     +--------------------------------+ keyAreaBytes
///     | values, one after another      |
///     +--------------------------------+ keyAreaBytes + valueAreaBytes
///     | restarts: for each             |
///     |   4  offset into the key area  |
///     |   4  offset into the value area|
///     +--------------------------------+ count - 16
///     | 4  keyAreaBytes                |
///     | 4  valueAreaBytes              |
///     | 4  number of restarts, >= 1    |
///     | 4  number of entries, >= 1     |
///     +--------------------------------+ count
///
/// An entry in the key area:
///
///     varint   shared: leading bytes of the key that are those of the key before it (0 at a restart)
///     varint   unshared: length of the suffix
///     varint   length of the value
///     varint   sequence << 3 | kind
///     -        the key's suffix
///
/// Keys and values lie apart, so that a search walks through keys alone. `shared` is always as long as it can be,
/// which lets a search compare suffixes and never rebuild a key. A data block has a restart every 16 entries; an index
/// block has one at each, so that a bisection ends at its answer. The bottom level zeroes sequences, whose varint then
/// takes one byte.
struct BlockView {
  static let trailerBytes = 16
  static let restartBytes = 8
  /// Entries between restarts in a data block: 16 keeps a restart's eight bytes at half a byte an entry, and the
  /// linear end of a search short.
  static let dataRestartInterval = 16
  static let indexRestartInterval = 1

  let base: UnsafeRawPointer
  /// Where the key area, and then the value area, ends.
  let keysEnd: Int
  let valuesEnd: Int
  let restartCount: Int
  let entryCount: Int

  /// A view of the block in `bytes`, or nil if its trailer makes no sense. What the entries say is checked as they
  /// are decoded. Lives as long as `bytes`.
  init?(_ bytes: ByteView) {
    let areaEnd = bytes.count - BlockView.trailerBytes
    guard areaEnd >= BlockView.restartBytes, bytes.count <= Int(UInt32.max) else { return nil }
    let trailer = bytes.base + areaEnd
    keysEnd = Int(UInt32(littleEndian: trailer.loadUnaligned(as: UInt32.self)))
    let valueAreaBytes = Int(UInt32(littleEndian: trailer.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    restartCount = Int(UInt32(littleEndian: trailer.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
    entryCount = Int(UInt32(littleEndian: trailer.loadUnaligned(fromByteOffset: 12, as: UInt32.self)))
    base = bytes.base
    valuesEnd = keysEnd + valueAreaBytes
    guard keysEnd > 0, restartCount >= 1, restartCount <= entryCount, entryCount <= keysEnd / 4,
      valuesEnd + restartCount * BlockView.restartBytes == areaEnd
    else { return nil }
  }

  /// Where a restart's entry begins, and its value, both from the block's start. Hostile: `decode` checks them.
  @inline(__always)
  func restart(_ index: Int) -> (keyOffset: Int, valueOffset: Int) {
    assert(index >= 0 && index < restartCount)
    let place = base + valuesEnd + index &* BlockView.restartBytes
    let keyOffset = Int(UInt32(littleEndian: place.loadUnaligned(as: UInt32.self)))
    let valueOffset = Int(UInt32(littleEndian: place.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    return (keyOffset, keysEnd &+ valueOffset)
  }

  /// The entry whose header begins at `offset` and whose value begins at `valueOffset`, or nil if it does not lie
  /// wholly within its areas. `shared` is left for the caller to check, who knows the key before.
  ///
  /// The quick form, three lengths of one byte each, stays in registers; anything else goes out of line.
  @inline(__always)
  func decode(at offset: Int, valueOffset: Int) -> BlockEntry? {
    // Reads up to 3 + 8 bytes from here; a restart and the trailer, 24 bytes, always follow the key area.
    guard offset < keysEnd else { return nil }
    let word = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    guard word & 0x80_8080 == 0 else { return decodeLong(at: offset, valueOffset: valueOffset) }
    var tag = UInt64(word &>> 24)
    var tagBytes = 1
    if tag >= 0x80 {
      let tail = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset &+ 3, as: UInt64.self))
      let stops = ~tail & 0x8080_8080_8080_8080
      guard stops != 0 else { return decodeLong(at: offset, valueOffset: valueOffset) }
      (tag, tagBytes) = BlockView.varint(tail, firstStop: stops.trailingZeroBitCount)
    }
    let entry = BlockEntry(
      offset: offset, shared: Int(word & 0x7F), unshared: Int(word &>> 8 & 0x7F),
      valueBytes: Int(word &>> 16 & 0x7F), tag: tag, suffixOffset: offset &+ 3 &+ tagBytes,
      valueOffset: valueOffset)
    return contains(entry) ? entry : nil
  }

  @inline(__always)
  private func contains(_ entry: BlockEntry) -> Bool { entry.end <= keysEnd && entry.valueEnd <= valuesEnd }

  /// The varint that begins `word` and whose last byte ends at bit `firstStop`, without a loop: masks the bytes after
  /// it, then closes the gaps between its groups of seven bits in pairs.
  @inline(__always)
  private static func varint(_ word: UInt64, firstStop: Int) -> (value: UInt64, byteCount: Int) {
    var value = word & (UInt64.max &>> (63 &- UInt64(firstStop))) & 0x7F7F_7F7F_7F7F_7F7F
    value = (value & 0x007F_007F_007F_007F) | ((value & 0x7F00_7F00_7F00_7F00) &>> 1)
    value = (value & 0x0000_3FFF_0000_3FFF) | ((value & 0x3FFF_0000_3FFF_0000) &>> 2)
    value = (value & 0x0000_0000_0FFF_FFFF) | ((value & 0x0FFF_FFFF_0000_0000) &>> 4)
    return (value, (firstStop &+ 1) &>> 3)
  }

  /// An entry with a length of more than a byte, or with a tag of more than eight.
  @inline(never)
  private func decodeLong(at offset: Int, valueOffset: Int) -> BlockEntry? {
    var reader = ByteReader(ByteView(base + offset, keysEnd &- offset))
    guard let shared = reader.readVarint(), let unshared = reader.readVarint(),
      let valueBytes = reader.readVarint(), let tag = reader.readVarint(),
      shared <= UInt64(Limits.maxKeyBytes), unshared <= UInt64(Limits.maxKeyBytes),
      valueBytes <= UInt64(Limits.maxValueBytes)
    else { return nil }
    let entry = BlockEntry(
      offset: offset, shared: Int(shared), unshared: Int(unshared), valueBytes: Int(valueBytes), tag: tag,
      suffixOffset: keysEnd &- reader.rest.count, valueOffset: valueOffset)
    return contains(entry) ? entry : nil
  }
}

/// One decoded entry header. Offsets count from the block's start.
struct BlockEntry {
  /// Where the header begins.
  let offset: Int
  let shared: Int
  let unshared: Int
  let valueBytes: Int
  let tag: UInt64
  let suffixOffset: Int
  let valueOffset: Int

  /// Where the next entry begins, and its value.
  @inline(__always) var end: Int { suffixOffset &+ unshared }
  @inline(__always) var valueEnd: Int { valueOffset &+ valueBytes }
  @inline(__always) var keyBytes: Int { shared &+ unshared }
  @inline(__always) var trailer: KeyTrailer { BlockEntry.trailer(fromTag: tag) }

  /// The kind takes three bits here and eight in memory. REQUIRES: kind < 8.
  @inline(__always)
  static func tag(_ trailer: KeyTrailer) -> UInt64 {
    assert(trailer.kindByte < 8)
    return trailer.sequence &<< 3 | UInt64(trailer.kindByte)
  }

  @inline(__always)
  static func trailer(fromTag tag: UInt64) -> KeyTrailer {
    KeyTrailer(rawValue: (tag &>> 3) &<< 8 | (tag & 7))
  }
}

extension BlockView {
  @inline(__always)
  func suffix(_ entry: BlockEntry) -> ByteView { ByteView(base + entry.suffixOffset, entry.unshared) }

  @inline(__always)
  func value(_ entry: BlockEntry) -> ByteView { ByteView(base + entry.valueOffset, entry.valueBytes) }
}
