import Testing

@testable import Siltstone

@Suite struct EntryEncodingTests {
  struct Operation: Equatable {
    var key: [UInt8]
    var value: [UInt8]?
  }

  static func encode(_ operations: [Operation]) -> [UInt8] {
    var payload = ByteBuffer()
    for operation in operations {
      operation.key.withView { key in
        if let value = operation.value {
          value.withView { EntryEncoding.append(put: key, $0, to: &payload) }
        } else {
          EntryEncoding.append(delete: key, to: &payload)
        }
      }
    }
    return payload.view.copied()
  }

  /// The operations in the payload and where each began, or nil if it is malformed.
  static func decode(_ payload: [UInt8]) -> (operations: [Operation], offsets: [Int])? {
    payload.withView { payload in
      var operations: [Operation] = []
      var offsets: [Int] = []
      let isWhole = EntryEncoding.forEach(in: payload) { entry in
        operations.append(
          Operation(key: entry.key.copied(), value: entry.kind == .put ? entry.value.copied() : nil))
        offsets.append(entry.offset)
        return true
      }
      return isWhole ? (operations, offsets) : nil
    }
  }

  static let operations = [
    Operation(key: [1], value: [9, 9]), Operation(key: [2, 2], value: nil), Operation(key: [3], value: []),
    Operation(key: Array(repeating: 4, count: 300), value: Array(repeating: 5, count: 200)),
  ]

  @Test func entriesComeBackInOrder() throws {
    let decoded = try #require(Self.decode(Self.encode(Self.operations)))
    #expect(decoded.operations == Self.operations)
    var begin = 0
    for (index, operation) in Self.operations.enumerated() {
      #expect(decoded.offsets[index] == begin)
      begin += Self.encode([operation]).count
    }
  }

  @Test func theFormatIsAsDrawn() {
    #expect(Self.encode([Operation(key: [7], value: [8, 9])]) == [1, 1, 2, 7, 8, 9])
    #expect(Self.encode([Operation(key: [7, 6], value: nil)]) == [0, 2, 7, 6])
  }

  @Test func measuringCountsEntriesAndTheirBytes() throws {
    let size = Self.encode(Self.operations).withView { EntryEncoding.measure($0) }
    #expect(size?.count == 4 && size?.keyValueBytes == 3 + 2 + 1 + 500)
    let none = EntryEncoding.measure(.empty)
    #expect(none?.count == 0)
  }

  @Test func aCutPayloadIsMalformedUnlessItEndsWithAnEntry() throws {
    let payload = Self.encode(Self.operations)
    let begins = try #require(Self.decode(payload)).offsets + [payload.count]
    for length in 0...payload.count {
      let decoded = Self.decode(Array(payload.prefix(length)))
      #expect((decoded != nil) == begins.contains(length), "\(length) bytes")
    }
  }

  @Test func hostileLengthsAreMalformed() {
    let hostile: [[UInt8]] = [
      [2, 1, 1, 7, 7],  // no such kind
      [1, 0, 0],  // an empty key
      [0, 0],
      [1, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 7],  // a value of 2^64 - 1 bytes
      [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 7],  // such a key
      [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 7],  // more than 64 bits
      [0, 0x81, 0x80, 0x04] + [UInt8](repeating: 0, count: 70_000),  // a key of 64 KiB and one byte
    ]
    for payload in hostile { #expect(Self.decode(payload) == nil, "\(payload.prefix(16))") }
  }

  @Test func anyFlippedByteIsSurvived() {
    let payload = Self.encode(Self.operations)
    var malformed = 0
    for index in payload.indices {
      for bit in 0..<8 {
        var damaged = payload
        damaged[index] ^= 1 << bit
        // A view of memory that ends with the payload: reading on would be found by the sanitizer.
        if Self.decode(damaged) == nil { malformed += 1 }
      }
    }
    #expect(malformed > 0)
  }

  @Test func aBodyThatHasSeenEnoughEndsTheWalk() {
    var seen = 0
    let isWhole = Self.encode(Self.operations).withView { payload in
      EntryEncoding.forEach(in: payload) { _ in
        seen += 1
        return seen < 2
      }
    }
    #expect(isWhole && seen == 2)
  }
}
