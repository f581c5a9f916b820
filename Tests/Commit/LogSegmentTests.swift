import CSupport
import Testing

@testable import Siltstone

@Suite struct LogSegmentTests {
  static let database = DatabaseID(high: 3, low: 4)
  static let segmentBytes: UInt64 = 1 << 16

  static func header(number: UInt64 = 7, segmentBytes: UInt64 = segmentBytes, isFilled: Bool = true) -> [UInt8] {
    var header = [UInt8](repeating: 0xAA, count: LogSegment.headerBytes)
    header.withUnsafeMutableBytes {
      LogSegment.encodeHeader(
        $0, database: database, number: number, segmentBytes: segmentBytes, isFilled: isFilled)
    }
    return header
  }

  static func describe(_ header: [UInt8]) throws(SiltstoneError) -> LogSegment.Identity? {
    try header.withView { (view) throws(SiltstoneError) in try LogSegment.describe(view.buffer, file: "x.log") }
  }

  static func isSegment(
    _ header: [UInt8], database: DatabaseID = database, number: UInt64 = 7, segmentBytes: UInt64 = segmentBytes
  ) throws(SiltstoneError) -> Bool {
    try header.withView { (view) throws(SiltstoneError) in
      try LogSegment.isSegment(
        view.buffer, file: "x.log", database: database, number: number, segmentBytes: segmentBytes)
    }
  }

  static func code<Result>(_ body: () throws(SiltstoneError) -> Result) -> SiltstoneError.Code? {
    do throws(SiltstoneError) { _ = try body() } catch { return error.code }
    return nil
  }

  @Test func aHeaderSaysWhoseItIs() throws {
    let identity = try #require(try Self.describe(Self.header()))
    #expect(identity == .init(database: Self.database, number: 7, segmentBytes: Self.segmentBytes))
    #expect(try Self.isSegment(Self.header()))
    #expect(try Self.describe(Self.header(isFilled: false))?.isFilled == false)
  }

  @Test func aRecycledFileWithItsOldHeaderHoldsNothing() throws {
    #expect(try !Self.isSegment(Self.header(number: 6)))
    #expect(try !Self.isSegment([UInt8](repeating: 0, count: LogSegment.headerBytes)))
  }

  @Test func aFileFromElsewhereIsCorruption() {
    #expect(
      Self.code { () throws(SiltstoneError) in try Self.isSegment(Self.header(), database: DatabaseID(high: 3, low: 5))
      }
        == .corruption)
    #expect(
      Self.code { () throws(SiltstoneError) in try Self.isSegment(Self.header(), segmentBytes: 1 << 17) } == .corruption
    )
  }

  @Test func everyFlippedByteIsNoticed() {
    for index in 0..<52 {
      var damaged = Self.header()
      damaged[index] ^= 1
      #expect(Self.code { () throws(SiltstoneError) in try Self.describe(damaged) } == .corruption, "byte \(index)")
    }
  }

  @Test func aShortHeaderIsCorruption() {
    for length in [0, 1, 51, 52, LogSegment.headerBytes - 1] {
      let short = Array(Self.header().prefix(length))
      #expect(Self.code { () throws(SiltstoneError) in try Self.describe(short) } == .corruption, "\(length) bytes")
    }
  }

  @Test func aNewerVersionIsRefused() {
    var newer = Self.header()
    newer[8] = 3
    newer.withUnsafeMutableBytes { bytes in
      bytes.storeBytes(of: csup_crc32c(0, bytes.baseAddress!, 48).littleEndian, toByteOffset: 48, as: UInt32.self)
    }
    #expect(Self.code { () throws(SiltstoneError) in try Self.describe(newer) } == .unsupportedVersion)
  }

  /// Such numbers are divided by, multiplied and added to.
  @Test func placesThatCannotBeAreCorruption() {
    for (number, size) in [
      (7, 0), (7, 4095), (7, 4097), (7, 1 << 40), (7, UInt64.max), (UInt64.max, 1 << 16), (1 << 41, 1 << 16),
    ] as [(UInt64, UInt64)] {
      let header = Self.header(number: number, segmentBytes: size)
      let code = Self.code { () throws(SiltstoneError) in try Self.describe(header) }
      #expect(code == .corruption, "segment \(number) of \(size) bytes")
    }
  }

  @Test func namesAndNumbersFit() {
    #expect(LogSegment.fileName(12) == "000012.log" && LogSegment.number(fromFileName: "000012.log") == 12)
    #expect(LogSegment.number(fromFileName: LogSegment.fileName(123_456_789)) == 123_456_789)
    for name in ["12.log", "000012.sst", "0000012.log", "-00012.log", "000012.log.bak", "18446744073709551615.log"] {
      #expect(LogSegment.number(fromFileName: name) == nil, "\(name)")
    }
  }
}
