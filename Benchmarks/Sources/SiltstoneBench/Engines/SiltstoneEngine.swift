import Siltstone

/// The engine itself, through its public Swift interface.
final class SiltstoneEngine: KeyValueEngine {
  static let name = "siltstone"
  static let sharesBetweenProcesses = true

  let database: Database
  let specification: RunSpecification

  init(directory: String, specification: RunSpecification) throws {
    self.specification = specification
    var options = Options()
    options.memtableBytes = specification.memtableBytes
    // The budget holds memtables, three of them, the log's ring, the buffers of jobs, and the block cache: what the
    // ring takes is memory that other engines have for a fourth memtable, and the rest comes off the block cache.
    options.memoryBudgetBytes =
      specification.memtableBytes * specification.memtables + specification.cacheBytes + 32 << 20
    options.bottomCompression = specification.codec
    options.filterBitsPerKey = Double(specification.filterBitsPerKey)
    options.compactionThreads = specification.backgroundThreads
    options.durability = specification.durability == .staged ? .staged : .synced
    switch specification.sharing {
    case .guest: options.sharing = .guest
    case .exclusive: options.sharing = .exclusive
    case nil: break
    }
    database = try Database.open(directory, options: options)
  }

  var identity: RunResult.Engine {
    let defaults = Options()
    var engine = RunResult.Engine(name: Self.name, version: "working tree")
    #if DEBUG
      engine.build = "debug: assertions on, not optimised"
    #else
      engine.build = "release"
    #endif
    engine.settings = [
      .init("memtables", "\(min(specification.memtables, 3)) x \(specification.memtableBytes >> 20) MiB"),
      .init("block cache", "\(specification.cacheBytes >> 20) MiB"),
      .init("compression", "last level \(specification.compression.rawValue), above none"),
      .init("filter", "\(specification.filterBitsPerKey) bits a key"),
      .init("size ratio", "\(defaults.sizeRatio), lazy leveling"),
      .init("block size", "\(defaults.blockBytes >> 10) KiB"),
      .init("compaction threads", "\(specification.backgroundThreads)"),
      .init("durability", "\(specification.durability.rawValue)"),
      .init("sharing", specification.sharing?.rawValue ?? "with other processes"),
      .init(
        "I/O",
        "\(database.metrics.usesIOURing ? "io_uring" : "plain"), "
          + "\(database.metrics.usesDirectIO ? "direct" : "page cache")"),
    ]
    return engine
  }

  func makeSession() -> Session { Session(database) }

  func settle() throws {
    try database.flush()
    try database.waitForCompaction()
  }

  func compact() throws { try database.compact() }
  func close() throws { try database.close() }

  var internals: [String: Double] {
    let metrics = database.metrics
    return [
      "writeAmplification": metrics.writeAmplification,
      "tableWriteAmplification": metrics.tableWriteAmplification,
      "spaceAmplification": metrics.spaceAmplification,
      "stallSeconds": Double(metrics.stallNanoseconds) / 1e9,
      "slowdownSeconds": Double(metrics.slowdownNanoseconds) / 1e9,
      "runs": Double(metrics.runCount),
      "batchesPerSync": Double(metrics.batchesWritten) / Double(max(metrics.logSyncs, 1)),
      "memoryBytes": Double(metrics.memoryBytes),
      "takeovers": Double(metrics.takeovers),
    ]
  }

  final class Session: EngineSession {
    private let database: Database
    private var batch = WriteBatch()

    init(_ database: Database) { self.database = database }

    func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
      try database.put(key.bytes, value.bytes)
    }

    func delete(_ key: UnsafeRawBufferPointer) throws { try database.delete(key.bytes) }

    func batchPut(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws {
      try batch.put(key.bytes, value.bytes)
    }

    func batchDelete(_ key: UnsafeRawBufferPointer) throws { try batch.delete(key.bytes) }

    func commitBatch() throws {
      try database.write(batch)
      batch.removeAll()
    }

    func deleteRange(from begin: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) throws {
      let pieceEntries = 1_000
      while true {
        var deletions = WriteBatch()
        try database.scan(KeyRange(from: Array(begin), to: Array(end))) { (key, _) throws(SiltstoneError) in
          try deletions.delete(key)
          return deletions.count < pieceEntries
        }
        if deletions.isEmpty { return }
        try database.write(deletions)
      }
    }

    func get(_ key: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
      try database.withValue(of: key.bytes) { value in
        value.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0.prefix(buffer.count))) }
        return value.byteCount
      }
    }

    func multiGet(_ keys: UnsafeRawBufferPointer, keyBytes: Int) throws -> Int {
      let views = stride(from: 0, to: keys.count, by: keyBytes).map {
        BorrowedKey(bytes: UnsafeRawBufferPointer(rebasing: keys[$0..<$0 + keyBytes]))
      }
      return try database.multiGet(views).reduce(0) { $0 + ($1 == nil ? 0 : 1) }
    }

    func scan(
      from key: UnsafeRawBufferPointer, limit: Int, reverse: Bool
    ) throws -> (entries: Int, bytes: Int) {
      var (entries, bytes) = (0, 0)
      var digest: UInt8 = 0
      let range: KeyRange = key.isEmpty ? .all : reverse ? KeyRange(to: Array(key) + [0]) : KeyRange(from: Array(key))
      try database.scan(range, reverse: reverse) { (key, value) throws(SiltstoneError) in
        entries += 1
        bytes += key.byteCount + value.byteCount
        digest ^= key.lastByte ^ value.lastByte
        return entries < limit
      }
      withExtendedLifetime(digest) {}
      return (entries, bytes)
    }
  }
}

/// A key in the harness's own buffer.
private struct BorrowedKey: Bytes {
  let bytes: UnsafeRawBufferPointer

  func withBytes<Result, Failure: Error>(_ body: (RawSpan) throws(Failure) -> Result) throws(Failure) -> Result {
    try body(bytes.bytes)
  }
}

extension RawSpan {
  fileprivate var lastByte: UInt8 {
    byteCount == 0 ? 0 : unsafeLoad(fromUncheckedByteOffset: byteCount - 1, as: UInt8.self)
  }
}

extension RunSpecification {
  fileprivate var codec: Siltstone.Compression {
    switch compression {
    case .none: .none
    case .lz4: .lz4
    case .zstd: .zstd
    case .snappy: .snappy
    }
  }
}

extension RunResult.Setting {
  init(_ name: String, _ value: String) { self.init(name: name, value: value) }
}
