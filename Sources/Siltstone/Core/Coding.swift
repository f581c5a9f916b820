/// Little-endian integers and LEB128 varints: the alphabet of every format here. Reading is bounds-checked, since
/// the bytes may come from anywhere; writing goes to a buffer that grows.

/// A growable byte buffer with one owner. Appending never zeroes what it is about to overwrite.
struct ByteBuffer: ~Copyable {
  private(set) var base: UnsafeMutableRawPointer
  private(set) var count = 0
  private(set) var capacity: Int

  /// The alignment lets a buffer be handed to direct I/O as it is.
  static let alignmentBytes = 4096

  init(capacityBytes: Int = 256) {
    capacity = max(capacityBytes, 64)
    base = .allocate(byteCount: capacity, alignment: ByteBuffer.alignment(for: capacity))
  }

  deinit { base.deallocate() }

  private static func alignment(for capacity: Int) -> Int { capacity >= alignmentBytes ? alignmentBytes : 16 }

  /// The bytes written so far; valid until the buffer changes.
  var view: ByteView { ByteView(base, count) }

  /// Forgets the contents, keeps the memory.
  @inline(__always) mutating func removeAll() { count = 0 }

  /// Drops everything after the first `newCount` bytes. REQUIRES: `newCount <= count`.
  @inline(__always) mutating func truncate(to newCount: Int) {
    assert(newCount <= count)
    count = newCount
  }

  @inline(__always) mutating func reserve(_ additionalBytes: Int) {
    if count &+ additionalBytes > capacity { grow(to: count + additionalBytes) }
  }

  @inline(never) private mutating func grow(to needed: Int) {
    let newCapacity = max(needed, capacity * 2)
    let newBase = UnsafeMutableRawPointer.allocate(
      byteCount: newCapacity, alignment: ByteBuffer.alignment(for: newCapacity))
    newBase.copyMemory(from: base, byteCount: count)
    base.deallocate()
    base = newBase
    capacity = newCapacity
  }

  @inline(__always) mutating func append(_ bytes: ByteView) {
    reserve(bytes.count)
    (base + count).copyMemory(from: bytes.base, byteCount: bytes.count)
    count &+= bytes.count
  }

  @inline(__always) mutating func append(_ byte: UInt8) {
    reserve(1)
    base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
    count &+= 1
  }

  /// Appends a fixed-width little-endian integer.
  @inline(__always) mutating func append<I: FixedWidthInteger>(fixed value: I) {
    reserve(MemoryLayout<I>.size)
    base.storeBytes(of: value.littleEndian, toByteOffset: count, as: I.self)
    count &+= MemoryLayout<I>.size
  }

  /// Appends an LEB128 varint, 1 to 10 bytes.
  @inline(__always) mutating func append(varint value: UInt64) {
    reserve(10)
    count &+= storeVarint(value, at: base + count)
  }

  /// A varint length, then the bytes.
  mutating func append(lengthPrefixed bytes: ByteView) {
    append(varint: UInt64(bytes.count))
    append(bytes)
  }

  /// Appends what `write` writes: at most `bound` bytes, of which it returns the number.
  @inline(__always) mutating func append(upTo bound: Int, _ write: (UnsafeMutableRawPointer) -> Int) {
    reserve(bound)
    let written = write(base + count)
    assert(written <= bound)
    count &+= written
  }

  /// Appends `length` bytes whose content the caller fills in, and returns where.
  mutating func appendUninitialized(_ length: Int) -> UnsafeMutableRawPointer {
    reserve(length)
    defer { count += length }
    return base + count
  }
}

/// Writes an LEB128 varint and returns its length. REQUIRES: room for 10 bytes.
@inline(__always)
func storeVarint(_ value: UInt64, at destination: UnsafeMutableRawPointer) -> Int {
  var rest = value
  var length = 0
  while rest >= 0x80 {
    destination.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: length, as: UInt8.self)
    rest &>>= 7
    length &+= 1
  }
  destination.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: length, as: UInt8.self)
  return length &+ 1
}

/// The number of bytes `storeVarint` would write.
@inline(__always)
func varintLength(_ value: UInt64) -> Int {
  value == 0 ? 1 : (64 &- value.leadingZeroBitCount &+ 6) / 7
}

/// Reads forward through hostile bytes. Every read returns nil, and reads nothing, where the bytes run out or make
/// no sense; the caller turns that into an error that names the file.
struct ByteReader {
  private(set) var rest: ByteView

  init(_ view: ByteView) { rest = view }

  var isAtEnd: Bool { rest.count == 0 }

  @inline(__always) mutating func readFixed<I: FixedWidthInteger>(_: I.Type) -> I? {
    guard rest.count >= MemoryLayout<I>.size else { return nil }
    defer { rest = rest.dropFirst(MemoryLayout<I>.size) }
    return I(littleEndian: rest.base.loadUnaligned(as: I.self))
  }

  @inline(__always) mutating func readVarint() -> UInt64? {
    var value: UInt64 = 0
    var index = 0
    while index < rest.count, index < 10 {
      let byte = rest[index]
      if index == 9, byte > 1 { return nil }  // would not fit 64 bits
      value |= UInt64(byte & 0x7F) &<< UInt64(7 &* index)
      index &+= 1
      if byte < 0x80 {
        rest = rest.dropFirst(index)
        return value
      }
    }
    return nil
  }

  @inline(__always) mutating func readBytes(_ length: Int) -> ByteView? {
    guard length >= 0, length <= rest.count else { return nil }
    defer { rest = rest.dropFirst(length) }
    return rest.prefix(length)
  }

  mutating func readLengthPrefixed() -> ByteView? {
    guard let length = readVarint(), length <= UInt64(rest.count) else { return nil }
    return readBytes(Int(length))
  }
}
