/// One inner loop. Whatever it does is the same in each run: the data comes from a fixed seed.
struct MicroBenchmark {
  let name: String
  /// What one iteration is, if more than its name says.
  let note: String
  /// Iterations of one repetition; `prepare` makes data enough for twice as many.
  let iterations: Int
  /// Makes what the loop works on. Not measured.
  let prepare: (_ iterations: Int) throws -> Loop

  init(_ name: String, _ note: String = "", iterations: Int, prepare: @escaping (_ iterations: Int) throws -> Loop) {
    self.name = name
    self.note = note
    self.iterations = iterations
    self.prepare = prepare
  }

  struct Loop {
    /// Brings the data back to the state in which each repetition finds it. Not measured.
    var reset: () throws -> Void = {}
    /// Does this many iterations.
    let run: (Int) throws -> Void
  }

  static var all: [MicroBenchmark] {
    memtable + log + checksums + blocks + merges + filters + codecs
  }
}

/// Takes results that nobody needs, so that the optimiser cannot leave out what made them.
nonisolated(unsafe) private var sink: UInt64 = 0

@inline(__always)
func consume(_ value: UInt64) { sink &+= value }

@inline(__always)
func consume(_ value: Int) { sink &+= UInt64(truncatingIfNeeded: value) }

/// Steele, Lea and Flood's SplitMix64.
struct Noise {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word &>> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word &>> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word &>> 31
  }

  mutating func next(below bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }
}

/// Keys of one length, one behind the other.
struct KeyList {
  static let keyBytes = 16
  private let memory: AlignedMemory
  let count: Int

  /// A number in eight bytes, big-endian, and eight more that all keys share: distinct, and in order unless shuffled.
  init(_ count: Int, spacing: UInt64 = 2, first: UInt64 = 0, shuffledBy seed: UInt64? = nil) {
    self.count = count
    memory = AlignedMemory(sizeBytes: max(count, 1) * KeyList.keyBytes)
    var numbers = (0..<UInt64(count)).map { first + $0 * spacing }
    if let seed {
      var noise = Noise(seed: seed)
      for index in stride(from: count - 1, to: 0, by: -1) { numbers.swapAt(index, noise.next(below: index + 1)) }
    }
    for (index, number) in numbers.enumerated() {
      let place = memory.base + index * KeyList.keyBytes
      place.storeBytes(of: number.bigEndian, as: UInt64.self)
      place.storeBytes(of: 0x3030_3030_3030_3030, toByteOffset: 8, as: UInt64.self)
    }
  }

  @inline(__always)
  subscript(index: Int) -> ByteView { ByteView(memory.base + index &* KeyList.keyBytes, KeyList.keyBytes) }
}

/// Bytes as `db_bench` makes them: each 100 bytes are 50 of noise, twice, so that a fast codec halves them.
struct ValueBytes {
  private let memory: AlignedMemory

  init(_ sizeBytes: Int, seed: UInt64 = 7) {
    memory = AlignedMemory(sizeBytes: sizeBytes)
    var noise = Noise(seed: seed)
    for index in 0..<sizeBytes {
      let isRepeat = index % 100 >= 50
      let byte =
        isRepeat ? memory.base.load(fromByteOffset: index - 50, as: UInt8.self) : UInt8(32 + noise.next(below: 95))
      memory.base.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
    }
  }

  @inline(__always)
  func slice(_ start: Int, _ count: Int) -> ByteView { ByteView(memory.base + start, count) }
}
