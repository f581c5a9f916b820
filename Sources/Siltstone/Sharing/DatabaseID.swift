internal import CSupport

/// 16 random bytes, made with the database, that every file of it carries: a file from another database that found
/// its way here is noticed, not read.
struct DatabaseID: Equatable, Sendable, CustomStringConvertible {
  typealias Tuple = (
    UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
  )
  let high: UInt64
  let low: UInt64

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  init(_ tuple: Tuple) {
    (high, low) = withUnsafeBytes(of: tuple) { bytes in
      (
        UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self)),
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      )
    }
  }

  static func random(_ storage: any Storage) -> DatabaseID {
    var words: (UInt64, UInt64) = (0, 0)
    withUnsafeMutableBytes(of: &words) { storage.fillRandom($0) }
    return DatabaseID(high: words.0, low: words.1)
  }

  /// 32 hexadecimal digits.
  var description: String {
    [high, low].map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }

  var tuple: Tuple {
    var tuple: Tuple = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    withUnsafeMutableBytes(of: &tuple) { bytes in
      bytes.storeBytes(of: high.littleEndian, as: UInt64.self)
      bytes.storeBytes(of: low.littleEndian, toByteOffset: 8, as: UInt64.self)
    }
    return tuple
  }
}
