internal import CSupport

extension MicroBenchmark {
  private static let blockBytes = 16 << 10
  private static let valueBytes = 100

  /// A sealed block of these keys, each with a value of 100 bytes.
  private static func block(_ keys: KeyList, firstSequence: UInt64 = 0) -> [UInt8] {
    let values = ValueBytes(64 << 10)
    var builder = BlockBuilder(restartInterval: BlockView.dataRestartInterval, expectedBytes: keys.count * 128)
    for index in 0..<keys.count {
      let value = values.slice(index & 0x7FFF, valueBytes)
      builder.add(keys[index], KeyTrailer(firstSequence + UInt64(index), .put), value)
    }
    builder.seal()
    return builder.keyArea.copied() + builder.valueArea.copied() + builder.tailArea.copied()
  }

  static var blocks: [MicroBenchmark] {
    let perBlock = blockBytes / 116
    return [
      MicroBenchmark("block search", "a random key in a block of 16 KiB", iterations: 100_000) { _ in
        let source = BlockSource(block(KeyList(perBlock)))
        let wanted = KeyList(2 * perBlock, spacing: 1, shuffledBy: 4)
        return Loop { count in
          for index in 0..<count {
            if case .found(let entry) = source.view.search(wanted[index % wanted.count], .newest) {
              consume(entry.offset)
            }
          }
        }
      },
      MicroBenchmark("block scan", "an entry, in order, its key rebuilt", iterations: 500_000) { _ in
        let bytes = block(KeyList(perBlock))
        return Loop { count in
          var source = BlockSource(bytes)
          for _ in 0..<count {
            if !source.isValid { source.seekToFirst() }
            consume(source.key.count &+ source.value.count)
            source.next()
          }
        }
      },
      MicroBenchmark("block build", "an entry, in blocks of 16 KiB", iterations: 200_000) { iterations in
        let keys = KeyList(2 * iterations)
        let values = ValueBytes(64 << 10)
        return Loop { count in
          var builder = BlockBuilder(restartInterval: BlockView.dataRestartInterval, expectedBytes: 2 * blockBytes)
          for index in 0..<count {
            builder.add(keys[index], KeyTrailer(UInt64(index), .put), values.slice(index & 0x7FFF, valueBytes))
            if builder.sizeBytes >= blockBytes {
              builder.seal()
              consume(builder.sealedBytes)
              builder.reset()
            }
          }
        }
      },
    ]
  }

  /// Runs whose keys take turns at random, merged as a compaction does.
  static var merges: [MicroBenchmark] {
    [2, 4, 8].map { runs in
      MicroBenchmark("merge of \(runs) runs", "an entry", iterations: 160_000) { iterations in
        let total = 2 * iterations
        var noise = Noise(seed: 5)
        var numbers = [[Int]](repeating: [], count: runs)
        for number in 0..<total { numbers[noise.next(below: runs)].append(number) }
        let all = KeyList(total)
        let blocks = numbers.map { numbers in block(KeyList(picking: numbers, of: all)) }
        return Loop { count in
          let sources = UnsafeMutablePointer<BlockSource>.allocate(capacity: runs)
          for (index, bytes) in blocks.enumerated() { (sources + index).initialize(to: BlockSource(bytes)) }
          var merge = MergingCursor(taking: sources, count: runs)
          try merge.seekToFirst()
          for _ in 0..<count where merge.isValid {
            consume(merge.key.count &+ merge.value.count)
            try merge.next()
          }
        }
      }
    }
  }

  static var filters: [MicroBenchmark] {
    let keyCount = 100_000
    func filter() -> [UInt8] {
      let keys = KeyList(keyCount)
      var builder = FilterBuilder(bitsPerKey: 10)
      for index in 0..<keys.count { builder.add(keys[index]) }
      return builder.finish()!.copied()
    }
    func probe(_ name: String, first: UInt64) -> MicroBenchmark {
      MicroBenchmark(name, "10 bits a key, the key's hash included", iterations: 200_000) { _ in
        let bytes = ImmortalBytes(filter())
        let partition = FilterPartition(bytes.view)!
        let wanted = KeyList(keyCount, first: first, shuffledBy: 6)
        return Loop { count in
          for index in 0..<count { consume(partition.mayContain(KeyHash.of(wanted[index % wanted.count])) ? 1 : 0) }
        }
      }
    }
    return [
      probe("filter probe, present", first: 0),
      probe("filter probe, absent", first: 1),
      MicroBenchmark("filter build", "a key, in filters of 20,000", iterations: 100_000) { iterations in
        let keys = KeyList(2 * iterations)
        return Loop { count in
          var builder = FilterBuilder(bitsPerKey: 10)
          for index in 0..<count {
            builder.add(keys[index])
            if index % 20_000 == 19_999 { consume(builder.finish()?.count ?? 0) }
          }
        }
      },
    ]
  }

  /// On whole blocks of values that a fast codec halves.
  static var codecs: [MicroBenchmark] {
    [(Compression.lz4, "lz4"), (.snappy, "snappy"), (.zstd, "zstd")].flatMap { codec, title in
      let raw = ValueBytes(4 * blockBytes)
      return [
        MicroBenchmark("\(title) compress, 16 KiB", iterations: 500) { _ in
          var output = ByteBuffer(capacityBytes: 2 * blockBytes)
          return Loop { count in
            for index in 0..<count {
              output.removeAll()
              consume(codec.compress(raw.slice(index & 0xFF &* 64, blockBytes), into: &output) ? output.count : 0)
            }
          }
        },
        MicroBenchmark("\(title) decompress, 16 KiB", iterations: 1_000) { _ in
          var output = ByteBuffer(capacityBytes: 2 * blockBytes)
          guard codec.compress(raw.slice(0, blockBytes), into: &output) else { fatalError("incompressible") }
          let stored = ImmortalBytes(output.view.copied())
          let target = AlignedMemory(sizeBytes: blockBytes)
          return Loop { count in
            for _ in 0..<count where !codec.decompress(stored.view, into: target.buffer) { fatalError("damaged") }
          }
        },
      ]
    }
  }
}

extension KeyList {
  /// Some keys of a list, by number.
  fileprivate init(picking numbers: [Int], of all: KeyList) {
    self.init(numbers.count)
    for (index, number) in numbers.enumerated() {
      UnsafeMutableRawPointer(mutating: self[index].base).copyMemory(
        from: all[number].base, byteCount: KeyList.keyBytes)
    }
  }
}

/// Bytes at an address that stays until the process ends.
struct ImmortalBytes {
  let view: ByteView

  init(_ bytes: [UInt8]) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes.count, 1), alignment: 4096)
    bytes.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    view = ByteView(memory, bytes.count)
  }
}

/// One block as a sorted source.
struct BlockSource: ~Copyable, EntryCursor {
  let view: BlockView
  private let memory: UnsafeMutableRawPointer
  private var cursor = BlockCursor()

  init(_ bytes: [UInt8]) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 4096)
    self.memory = memory
    bytes.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    guard let view = BlockView(ByteView(memory, bytes.count)) else { fatalError("not a block") }
    self.view = view
    cursor.reset(to: view)
  }

  deinit { memory.deallocate() }

  @inline(__always) var isValid: Bool { cursor.status == .valid }
  @inline(__always) var key: ByteView { cursor.key }
  @inline(__always) var trailer: KeyTrailer { cursor.trailer }
  @inline(__always) var value: ByteView { cursor.value }
  mutating func seekToFirst() { cursor.seekToFirst() }
  mutating func seekToLast() { cursor.seekToLast() }
  mutating func seek(_ key: ByteView, _ trailer: KeyTrailer) { cursor.seek(key, trailer) }
  mutating func seekBefore(_ key: ByteView, _ trailer: KeyTrailer) {
    cursor.seek(key, trailer)
    if isValid { cursor.previous() } else { cursor.seekToLast() }
  }
  @inline(__always) mutating func next() { cursor.next() }
  mutating func previous() { cursor.previous() }
}
