/// Writes entries to one table after another: a new one when the last has reached its size, but never between two
/// versions of a key, since the tables of a run share no key. One owner.
struct TableOutputs: ~Copyable {
  private let storage: any Storage
  private let settings: TableSettings
  private let targetTableBytes: UInt64
  private let nextFileNumber: () -> UInt64
  /// Room for the one table in progress. In memory of its own, so that an entry is added without unwrapping.
  private let writer: UnsafeMutablePointer<TableWriter>
  private var hasTable = false
  private var finished: [TableMetadata] = []
  private(set) var entryCount: UInt64 = 0
  /// Bytes to come before the table's size is looked at again. To ask for each entry would cost a twentieth of writing
  /// it.
  private var bytesUntilCheck = 0
  private let checkIntervalBytes: Int

  init(
    storage: any Storage, settings: TableSettings, targetTableBytes: UInt64,
    nextFileNumber: @escaping () -> UInt64
  ) {
    self.storage = storage
    self.settings = settings
    self.targetTableBytes = targetTableBytes
    self.nextFileNumber = nextFileNumber
    writer = .allocate(capacity: 1)
    checkIntervalBytes = Int(min(targetTableBytes / 64, 64 << 10))
  }

  deinit {
    if hasTable { writer.deinitialize(count: 1) }
    writer.deallocate()
  }

  /// Appends an entry. `startsKey`: its key is another than that of the entry before, as the first one's always is.
  /// REQUIRES: internal-key order.
  @inline(__always)
  mutating func add(
    _ key: ByteView, _ trailer: KeyTrailer, _ value: ByteView, startsKey: Bool
  ) throws(SiltstoneError) {
    if startsKey, bytesUntilCheck <= 0 { try beginTableIfNeeded() }
    assert(hasTable, "the first entry starts a key")
    try writer.pointee.add(key, trailer, value)
    bytesUntilCheck &-= key.count &+ value.count
    entryCount &+= 1
  }

  @inline(never)
  private mutating func beginTableIfNeeded() throws(SiltstoneError) {
    bytesUntilCheck = checkIntervalBytes
    if hasTable, writer.pointee.sizeBytesSoFar < targetTableBytes { return }
    try finishTable()
    writer.initialize(to: try TableWriter(storage: storage, number: nextFileNumber(), settings: settings))
    hasTable = true
  }

  private mutating func finishTable() throws(SiltstoneError) {
    guard hasTable else { return }
    finished.append(try writer.pointee.finish())
    dropTable()
  }

  private mutating func dropTable() {
    writer.deinitialize(count: 1)
    hasTable = false
  }

  /// Completes the last table and returns all of them, written and synced; none if there was no entry.
  mutating func finish() throws(SiltstoneError) -> [TableMetadata] {
    try finishTable()
    return finished
  }

  /// Removes everything written so far. A file that cannot be removed is left for the next open to find.
  mutating func abandon() {
    if hasTable {
      writer.pointee.abandon()
      dropTable()
    }
    for table in finished {
      do throws(SiltstoneError) { try storage.remove(TableFile.name(table.number)) } catch {}
    }
    finished = []
  }
}
