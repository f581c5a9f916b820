/// The inside of a JSON string, turned into the text that it stands for.
enum JSONText {
  /// Appends `content` with its escapes undone. REQUIRES: the escapes were checked.
  static func append(_ content: Slice<UnsafeRawBufferPointer>, to output: inout ScratchBuffer) {
    guard content.contains(UInt8(ascii: "\\")) else {
      return output.append(UnsafeRawBufferPointer(rebasing: content))
    }
    var index = content.startIndex
    while index < content.endIndex {
      let byte = content[index]
      guard byte == UInt8(ascii: "\\"), index + 1 < content.endIndex else {
        output.append(byte)
        index += 1
        continue
      }
      if let plain = unescaped(content[index + 1]) {
        output.append(plain)
        index += 2
      } else {
        appendScalar(content, &index, to: &output)
      }
    }
  }

  /// What the escape `\byte` stands for, but for `\u`.
  static func unescaped(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte
    case UInt8(ascii: "b"): 0x08
    case UInt8(ascii: "f"): 0x0C
    case UInt8(ascii: "n"): 0x0A
    case UInt8(ascii: "r"): 0x0D
    case UInt8(ascii: "t"): 0x09
    default: nil
    }
  }

  /// The value of a hexadecimal digit.
  static func digit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
  }

  /// `\uXXXX`, or two of them for a scalar beyond 16 bits. Half a pair alone becomes U+FFFD.
  private static func appendScalar(
    _ content: Slice<UnsafeRawBufferPointer>, _ index: inout Int, to output: inout ScratchBuffer
  ) {
    var code = unit(content, at: index) ?? 0xFFFD
    index += 6
    if 0xD800...0xDBFF ~= code, let low = unit(content, at: index), 0xDC00...0xDFFF ~= low {
      code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      index += 6
    }
    let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
    for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { output.append(byte) }
  }

  /// The 16-bit unit of the `\uXXXX` at `index`, if one is there.
  private static func unit(_ content: Slice<UnsafeRawBufferPointer>, at index: Int) -> UInt32? {
    guard index + 6 <= content.endIndex, content[index] == UInt8(ascii: "\\"),
      content[index + 1] == UInt8(ascii: "u")
    else { return nil }
    var unit: UInt32 = 0
    for byte in content[index + 2..<index + 6] {
      guard let digit = digit(byte) else { return nil }
      unit = unit << 4 | digit
    }
    return unit
  }
}
