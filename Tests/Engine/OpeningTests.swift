import Glibc
import Synchronization
import Testing

@testable import Siltstone

/// What opening finds, and what it makes of it.
@Suite struct OpeningTests {
  /// A crash in the middle of a flush leaves a table that no edit names. The next recovery may have to flush before it
  /// may remove that, and must not run into it.
  @Test func recoveryFlushesBesideTablesLeftByACrash() throws {
    let directory = TemporaryDirectory()
    var large = Options.small()
    large.memtableBytes = 1 << 20
    var database = try Database.open(directory.path, options: large)
    for number in 0..<4_000 { try database.put("key\(number)", String(repeating: "v", count: 60) + "\(number)") }
    #expect(database.metrics.flushes == 0)
    try database.close()
    let storage = try DiskStorage(path: directory.path, create: false)
    for number in 1...3 as ClosedRange<UInt64> {
      let file = try storage.open(TableFile.name(number), .createBuffered)
      try Array("left by a crash".utf8).withView { (bytes) throws(SiltstoneError) in
        try file.write(bytes.buffer, at: 0, .none)
      }
    }
    // A memtable this small cannot take the log whole.
    database = try Database.open(directory.path, options: .small())
    #expect(database.metrics.levels.reduce(0) { $0 + $1.tables } > 0)
    for number in 0..<4_000 {
      #expect(try database.get("key\(number)") == Array((String(repeating: "v", count: 60) + "\(number)").utf8))
    }
    #expect(try database.verify().problems.isEmpty)
    try database.close()
    try ModelTests.checkDirectory(directory.path)
  }

  @Test func eventsTellOfRecoveryFlushAndCompaction() throws {
    let directory = TemporaryDirectory()
    let seen = EventLog()
    var options = Options.small()
    options.eventHandler = { seen.add($0) }
    let database = try Database.open(directory.path, options: options)
    for number in 0..<3_000 { try database.put("key\(number % 700)", String(repeating: "x", count: 100)) }
    try database.compact()
    try database.close()
    let kinds = Set(seen.all.map(\.kind))
    #expect(kinds.isSuperset(of: [.recovery, .flush, .compaction]))
    #expect(seen.all.allSatisfy { !$0.description.contains("\n") })
  }

  /// A child that another thread is just starting has all descriptors, and with them the locks, until it runs its
  /// program. Whoever opens meanwhile must not join those who have left.
  @Test(arguments: [Options.Sharing.processes, .readOnly])
  func aLockThatOutlivesItsOwnerIsWaitedFor(_ sharing: Options.Sharing) throws {
    let directory = TemporaryDirectory()
    let database = try Database.open(directory.path, options: .small())
    try database.put("a", "1")
    try database.close()
    let storage = try DiskStorage(path: directory.path, create: false)
    let lock = Mutex(try storage.tryLock(SharedState.fileName, byte: SharedState.LockByte.slot(0)))
    #expect(lock.withLock { $0 != nil })
    let child = try BackgroundThread("child") {
      usleep(200_000)
      lock.withLock { $0 = nil }
    }
    var options = Options.small()
    options.sharing = sharing
    let again = Result { try Database.open(directory.path, options: options) }
    child.join()
    #expect(try again.get().get("a") == Array("1".utf8))
    try again.get().close()
  }

  @Test func optionsThatCannotBeAreRefused() throws {
    let directory = TemporaryDirectory()
    var broken = Array(repeating: Options(), count: 8)
    broken[0].memtableBytes = 1
    broken[1].memoryBudgetBytes = 1 << 20
    broken[2].blockBytes = 0
    broken[3].sizeRatio = 1
    broken[4].runsPerLevel = 0
    broken[5].filterBitsPerKey = -1
    broken[6].tableBytes = 5
    broken[7].compactionThreads = 0
    for options in broken {
      #expect { try Database.open(directory.path, options: options) } throws: {
        ($0 as? SiltstoneError)?.code == .invalidArgument
      }
    }
    #expect(try DiskStorage(path: directory.path, create: false).list().isEmpty)
  }
}
