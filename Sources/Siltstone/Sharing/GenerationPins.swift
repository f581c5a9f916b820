internal import CSupport
internal import Synchronization

/// The generations that this process still reads from, published in its slot: what was named in one of them is neither
/// recycled nor deleted, by whatever process.
///
/// The order that makes it safe: a pin is stored, then the generation is looked at again. If it did not move, whoever
/// takes something away in a later generation looks at the pins after that, and finds this one.
final class GenerationPins: Sendable {
  /// Generations that share one word of the slot; nearly always there is one.
  private struct Hold {
    var low: UInt64
    var high: UInt64
    var counts: [UInt64: Int]
  }
  private struct State {
    var holds: [Hold?] = Array(repeating: nil, count: Int(CSUP_SHARED_PINS))
    /// The slot is given back with the last pin, and no other pin is made.
    var isEnding = false
    var isOver: Bool { isEnding && holds.allSatisfy { $0 == nil } }
  }
  private let state = Mutex(State())
  /// Nil if nobody else looks.
  private let processes: ProcessTable?
  /// For a process that may not write: it marks what it pins.
  private let marks: (any FileMarks)?

  private static let spanBits: UInt64 = 16
  static let maxSpan: UInt64 = (1 << spanBits) - 1

  init(_ processes: ProcessTable?, marks: (any FileMarks)? = nil) {
    self.processes = processes
    self.marks = marks
  }

  /// Pins the present generation. Throws `.closed` after `end`, and what `FileMarks.set` throws: a pin that nobody
  /// could see would keep nothing.
  func pinCurrent(_ generation: () -> UInt64) throws(SiltstoneError) -> GenerationPin {
    while true {
      let now = generation()
      let pin = try hold(now)
      csup_fence()
      if generation() == now { return pin }
    }
  }

  /// Pins a generation that another pin holds already, or that the caller will look at again.
  func hold(_ generation: UInt64) throws(SiltstoneError) -> GenerationPin {
    try state.withLock { (state) throws(SiltstoneError) in
      if state.isEnding { throw SiltstoneError(.closed, "the database was closed") }
      let index = GenerationPins.place(of: generation, in: state.holds)
      var hold = state.holds[index] ?? Hold(low: generation, high: generation, counts: [:])
      if hold.counts[generation] == nil { try marks?.set(SharedState.LockByte.generations + generation, true) }
      hold.low = min(hold.low, generation)
      hold.high = max(hold.high, generation)
      hold.counts[generation, default: 0] += 1
      state.holds[index] = hold
      publish(hold, index)
    }
    return GenerationPin(generation, self)
  }

  /// The word that holds it already, a free one, or else the one that must stretch least.
  private static func place(of generation: UInt64, in holds: [Hold?]) -> Int {
    if let index = holds.firstIndex(where: { $0.map { $0.low...$0.high ~= generation } ?? false }) { return index }
    if let index = holds.firstIndex(where: { $0 == nil }) { return index }
    func stretch(_ hold: Hold) -> UInt64 {
      max(hold.high, generation) - min(hold.low, generation) - (hold.high - hold.low)
    }
    return holds.indices.min { stretch(holds[$0]!) < stretch(holds[$1]!) }!
  }

  private func publish(_ hold: Hold?, _ index: Int) {
    var word: UInt64 = 0
    // A span that the word cannot say begins at 0 instead: too much is pinned, never too little.
    if let hold {
      let span = hold.high - hold.low
      word = hold.low << GenerationPins.spanBits | min(span, GenerationPins.maxSpan)
    }
    processes?.withOwnSlot { csup_store(csup_pin_at($0, index), word) }
  }

  /// Gives the slot back as soon as nothing is pinned: now, or when the last cursor or read that is under way lets go.
  func end() {
    let isOver = state.withLock { state in
      state.isEnding = true
      return state.isOver
    }
    if isOver { processes?.leave() }
  }

  fileprivate func release(_ generation: UInt64) {
    if let processes, processes.isInherited { return }
    let isOver = state.withLock { state in
      guard let index = state.holds.firstIndex(where: { $0?.counts[generation] != nil }),
        var hold = state.holds[index], let count = hold.counts[generation]
      else { preconditionFailure("a pin is released once") }
      hold.counts[generation] = count == 1 ? nil : count - 1
      state.holds[index] = hold.counts.isEmpty ? nil : hold
      if hold.counts.isEmpty { publish(nil, index) }
      // A mark that cannot be taken back keeps too much, and goes with the process.
      if count == 1 { try? marks?.set(SharedState.LockByte.generations + generation, false) }
      return state.isOver
    }
    if isOver { processes?.leave() }
  }

  /// Whether this process holds one of them.
  func holds(any generations: Range<UInt64>) -> Bool {
    state.withLock { state in
      state.holds.contains { hold in
        hold.map { $0.low < generations.upperBound && $0.high >= generations.lowerBound } ?? false
      }
    }
  }

  /// Whether a slot's word, as `publish` writes it, holds one of them. A span that is at its limit may be longer.
  static func word(_ word: UInt64, holds generations: Range<UInt64>) -> Bool {
    if word == 0 { return false }
    let (low, span) = (word >> spanBits, word & maxSpan)
    return low < generations.upperBound && (span == maxSpan || low + span >= generations.lowerBound)
  }

  /// The generation at which a word begins, and so the oldest that it holds.
  static func oldest(_ word: UInt64) -> UInt64? { word == 0 ? nil : word >> spanBits }
}

/// One pin, until the last reference goes.
final class GenerationPin: Sendable {
  let generation: UInt64
  private let pins: GenerationPins?

  fileprivate init(_ generation: UInt64, _ pins: GenerationPins) {
    self.generation = generation
    self.pins = pins
  }

  /// Remembers the generation, and keeps nothing.
  init(unpinned generation: UInt64) {
    self.generation = generation
    pins = nil
  }

  deinit { pins?.release(generation) }
}
