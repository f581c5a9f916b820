extension ByteView {
  /// For people: printable ASCII as it is, everything else as `\xNN`, at most 64 bytes.
  var readable: String {
    var text = "\""
    for byte in buffer.prefix(64) {
      if byte >= 0x20, byte < 0x7F, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        text += (byte < 0x10 ? "\\x0" : "\\x") + String(byte, radix: 16)
      }
    }
    return text + (count > 64 ? "\"... (\(count) bytes)" : "\"")
  }
}
