internal import CSupport

extension MicroBenchmark {
  private static let valueBytes = 100
  private static let arenaBytes = 64 << 20

  /// The skip list: entries of 16 and 100 bytes.
  static var memtable: [MicroBenchmark] {
    [
      MicroBenchmark("memtable insert, random", "into a list that grows from nothing", iterations: 100_000) {
        try insertLoop(KeyList(2 * $0, shuffledBy: 1))
      },
      MicroBenchmark("memtable insert, sequential", "into a list that grows from nothing", iterations: 100_000) {
        try insertLoop(KeyList(2 * $0))
      },
      MicroBenchmark("memtable get, random", "of 200,000 keys, all there", iterations: 100_000) { _ in
        let keys = KeyList(200_000, shuffledBy: 2)
        let list = try filled(keys)
        let wanted = KeyList(200_000, shuffledBy: 3)
        return Loop { count in
          for index in 0..<count {
            consume(try list.get(wanted[index % wanted.count], snapshot: 1 << 40)?.value.count ?? 0)
          }
        }
      },
      MicroBenchmark("memtable get, absent", "keys between the 200,000 that are there", iterations: 100_000) { _ in
        let list = try filled(KeyList(200_000, shuffledBy: 2))
        let wanted = KeyList(200_000, first: 1, shuffledBy: 3)
        return Loop { count in
          for index in 0..<count {
            consume(try list.get(wanted[index % wanted.count], snapshot: 1 << 40) == nil ? 1 : 0)
          }
        }
      },
      MicroBenchmark("memtable seek, random", "a cursor, among 200,000 keys", iterations: 100_000) { _ in
        let list = try filled(KeyList(200_000, shuffledBy: 2))
        let wanted = KeyList(200_000, first: 1, shuffledBy: 3)
        return Loop { count in
          var cursor = MemtableCursor(list)
          for index in 0..<count {
            try cursor.seek(wanted[index % wanted.count], .newest)
            if cursor.isValid { consume(cursor.key.count) }
          }
        }
      },
      MicroBenchmark("memtable scan", "an entry of 200,000, in order", iterations: 200_000) { _ in
        let list = try filled(KeyList(200_000, shuffledBy: 2))
        return Loop { count in
          var cursor = MemtableCursor(list)
          for _ in 0..<count {
            if !cursor.isValid { try cursor.seekToFirst() }
            consume(cursor.key[0])
            try cursor.next()
          }
        }
      },
    ]
  }

  private static func insertLoop(_ keys: KeyList) throws -> Loop {
    // The arena is faulted in before the first repetition, and recycled, as the engine's are.
    let arena = try AnonymousMemory(sizeBytes: arenaBytes)
    arena.populate(upTo: arenaBytes)
    let values = ValueBytes(64 << 10)
    var list: Memtable?
    return Loop {
      list = Memtable(arena, firstPosition: 1)
    } run: { count in
      guard let list else { return }
      for index in 0..<count {
        let value = values.slice(index & 0x7FFF, valueBytes)
        if !list.insert(keys[index], KeyTrailer(UInt64(index), .put), value) { fatalError("the arena is full") }
      }
    }
  }

  private static func filled(_ keys: KeyList) throws -> Memtable {
    let list = Memtable(try AnonymousMemory(sizeBytes: arenaBytes), firstPosition: 1)
    let values = ValueBytes(64 << 10)
    for index in 0..<keys.count {
      let value = values.slice(index & 0x7FFF, valueBytes)
      if !list.insert(keys[index], KeyTrailer(UInt64(index), .put), value) { fatalError("the arena is full") }
    }
    return list
  }
}

@inline(__always)
private func consume(_ value: UInt8) { consume(UInt64(value)) }
