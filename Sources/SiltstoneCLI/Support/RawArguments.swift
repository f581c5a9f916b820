import Glibc

/// Command-line arguments are bytes, and a key may be any bytes; a Swift string holds Unicode only.
///
/// An argument that is not UTF-8 travels through the argument parser with each byte from 0x80 on replaced by
/// a scalar from a corner of the last private-use plane, and is turned back by `bytes(of:)`. An argument that
/// has such scalars of its own is treated the same, so nothing is ever mistaken.
enum RawArguments {
  /// Byte b is carried as U+10FE00 + b, so U+10FE80 to U+10FEFF.
  private static let carrierBase: UInt32 = 0x10FE00
  private static let carriers: ClosedRange<UInt32> = 0x10FE80...0x10FEFF

  /// The arguments after the tool's own name.
  static func ofProcess() -> [String] {
    (1..<max(1, Int(CommandLine.argc))).compactMap { index in
      CommandLine.unsafeArgv[index].map { argument in
        decode(UnsafeRawBufferPointer(start: argument, count: strlen(argument)))
      }
    }
  }

  static func decode(_ argument: UnsafeRawBufferPointer) -> String {
    if let plain = String(validating: argument, as: UTF8.self),
      !plain.unicodeScalars.contains(where: { carriers.contains($0.value) })
    {
      return plain
    }
    var carried = String.UnicodeScalarView()
    for byte in argument {
      let value = byte < 0x80 ? UInt32(byte) : carrierBase + UInt32(byte)
      if let scalar = Unicode.Scalar(value) { carried.append(scalar) }
    }
    return String(carried)
  }

  /// The argument, if it is UTF-8: paths that the engine opens are text.
  static func text(_ argument: String) throws(ToolError) -> String {
    guard bytes(of: argument) == Array(argument.utf8) else {
      let shown = String(decoding: bytes(of: argument), as: UTF8.self)
      throw .failed("\(shown): a database's path must be UTF-8, and this is not")
    }
    return argument
  }

  /// The bytes that the user typed.
  static func bytes(of argument: String) -> [UInt8] {
    guard argument.unicodeScalars.contains(where: { carriers.contains($0.value) }) else {
      return Array(argument.utf8)
    }
    return argument.unicodeScalars.flatMap { scalar in
      carriers.contains(scalar.value)
        ? [UInt8(truncatingIfNeeded: scalar.value)] : Array(String(scalar).utf8)
    }
  }
}
