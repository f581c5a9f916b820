import Testing

@testable import Siltstone

/// Whatever happened to the bytes, a table gives right answers or says that it is corrupt.
@Suite struct TableCorruptionTests {
  static let name = TableFile.name(7)

  /// Reads in every way; true if one of them was refused as corrupt. Wrong answers are test failures.
  func readEverything(
    _ storage: TableTestStorage, _ metadata: TableMetadata, _ entries: [TableTestEntry]
  ) -> Bool {
    var refused = false
    /// Runs one way of reading, on its own: one that is refused must not hide what another would answer.
    func attempt(_ body: (Table) throws(SiltstoneError) -> Void) {
      do throws(SiltstoneError) {
        try body(Table(storage: storage, metadata: metadata, cache: BlockCache(capacityBytes: 1 << 20)))
      } catch {
        #expect(error.code == .corruption, "\(error)")
        #expect(error.file == TableCorruptionTests.name)
        refused = true
      }
    }
    attempt { table throws(SiltstoneError) in
      var cursor = table.makeCursor(.cached)
      try cursor.expectForward(entries)
    }
    attempt { table throws(SiltstoneError) in
      var cursor = table.makeCursor(.sequential)
      try cursor.expectForward(entries)
    }
    for entry in [entries[0], entries[entries.count / 2], entries[entries.count - 1]] {
      attempt { table throws(SiltstoneError) in
        let snapshot = KeyTrailer.maxSequence
        let found = try table.found(entry.key)
        #expect(found == expectedFound(entries, entry.key, snapshot: snapshot))
      }
    }
    return refused
  }

  func verifies(_ storage: TableTestStorage, _ metadata: TableMetadata) -> Bool {
    do throws(SiltstoneError) {
      try Table(storage: storage, metadata: metadata, cache: BlockCache(capacityBytes: 0)).verify()
      return true
    } catch {
      #expect(error.code == .corruption)
      return false
    }
  }

  @Test(arguments: [Compression.none, .lz4])
  func everyFlippedByteIsCaughtOrHarmless(_ compression: Compression) throws {
    let storage = TableTestStorage()
    let entries = makeTableEntries(40, seed: 31, maxValueBytes: 20)
    let metadata = try buildTable(
      storage, entries, settings: TableTests.settings(compression, blockSizeBytes: 512))
    let original = storage[TableCorruptionTests.name]
    #expect(original.count < 8192)
    #expect(!readEverything(storage, metadata, entries))
    #expect(verifies(storage, metadata))
    var refusals = 0
    for place in original.indices {
      storage[TableCorruptionTests.name][place] ^= 1 << UInt8(place & 7)
      let refused = readEverything(storage, metadata, entries)
      refusals += refused ? 1 : 0
      #expect(!verifies(storage, metadata), "byte \(place)")
      storage[TableCorruptionTests.name][place] = original[place]
    }
    // There is one partition, and so one filter, which lookups read: every byte of the file was read.
    #expect(refusals == original.count)
  }

  @Test func everyTruncationIsCaught() throws {
    let storage = TableTestStorage()
    let entries = makeTableEntries(40, seed: 32, maxValueBytes: 20)
    var metadata = try buildTable(storage, entries, settings: TableTests.settings(blockSizeBytes: 512))
    let original = storage[TableCorruptionTests.name]
    for length in original.indices {
      storage[TableCorruptionTests.name] = Array(original.prefix(length))
      // Both as the manifest tells it, and as if the manifest had been fooled too.
      for stated in [UInt64(original.count), UInt64(length)] {
        metadata.sizeBytes = stated
        #expect(isRefused(storage, metadata))
      }
      let error = #expect(throws: SiltstoneError.self) {
        _ = try Table.open(
          storage: storage, name: TableCorruptionTests.name, cache: BlockCache(capacityBytes: 0))
      }
      #expect(error?.code == .corruption)
    }
    storage[TableCorruptionTests.name] = original + [0]
    metadata.sizeBytes = UInt64(original.count + 1)
    #expect(isRefused(storage, metadata))
  }

  func isRefused(_ storage: TableTestStorage, _ metadata: TableMetadata) -> Bool {
    do throws(SiltstoneError) {
      _ = try Table(storage: storage, metadata: metadata, cache: BlockCache(capacityBytes: 0))
      return false
    } catch { return error.code == .corruption }
  }

  @Test func anotherTableInTheSamePlaceIsCaught() throws {
    let storage = TableTestStorage()
    let metadata = try buildTable(storage, [TableTestEntry([1], 1, [1]), TableTestEntry([5], 2, [2])])
    var others: [TableMetadata] = []
    for change in 0..<6 {
      var other = metadata
      switch change {
      case 0: other.number = 8
      case 1: other.entryCount += 1
      case 2: other.smallestKey = [0]
      case 3: other.largestKey = [6]
      case 4: other.largestSequence += 1
      default: other.compression = .zstd
      }
      others.append(other)
    }
    storage[TableFile.name(8)] = storage[TableFile.name(7)]
    for other in others { #expect(isRefused(storage, other)) }
    #expect(!isRefused(storage, metadata))
  }

  /// A block that is whole, but from elsewhere: only the checksum in its parent can tell.
  @Test func aMisdirectedBlockIsCaught() throws {
    let storage = TableTestStorage()
    // Equal sizes, so that the blocks can change places.
    let entries = (0..<20).map {
      TableTestEntry([1, UInt8($0)], 1, [UInt8](repeating: UInt8($0), count: 400))
    }
    let metadata = try buildTable(storage, entries, settings: TableTests.settings(blockSizeBytes: 600))
    let table = try Table(storage: storage, metadata: metadata, cache: BlockCache(capacityBytes: 0))
    let blockBytes = Int(table.properties.storedDataBytes / table.properties.dataBlockCount)
    #expect(table.properties.dataBlockCount == 20)
    var bytes = storage[TableCorruptionTests.name]
    bytes.replaceSubrange(0..<blockBytes, with: bytes[blockBytes..<2 * blockBytes])
    storage[TableCorruptionTests.name] = bytes
    let error = #expect(throws: SiltstoneError.self) { _ = try table.found([1, 0]) }
    #expect(error?.code == .corruption && error?.offset == 0 && error?.file == TableCorruptionTests.name)
    #expect(try table.found([1, 1]) == .value(entries[1].value))
    var cursor = table.makeCursor(.cached)
    #expect(throws: SiltstoneError.self) { try cursor.seekToFirst() }
    cursor.expect(nil)
    // The rest stays readable, with the same cursor.
    try cursor.seek([1, 1], .newest)
    cursor.expect(entries[1])
    #expect(throws: SiltstoneError.self) { try cursor.previous() }
    cursor.expect(nil)
  }

  @Test func aNewerVersionIsNamed() throws {
    let storage = TableTestStorage()
    let metadata = try buildTable(storage, [TableTestEntry([1], 1, [1])])
    let bytes = storage[TableCorruptionTests.name]
    let footerBytes = TableTestBytes(Array(bytes.suffix(Footer.sizeBytes)))
    var footer = try Footer.decode(footerBytes.view, fileBytes: UInt64(bytes.count), file: "x")
    footer.version = Footer.currentVersion + 1
    var encoded = ByteBuffer()
    footer.encode(into: &encoded)
    storage[TableCorruptionTests.name] = Array(bytes.dropLast(Footer.sizeBytes)) + encoded.view.copied()
    let error = #expect(throws: SiltstoneError.self) {
      _ = try Table(storage: storage, metadata: metadata, cache: BlockCache(capacityBytes: 0))
    }
    #expect(error?.code == .unsupportedVersion)
    #expect(error?.file == TableCorruptionTests.name)
  }

  @Test func propertiesPassOverWhatTheyDoNotKnow() throws {
    var properties = TableProperties()
    properties.entryCount = 300
    properties.largestKey = [1, 2, 3]
    var encoded = ByteBuffer()
    let (name, value) = (TableTestBytes(Array("from-the-future".utf8)), TableTestBytes([9, 9, 9]))
    encoded.append(lengthPrefixed: name.view)
    encoded.append(lengthPrefixed: value.view)
    properties.encode(into: &encoded)
    #expect(TableProperties.decode(encoded.view) == properties)
    let bytes = encoded.view.copied()
    for length in bytes.indices {
      let cut = TableTestBytes(Array(bytes.prefix(length)))
      #expect(TableProperties.decode(cut.view) == nil)
    }
  }
}
