import Testing

@testable import Siltstone

/// Comparing bytes, and the order of internal keys.
@Suite struct ByteViewTests {
  static func compare(_ left: [UInt8], _ right: [UInt8]) -> Int {
    left.withView { left in right.withView { right in left.compare(right).signum() } }
  }

  static func commonPrefix(_ left: [UInt8], _ right: [UInt8]) -> Int {
    left.withView { left in right.withView { right in left.commonPrefixLength(right) } }
  }

  @Test func orderIsThatOfUnsignedBytes() {
    let sorted: [[UInt8]] = [[], [0], [0, 0], [0, 255], [1], [127], [128], [128, 0], [255], [255, 255]]
    for (index, left) in sorted.enumerated() {
      for (otherIndex, right) in sorted.enumerated() {
        #expect(Self.compare(left, right) == (index - otherIndex).signum(), "\(left) \(right)")
        #expect(left.withView { left in right.withView { left.equals($0) } } == (index == otherIndex))
      }
    }
  }

  /// A small alphabet, so that the keys share prefixes of every length.
  @Test func randomKeysAgreeWithTheStandardLibrary() {
    var generator = SeededGenerator(seed: 1)
    var positive = 0
    for _ in 0..<5000 {
      let left = generator.bytes(length: 0...40, alphabet: 0...1)
      var right = generator.bytes(length: 0...40, alphabet: 0...1)
      let shared = Int.random(in: 0...left.count, using: &generator)
      right.replaceSubrange(0..<min(shared, right.count), with: left[..<shared])
      let expected = left == right ? 0 : left.lexicographicallyPrecedes(right) ? -1 : 1
      #expect(Self.compare(left, right) == expected)
      let prefix = zip(left, right).prefix { $0 == $1 }.count
      #expect(Self.commonPrefix(left, right) == prefix)
      if prefix >= 8 { positive += 1 }
    }
    #expect(positive > 500, "long shared prefixes must be among them")
  }

  @Test func aDifferenceIsFoundAtEveryPlace() {
    let left = [UInt8](repeating: 0x80, count: 33)
    for index in left.indices {
      for other: UInt8 in [0, 0x7F, 0x81, 0xFF] {
        var right = left
        right[index] = other
        #expect(Self.commonPrefix(left, right) == index)
        #expect(Self.compare(left, right) == (other < 0x80 ? 1 : -1))
      }
    }
    #expect(Self.commonPrefix(left, left) == 33)
  }

  @Test func viewsOfNothing() {
    #expect(ByteView.empty.count == 0 && ByteView.empty.copied().isEmpty)
    #expect(ByteView(UnsafeRawBufferPointer(start: nil, count: 0)).equals(.empty))
    #expect(ByteView.empty.commonPrefixLength(.empty) == 0)
    #expect(ByteView.empty.compare(.empty) == 0)
  }

  @Test func slicesAreWhereTheyShouldBe() {
    [UInt8](0..<10).withView { view in
      #expect(view.dropFirst(3).copied() == Array(3..<10))
      #expect(view.prefix(3).copied() == [0, 1, 2])
      #expect(view.dropFirst(10).count == 0)
      #expect(view[9] == 9)
    }
  }

  @Test func whatAPersonSees() {
    #expect(Array("a\"\\\n\u{7F}".utf8).withView { $0.readable } == "\"a\\x22\\x5c\\x0a\\x7f\"")
    #expect([UInt8](repeating: 0x61, count: 65).withView { $0.readable }.hasSuffix("\"... (65 bytes)"))
  }

  @Test func newerVersionsComeFirst() {
    let key: [UInt8] = [1]
    key.withView { key in
      let order = [
        KeyTrailer.newest, KeyTrailer(KeyTrailer.maxSequence, .put), KeyTrailer(8, .put),
        KeyTrailer(8, .delete),
        KeyTrailer(7, .put), .oldest,
      ]
      for (index, left) in order.enumerated() {
        for (otherIndex, right) in order.enumerated() {
          #expect(compareInternal(key, left, key, right).signum() == (index - otherIndex).signum())
        }
      }
    }
    #expect(
      [UInt8(1)].withView { one in [UInt8(2)].withView { compareInternal(one, .oldest, $0, .newest) } } < 0)
  }

  /// A snapshot sees exactly what was written before its position.
  @Test func visibilityEndsAtTheSnapshot() {
    for sequence in [LogPosition(0), 1, 77, KeyTrailer.maxSequence - 1] {
      for kind in [EntryKind.delete, .put] {
        let trailer = KeyTrailer(sequence, kind)
        #expect(trailer.sequence == sequence && trailer.isPut == (kind == .put))
        #expect(trailer.rawValue <= KeyTrailer.visible(at: sequence + 1).rawValue)
        if sequence > 0 { #expect(trailer.rawValue > KeyTrailer.visible(at: sequence).rawValue) }
      }
    }
  }

  @Test func errorsSayWhatAndWhere() {
    let full = SiltstoneError(.corruption, "bad block", file: "000004.table", offset: 512, errno: 5)
    #expect(full.description == "corruption: bad block (000004.table at offset 512, errno 5)")
    #expect(SiltstoneError(.closed, "gone").description == "closed: gone")
    #expect(SiltstoneError(.inputOutput, "no", errno: 5).description == "inputOutput: no (errno 5)")
    #expect(SiltstoneError.corrupt("bad", file: "f").code == .corruption)
  }
}
