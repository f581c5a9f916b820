// It looks into the engine, which only a debug build lets it.
#if DEBUG
  import Glibc
  import Synchronization

  @testable import Siltstone

  /// One process of many on one database, for the tests to start and to kill: `siltstone-peer DIRECTORY WHAT NUMBER`.
  ///
  /// A writer's batch number i sets `w/head/0` to `w/head/4` to i and adds `w/item/i`, and deletes the item of some
  /// batches ago. What it begins, and what it was told to be done, it notes in a file, and so do readers with what they
  /// saw: so whoever reads can tell whether it saw what it had to, and nothing that was not yet written. Beside that
  /// all write and read a few keys that they have in common (`Contention`).
  @main
  struct Peer {
    static func main() {
      let arguments = CommandLine.arguments
      guard arguments.count >= 4, let number = Int(arguments[3]) else { fail("usage: DIRECTORY WHAT NUMBER") }
      _ = isStopping  // made before a signal looks for it
      signal(SIGTERM, Peer.stop)
      do {
        let (directory, what) = (arguments[1], arguments[2])
        let notes = try Notes(directory + ".acks")
        let history = try History(directory + ".history-\(what)-\(number)")
        let before = Leftovers.openFiles()
        try run(directory, what, number, notes, history)
        let left = Leftovers.openFiles().subtracting(before).union(Leftovers.mappings())
        if !left.isEmpty { fail("\(what) \(number): left open: \(left.sorted())") }
      } catch {
        fail("\(arguments[2]) \(number): \(error)")
      }
    }

    private static func run(
      _ directory: String, _ what: String, _ number: Int, _ notes: Notes, _ history: History
    ) throws(SiltstoneError) {
      if what == "observer" { return try observe(directory, number, notes) }
      var options = Options.forPeers
      switch what {
      case "writer": options.sharing = number % 2 == 0 ? .processes : .guest
      case "reader": options.sharing = .guest
      default: break
      }
      let database = try Database.open(directory, options: options)
      switch what {
      case "writer": try write(database, number, notes, Contention(database, number, history))
      case "reader": try read(database, number, notes, Contention(database, number, history))
      default: while !isStopping { usleep(1_000) }
      }
      try database.close()
    }

    private static let stopSign = Atomic<Bool>(false)
    static var isStopping: Bool { stopSign.load(ordering: .relaxed) }
    /// On whatever thread the signal arrives, and in the midst of anything.
    private static let stop: @convention(c) (Int32) -> Void = { _ in Peer.stopSign.store(true, ordering: .relaxed) }

    static func fail(_ message: String) -> Never {
      let line = message + "\n"
      _ = line.withCString { Glibc.write(2, $0, line.utf8.count) }
      exit(3)
    }

    // MARK: - Writing

    private static func write(
      _ database: Database, _ writer: Int, _ notes: Notes, _ contention: consuming Contention
    ) throws(SiltstoneError) {
      var number = try PeerData.count(database, writer)
      let told = notes[.acknowledged, writer]
      if number < told { fail("writer \(writer): \(told) told, \(number) there") }
      var random = PeerRandom(UInt64(writer) &* 77 &+ UInt64(number) &+ UInt64(getpid()))
      while !isStopping {
        if contention.isDue { try contention.write(&random) }
        number += 1
        var batch = WriteBatch()
        let large = random.next() % 64 == 0
        for index in 0..<PeerData.heads {
          let padding = index == 2 && large ? String(repeating: "x", count: 30_000) : ""
          try batch.put(PeerData.head(writer, index), "\(number) \(padding)")
        }
        // A stretch of large values, which stay in the log, then one of small ones.
        let length = number / 64 % 2 == 0 ? 6_000 : 200
        try batch.put(PeerData.item(writer, number), "\(number) \(String(repeating: "y", count: length))")
        if number > PeerData.kept { try batch.delete(PeerData.item(writer, number - PeerData.kept)) }
        notes[.begun, writer] = number
        try database.write(batch, durability: random.next() % 16 == 0 ? .synced : .staged)
        notes[.acknowledged, writer] = number
      }
    }

    // MARK: - Reading

    private static func read(
      _ database: Database, _ number: Int, _ notes: Notes, _ contention: consuming Contention
    ) throws(SiltstoneError) {
      var random = PeerRandom(UInt64(number) &+ UInt64(getpid()))
      while !isStopping {
        if contention.isDue { try contention.read(&random) }
        let writer = Int(random.next() % UInt64(PeerData.writers))
        // A writer's numbers go up: to be linearizable is to lie between these.
        let (told, seen) = (notes[.acknowledged, writer], notes[.seen, writer])
        let found = try PeerData.count(database, writer)
        let begun = notes[.begun, writer]
        notes.raise(.seen, writer, to: found)
        if found < told { fail("reader \(number): writer \(writer) was told \(told), a read after that sees \(found)") }
        if found < seen { fail("reader \(number): writer \(writer): \(seen) was seen before, and now \(found)") }
        if found > begun { fail("reader \(number): writer \(writer) has begun \(begun), and \(found) is seen") }
        if random.next() % 8 == 0 {
          let snapshot = try database.snapshot()
          for problem in try PeerData.check(snapshot, writer) { fail("reader \(number): \(problem)") }
          if random.next() % 4 == 0 {
            usleep(UInt32(random.next() % 20_000))
            for problem in try PeerData.check(snapshot, writer) { fail("reader \(number), later: \(problem)") }
          }
          snapshot.close()
        }
      }
    }
  }

  extension Peer {
    /// Opens for reading only, again and again, beside whoever writes or after whoever did.
    private static func observe(
      _ directory: String, _ number: Int, _ notes: Notes
    ) throws(SiltstoneError) {
      var seen = [Int](repeating: 0, count: PeerData.writers)
      var options = Options.forPeers
      options.sharing = .readOnly
      while !isStopping {
        let told = (0..<PeerData.writers).map { notes[.acknowledged, $0] }
        if told.allSatisfy({ $0 == 0 }) {
          usleep(1_000)  // the database may not be there yet
          continue
        }
        let database = try Database.open(directory, options: options)
        let snapshot = try database.snapshot()
        for writer in 0..<PeerData.writers {
          let found = try PeerData.count(database, writer)
          if found < max(told[writer], seen[writer]) {
            fail("observer \(number): writer \(writer) was told \(told[writer]), \(seen[writer]) seen; now \(found)")
          }
          seen[writer] = found
          for problem in try PeerData.check(snapshot, writer) { fail("observer \(number): \(problem)") }
        }
        snapshot.close()
        try database.close()
      }
    }
  }

  /// What the writers write, and what must be true of it at every moment.
  enum PeerData {
    static let writers = 4
    static let heads = 5
    static let kept = 40

    static func head(_ writer: Int, _ index: Int) -> String { "\(writer)/head/\(index)" }
    static func item(_ writer: Int, _ number: Int) -> String {
      let digits = String(number)
      return "\(writer)/item/" + String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }

    private static func number(_ value: [UInt8]?) -> Int {
      guard let value else { return 0 }
      return Int(String(decoding: value.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)) ?? -1
    }

    static func count(_ database: Database, _ writer: Int) throws(SiltstoneError) -> Int {
      number(try database.get(head(writer, 0)))
    }

    static func check(_ snapshot: Snapshot, _ writer: Int) throws(SiltstoneError) -> [String] {
      var numbers: [Int] = []
      for index in 0..<heads { numbers.append(number(try snapshot.get(head(writer, index)))) }
      guard let count = numbers.first, numbers.allSatisfy({ $0 == count }) else {
        return ["writer \(writer): a batch in parts: \(numbers)"]
      }
      var items: [Int] = []
      try snapshot.scan(.prefix("\(writer)/item/")) { (_, value) throws(SiltstoneError) in
        items.append(number(value.withUnsafeBytes { Array($0) }))
        return true
      }
      let expected = count == 0 ? [] : Array(max(1, count - kept + 1)...count)
      return items == expected ? [] : ["writer \(writer): at \(count) the items are \(items)"]
    }
  }

  /// Good enough to choose by.
  struct PeerRandom {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state >> 8
    }
  }

  extension Options {
    /// Everything small, so that a few thousand writes fill many memtables, segments and levels.
    static var forPeers: Options {
      var options = Options()
      options.memtableBytes = 128 << 10
      options.tableBytes = 64 << 10
      options.blockBytes = 1 << 10
      options.ringBytes = 1 << 17
      options.logSegmentBytes = 1 << 17
      options.memoryBudgetBytes = 8 << 20
      return options
    }
  }
#else
  @main struct Peer {
    static func main() {}
  }
#endif
