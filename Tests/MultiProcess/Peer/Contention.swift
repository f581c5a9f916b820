#if DEBUG
  import Glibc

  @testable import Siltstone

  /// What one process after the other did under a name, for the test to judge: four words for each operation, in the
  /// order in which they began. The file begins with their number. `Linearizability` in the tests reads it.
  final class History {
    private let words: UnsafeMutablePointer<UInt64>
    private static let capacity = 1 << 20  // the file is sparse

    init(_ path: String) throws(SiltstoneError) {
      words = try mapFile(path, (History.capacity + 1) * 32).assumingMemoryBound(to: UInt64.self)
    }

    private func record(_ index: Int) -> UnsafeMutablePointer<UInt64> { words + 4 * (index + 1) }

    /// An operation begins: what is noted by now outlives the process.
    func begin(key: Int, isWrite: Bool, value: UInt64 = 0) -> Int? {
      let index = Int(words[0])
      if index >= History.capacity { return nil }
      let record = record(index)
      record[0] = UInt64(key) << 1 | (isWrite ? 1 : 0)
      record[1] = value
      record[3] = 0
      words[0] += 1
      record[2] = History.now()
      return index
    }

    func end(_ index: Int, at time: UInt64, value: UInt64) {
      record(index)[1] = value
      record(index)[3] = time
    }

    /// All processes of a machine have this clock in common.
    static func now() -> UInt64 {
      var time = timespec()
      clock_gettime(CLOCK_MONOTONIC, &time)
      return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
  }

  /// Keys that all write and all read, in pairs of the same value, which no two writes have in common.
  struct Contention: ~Copyable {
    private let database: Database
    private let number: Int
    private let history: History
    private var due: UInt64 = 0

    private static let pairs = 4
    private static let burst = 4
    private static let pauseNanoseconds: UInt64 = 8_000_000

    init(_ database: Database, _ number: Int, _ history: History) {
      (self.database, self.number, self.history) = (database, number, history)
    }

    static func key(_ index: Int) -> String { "shared/\(index)" }

    /// Now and then: what is written down has to be sorted, too.
    var isDue: Bool { History.now() >= due }

    mutating func write(_ random: inout PeerRandom) throws(SiltstoneError) {
      for _ in 0..<Contention.burst {
        let key = Int(random.next() % UInt64(Contention.pairs)) * 2
        let value = History.now() << 3 | UInt64(number)
        var batch = WriteBatch()
        try batch.put(Contention.key(key), "\(value)")
        try batch.put(Contention.key(key + 1), "\(value)")
        let (first, second) = (
          history.begin(key: key, isWrite: true, value: value), history.begin(key: key + 1, isWrite: true, value: value)
        )
        guard let first, let second else { return }
        try database.write(batch, durability: random.next() % 16 == 0 ? .synced : .staged)
        let end = History.now()
        history.end(first, at: end, value: value)
        history.end(second, at: end, value: value)
      }
      due = History.now() + Contention.pauseNanoseconds
    }

    mutating func read(_ random: inout PeerRandom) throws(SiltstoneError) {
      for _ in 0..<Contention.burst {
        let pair = Int(random.next() % UInt64(Contention.pairs)) * 2
        let way = random.next() % 4
        let keys = way < 2 ? [pair + Int(way)] : [pair, pair + 1]
        var records: [Int] = []
        for key in keys { if let record = history.begin(key: key, isWrite: false) { records.append(record) } }
        if records.count < keys.count { return }
        var found: [[UInt8]?] = []
        switch way {
        case 2: found = try database.multiGet(keys.map(Contention.key))
        case 3:
          let snapshot = try database.snapshot()
          for key in keys { found.append(try snapshot.get(Contention.key(key))) }
          snapshot.close()
        default: found.append(try database.get(Contention.key(pair + Int(way))))
        }
        let end = History.now()
        let values = found.map { $0.flatMap { UInt64(String(decoding: $0, as: UTF8.self)) } ?? 0 }
        if Set(values).count > 1 { Peer.fail("reader \(number): a batch in parts: \(keys) are \(values)") }
        for (record, value) in zip(records, values) { history.end(record, at: end, value: value) }
      }
      due = History.now() + Contention.pauseNanoseconds
    }
  }
#endif
