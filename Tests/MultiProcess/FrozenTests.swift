import CSupport
import Foundation
import Synchronization
import Testing

@testable import Siltstone

/// Opening for reading only what nobody has open: as the last ones left it, and without leaving a trace.
@Suite struct FrozenTests {
  let directory = TemporaryDirectory()

  typealias Contents = [String: String]

  static func contents(_ database: Database) throws -> Contents {
    var contents: Contents = [:]
    try database.scan(.all) { (key, value) throws(SiltstoneError) in
      contents[text(key)] = text(value)
      return true
    }
    return contents
  }

  static func text(_ bytes: RawSpan) -> String { bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }

  /// Everything about the directory that reading it must leave alone.
  static func fingerprint(_ path: String) throws -> [String: String] {
    var prints: [String: String] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: path) + ["."] {
      var info = stat()
      try #require(stat(path + "/" + name, &info) == 0)
      var checksum: UInt32 = 0
      if name != "." {
        let data = try Data(contentsOf: URL(fileURLWithPath: path + "/" + name))
        checksum = data.withUnsafeBytes { csup_crc32c(0, $0.baseAddress, $0.count) }
      }
      let times = [info.st_mtim, info.st_ctim].map { "\($0.tv_sec).\($0.tv_nsec)" }
      prints[name] = "\(info.st_ino) \(info.st_size) \(info.st_mode) \(times) \(checksum)"
    }
    return prints
  }

  /// A value, long enough that a few hundred fill a memtable.
  static func value(_ number: Int, _ life: Int) -> String {
    "\(number) of life \(life) " + String(repeating: "v", count: 80)
  }

  static func write(_ database: Database, _ count: Int, life: Int) throws {
    for number in 0..<count { try database.put("key\(number)", value(number, life)) }
  }

  static func expected(_ count: Int, life: Int) -> Contents {
    Dictionary(uniqueKeysWithValues: (0..<count).map { ("key\($0)", value($0, life)) })
  }

  @Test func whatWasClosedInOrderIsReadAndLeftAlone() throws {
    let writer = try Database.open(directory.path, options: .small())
    try Self.write(writer, 3_000, life: 1)
    try writer.compact()
    try writer.put("last", "in the log")
    try writer.close()
    let before = try Self.fingerprint(directory.path)
    let seen = EventLog()
    var options = ReadOnlyTests.readOnly
    options.eventHandler = { seen.add($0) }
    let reader = try Database.open(directory.path, options: options)
    var expected = Self.expected(3_000, life: 1)
    expected["last"] = "in the log"
    #expect(try Self.contents(reader) == expected)
    #expect(try reader.get("key7") == Array(Self.value(7, 1).utf8))
    #expect(try reader.multiGet(["key8", "nothing"]).map { $0 != nil } == [true, false])
    let snapshot = try reader.snapshot()
    #expect(try snapshot.get("last") != nil)
    snapshot.close()
    let report = try reader.verify()
    #expect(report.problems.isEmpty && report.tables > 0 && report.logRecords > 0)
    #expect(reader.metrics.processes.map(\.sharing) == ["readOnly"])
    for body in [
      { try reader.put("a", "1") }, { try reader.flush() }, { try reader.compact() }, { try reader.sync() },
    ] as [() throws -> Void] {
      let error = #expect(throws: SiltstoneError.self) { try body() }
      #expect(error?.code == .readOnly)
    }
    try reader.close()
    #expect(try Self.fingerprint(directory.path) == before)
    #expect(seen.all.map(\.kind) == [.recovery])
  }

  /// As `kill -9` would leave it, with acknowledged writes in the ring and nowhere else.
  @Test func whatOnlyTheRingHoldsIsThere() throws {
    let writer = try Database.open(directory.path, options: .small())
    let left = TemporaryDirectory()
    var count = 0
    while true {
      try writer.put("key\(count)", Self.value(count, 1))
      count += 1
      try copyDirectory(directory.path, to: left.path)
      let (shared, _) = try SharedState.attach(
        storage: FrozenStorage(try DiskStorage(path: left.path, create: false)),
        database: writer.engine.shared.database, ringBytes: 1 << 16)
      if shared.drained < shared.reserved { break }
    }
    try writer.close()
    let before = try Self.fingerprint(left.path)
    let reader = try Database.open(left.path, options: ReadOnlyTests.readOnly)
    #expect(try Self.contents(reader) == Self.expected(count, life: 1))
    #expect(reader.engine.shared.drained < reader.engine.shared.published)
    #expect(try Self.fingerprint(left.path) == before)
    let next = try Database.open(left.path, options: .small())
    #expect(try Self.contents(next) == Self.expected(count, life: 1))
    try next.close()
    try reader.close()
  }

  @Test func aLogOfManyMemtablesIsHeldInMemory() throws {
    var large = Options.small()
    large.memtableBytes = 2 << 20
    let writer = try Database.open(directory.path, options: large)
    try Self.write(writer, 9_000, life: 1)
    try writer.put("large", String(repeating: "l", count: 300_000))
    try Self.write(writer, 100, life: 2)
    #expect(writer.metrics.flushes == 0)
    try writer.close()
    let before = try Self.fingerprint(directory.path)
    let reader = try Database.open(directory.path, options: ReadOnlyTests.readOnly)
    let memtables = 1 + (try reader.engine.view.load().sealed.count)
    #expect((3...8).contains(memtables), "\(memtables)")
    var expected = Self.expected(9_000, life: 1).merging(Self.expected(100, life: 2)) { $1 }
    expected["large"] = String(repeating: "l", count: 300_000)
    #expect(try Self.contents(reader) == expected)
    try reader.close()
    #expect(try Self.fingerprint(directory.path) == before)
  }

  /// A backup without SHARED, of which nothing but the log files says where the log ends; and none is made.
  @Test func aCopyWithoutSharedIsEnough() throws {
    let writer = try Database.open(directory.path, options: .small())
    try Self.write(writer, 2_000, life: 1)
    try writer.close()
    let left = TemporaryDirectory()
    try copyDirectory(directory.path, to: left.path, withoutShared: true)
    let before = try Self.fingerprint(left.path)
    let reader = try Database.open(left.path, options: ReadOnlyTests.readOnly)
    #expect(try Self.contents(reader) == Self.expected(2_000, life: 1))
    try reader.close()
    #expect(try Self.fingerprint(left.path) == before)
  }

  /// What a later writer does is not seen, and takes nothing away.
  @Test func itStaysAsItIsWhenAWriterComes() throws {
    var writer = try Database.open(directory.path, options: .small())
    try Self.write(writer, 2_000, life: 1)
    try writer.close()
    // The last life's generations; the next one begins behind them.
    let last = try Data(contentsOf: URL(fileURLWithPath: directory.file(SharedState.fileName))).withUnsafeBytes {
      $0.load(fromByteOffset: MemoryLayout<csup_shared>.offset(of: \.generation)!, as: UInt64.self)
    }
    let reader = try Database.open(directory.path, options: ReadOnlyTests.readOnly)
    let tables = try reader.engine.view.load().version.tableNumbers
    #expect(!tables.isEmpty)
    var cursor = try reader.makeCursor()
    try cursor.seekToFirst()
    let snapshot = try reader.snapshot()
    for life in 2...4 {
      writer = try Database.open(directory.path, options: .small())
      for _ in 0..<3 { try Self.write(writer, 2_000, life: life) }
      try writer.compact()
      let storage = writer.engine.storage
      let base = SharedState.LockByte.generations
      func marks(_ generations: Range<UInt64>) throws -> Int {
        let range = base + generations.lowerBound..<base + generations.upperBound
        return try storage.marks(SharedState.fileName, in: range, limit: .max).count
      }
      #expect(try marks(0..<last + 1) == 1, "what it has is kept")
      #expect(try marks(last + 1..<writer.engine.shared.generation + 1) == 0, "and no memtable of the writer's")
      if life == 2 {
        for number in tables { #expect(try storage.exists(TableFile.name(number))) }
      }
      #expect(try Self.contents(reader) == Self.expected(2_000, life: 1))
      try writer.close()
      let other = try Database.open(directory.path, options: ReadOnlyTests.readOnly)
      #expect(try Self.contents(other) == Self.expected(2_000, life: life))
      try other.close()
      #expect(try Self.contents(reader) == Self.expected(2_000, life: 1))
      #expect(try reader.verify().problems.isEmpty)
    }
    #expect(try snapshot.get("key1999") == Array(Self.value(1_999, 1).utf8))
    var count = 0
    while cursor.isValid {
      let value = Self.text(try cursor.value)
      #expect(value.contains("of life 1 "))
      count += 1
      try cursor.next()
    }
    #expect(count == 2_000)
    snapshot.close()
    _ = consume cursor
    try reader.close()
    try Database.open(directory.path, options: .small()).close()
    try ModelTests.checkDirectory(directory.path)
  }

  /// Writers come and go without end; whoever reads between them sees all that was acknowledged before.
  @Test func writersThatComeAndGoAreNotHalfSeen() throws {
    try Database.open(directory.path, options: .small()).close()
    let written = Atomic<Int>(0)
    let isOver = Atomic<Bool>(false)
    let path = directory.path
    let failure = Mutex<String?>(nil)
    let writers = try BackgroundThread("writers") {
      do {
        for life in 1...40 {
          let writer = try Database.open(path, options: .small())
          for _ in 0..<20 {
            var batch = WriteBatch()
            for index in 0..<3 { try batch.put("key\(index)", Self.value(written.load(ordering: .relaxed) + 1, life)) }
            try writer.write(batch)
            written.add(1, ordering: .releasing)
          }
          if life % 5 == 0 { try writer.compact() }
          try writer.close()
        }
      } catch {
        failure.withLock { $0 = "\(error)" }
      }
      isOver.store(true, ordering: .releasing)
    }
    var (frozen, beside) = (0, 0)
    while !isOver.load(ordering: .acquiring) || frozen == 0 {
      let told = written.load(ordering: .acquiring)
      let reader = try Database.open(path, options: ReadOnlyTests.readOnly)
      if reader.engine.shared.isPrivate { frozen += 1 } else { beside += 1 }
      let values = Set(try reader.multiGet(["key0", "key1", "key2"]))
      #expect(values.count == 1)
      let text = (values.first ?? nil).map { String(decoding: $0, as: UTF8.self) }
      #expect((text?.split(separator: " ").first.flatMap { Int($0) } ?? 0) >= told)
      try reader.close()
    }
    writers.join()
    #expect(failure.withLock { $0 } == nil)
    #expect(frozen > 0 && frozen + beside > 5, "\(frozen) frozen, \(beside) beside a writer")
  }

  /// Without SHARED there is nothing to lock: a writer that comes in the midst is noticed by what it makes.
  @Test func aWriterThatComesInTheMidstIsNoticed() throws {
    let path = directory.path
    var writer = try Database.open(path, options: .small())
    try Self.write(writer, 2_000, life: 1)
    try writer.compact()
    try writer.close()
    try FileManager.default.removeItem(atPath: path + "/SHARED")
    let storage = FaultStorage(try DiskStorage(path: path, create: false))
    let lives = Atomic<Int>(0)
    storage.beforeOpening.withLock { body in
      body = { name throws(SiltstoneError) in
        guard TableFile.number(name) != nil, lives.add(1, ordering: .relaxed).oldValue == 0 else { return }
        let writer = try Engine.open(path, .small(), on: DiskStorage(path: path, create: false))
        for number in 0..<2_000 { try writer.put("key\(number)", Self.value(number, 2)) }
        try writer.compact(.all)
        try writer.close()
      }
    }
    let reader = try Engine.open(path, ReadOnlyTests.readOnly, on: storage)
    let looks = lives.load(ordering: .relaxed)
    #expect(looks > 1)
    #expect(try reader.text("key1999") == Self.value(1_999, 2))
    try reader.close()
    writer = try Database.open(path, options: .small())
    #expect(try Self.contents(writer) == Self.expected(2_000, life: 2))
    try writer.close()
  }

  /// With SHARED, no writer can come in the midst.
  @Test func nobodyComesInTheMidst() throws {
    let writer = try Database.open(directory.path, options: .small())
    try Self.write(writer, 2_000, life: 1)
    try writer.compact()
    try writer.close()
    let disk = try DiskStorage(path: directory.path, create: false)
    let storage = FaultStorage(disk)
    let looks = Mutex(0)
    let open = Mutex(0)
    storage.beforeOpening.withLock { body in
      body = { _ throws(SiltstoneError) in
        let lock = try disk.tryLock(SharedState.fileName, byte: SharedState.LockByte.opening)
        looks.withLock { $0 += 1 }
        if lock != nil { open.withLock { $0 += 1 } }
      }
    }
    let reader = try Engine.open(directory.path, ReadOnlyTests.readOnly, on: storage)
    #expect(looks.withLock { $0 } > 3)
    #expect(open.withLock { $0 } == 0)
    let lock = try disk.tryLock(SharedState.fileName, byte: SharedState.LockByte.opening)
    #expect(lock != nil, "but afterwards they can")
    try reader.close()
  }

  /// Each waits for the other: a writer for those who read what it is about to recover, and they for it.
  @Test func openingForWritingAndForReadingTakeTurns() throws {
    try Database.open(directory.path, options: .small()).close()
    let storage = try DiskStorage(path: directory.path, create: false)
    let path = directory.path
    let readers = Mutex<[(any FileLock)?]>([])
    for _ in 0..<2 {
      let lock = try storage.trySharedLock(SharedState.fileName, byte: SharedState.LockByte.opening)
      #expect(lock != nil, "readers go beside each other")
      readers.withLock { $0.append(lock) }
    }
    let hasOpened = Atomic<Bool>(false)
    let writer = try BackgroundThread("writer") {
      let writer = try? Database.open(path, options: .small())
      hasOpened.store(writer != nil, ordering: .releasing)
      try? writer?.put("a", "1")
      try? writer?.close()
    }
    while try !storage.isLocked(SharedState.fileName, byte: SharedState.LockByte.waiting) { usleep(1_000) }
    let isEarly = hasOpened.load(ordering: .acquiring)
    #expect(!isEarly)
    let hasRead = Mutex(false)
    let late = try BackgroundThread("reader") {
      let reader = try? Database.open(path, options: ReadOnlyTests.readOnly)
      hasRead.withLock { $0 = reader != nil }
      try? reader?.close()
    }
    usleep(50_000)
    #expect(!hasRead.withLock { $0 }, "readers let those pass who wait to write")
    readers.withLock { $0 = [] }
    writer.join()
    late.join()
    #expect(hasRead.withLock { $0 })
    let isIn = hasOpened.load(ordering: .acquiring)
    #expect(isIn)
    let reader = try Database.open(path, options: ReadOnlyTests.readOnly)
    #expect(try reader.get("a") == Array("1".utf8))
    try reader.close()
  }

  @Test func whatAKilledProcessLeftIsThere() throws {
    let peers = try Peers()
    for round in 0..<3 {
      let told = try peers.acknowledged()[2]
      try peers.start("writer 2")
      for _ in 0..<20_000 {
        if try peers.acknowledged()[2] > told + 200 { break }
        usleep(1_000)
      }
      peers.kill("writer 2")
      let promised = try peers.acknowledged()[2]
      #expect(promised > told + 200, "round \(round): \(peers.complaints)")
      let before = try Self.fingerprint(peers.workspace.database)
      let reader = try Database.open(peers.workspace.database, options: ReadOnlyTests.readOnly)
      let contents = try Self.contents(reader)
      let count = contents["2/head/0"].flatMap { Int($0.prefix { $0 != " " }) } ?? 0
      #expect(count >= promised)
      #expect(try reader.verify().problems.isEmpty)
      try reader.close()
      #expect(try Self.fingerprint(peers.workspace.database) == before)
      let writer = try Database.open(peers.workspace.database, options: .small())
      #expect(try Self.contents(writer) == contents)
      try writer.close()
    }
    try peers.check()
  }
}
