import CSupport
import Testing

@testable import Siltstone

@Suite struct FilterTests {
  struct NoFilter: Error {}

  static func key(_ number: Int) -> TableTestBytes {
    TableTestBytes(withUnsafeBytes(of: UInt64(number).bigEndian) { Array("key/".utf8) + Array($0) })
  }

  @Test(arguments: [1, 100, 10_000])
  func knowsItsKeysAndFewOthers(_ count: Int) throws {
    var builder = FilterBuilder(bitsPerKey: 10)
    for number in 0..<count { builder.add(FilterTests.key(number).view) }
    let expectedBytes = builder.sizeBytes
    guard let payload = builder.finish() else { throw NoFilter() }
    #expect(payload.count == expectedBytes)
    let filter = try #require(FilterPartition(payload))
    for number in 0..<count { #expect(filter.mayContain(KeyHash.of(FilterTests.key(number).view))) }
    let others = 50_000
    let positives = (count..<count + others).count { filter.mayContain(KeyHash.of(FilterTests.key($0).view)) }
    #expect(Double(positives) / Double(others) < 0.02)
  }

  @Test(arguments: [(5.0, 0.12), (16.0, 0.004), (24.0, 0.002)])
  func moreBitsLieLess(_ bitsPerKey: Double, _ limit: Double) throws {
    var builder = FilterBuilder(bitsPerKey: bitsPerKey)
    for number in 0..<5000 { builder.add(FilterTests.key(number).view) }
    guard let payload = builder.finish() else { throw NoFilter() }
    let filter = try #require(FilterPartition(payload))
    #expect((0..<5000).allSatisfy { filter.mayContain(KeyHash.of(FilterTests.key($0).view)) })
    let positives = (5000..<55_000).count { filter.mayContain(KeyHash.of(FilterTests.key($0).view)) }
    #expect(Double(positives) / 50_000 < limit)
  }

  @Test func builderStartsAfresh() throws {
    var builder = FilterBuilder(bitsPerKey: 10)
    for number in 0..<1000 { builder.add(FilterTests.key(number).view) }
    _ = builder.finish()
    builder.add(FilterTests.key(5000).view)
    guard let payload = builder.finish() else { throw NoFilter() }
    let filter = try #require(FilterPartition(payload))
    #expect(filter.mayContain(KeyHash.of(FilterTests.key(5000).view)))
    #expect((0..<1000).count { filter.mayContain(KeyHash.of(FilterTests.key($0).view)) } < 20)
    var none = FilterBuilder(bitsPerKey: 0)
    none.add(FilterTests.key(1).view)
    let (sizeBytes, nothing) = (none.sizeBytes, none.finish())
    #expect(sizeBytes == 0)
    #expect(nothing == nil)
  }

  @Test func refusesTrailersThatMakeNoSense() {
    func filter(_ lines: UInt32, _ probes: UInt32, bytes: Int) -> Bool {
      var payload = ByteBuffer()
      _ = payload.appendUninitialized(bytes)
      payload.append(fixed: lines)
      payload.append(fixed: probes)
      return FilterPartition(payload.view) != nil
    }
    #expect(filter(2, 6, bytes: 128))
    #expect(!filter(2, 0, bytes: 128))
    #expect(!filter(2, 15, bytes: 128))
    #expect(!filter(3, 6, bytes: 128))
    #expect(!filter(0, 6, bytes: 0))
    #expect(!filter(.max, 6, bytes: 128))
    #expect(FilterPartition(.empty) == nil)
  }

  /// The hash is part of the format: these values must never change.
  @Test func hashIsStable() {
    let text = Array("the quick brown fox jumps over the lazy dog".utf8)
    let lengths = [0, 1, 3, 4, 7, 8, 15, 16, 17, 32, 33, 43]
    let hashes = lengths.map { KeyHash.of(TableTestBytes(Array(text.prefix($0))).view) }
    #expect(hashes == FilterTests.goldenHashes)
  }

  static let goldenHashes: [UInt64] = [
    7_295_247_244_183_319_441, 6_753_010_630_660_876_950, 10_157_714_135_144_962_356,
    2_659_637_445_269_312_724, 17_547_435_734_341_164_597, 5_736_739_465_335_496_321,
    8_859_945_799_968_078_858, 16_096_025_050_294_535_551, 10_615_422_677_282_056_236,
    9_681_054_385_660_979_866, 14_357_208_226_026_208_659, 9_890_639_682_571_052_951,
  ]

  @Test func hashTellsNearKeysApart() {
    var seen = Set<UInt64>()
    var keys = 0
    for length in 0..<70 {
      let zeros = [UInt8](repeating: 0, count: length)
      seen.insert(KeyHash.of(TableTestBytes(zeros).view))
      keys += 1
      for place in 0..<length {
        for bit in 0..<8 {
          var key = zeros
          key[place] = 1 << UInt8(bit)
          seen.insert(KeyHash.of(TableTestBytes(key).view))
          keys += 1
        }
      }
    }
    #expect(seen.count == keys)
    // Each output bit is set in half of the hashes, give or take five standard deviations.
    let slack = 2.5 * Double(keys).squareRoot()
    for bit in 0..<64 {
      let ones = seen.count { $0 >> UInt64(bit) & 1 == 1 }
      #expect(abs(Double(ones) - Double(keys) / 2) < slack)
    }
  }
}
