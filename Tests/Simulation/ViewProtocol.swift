/// The protocol by which arenas are rotated, flushed, recycled and read, as a state machine for a few processes, each
/// of whose steps is one access to shared memory, and each of which may die between any two of them.
///
/// Memtable number n holds entry n. The manifest is the number of the newest memtable that it has. See SharedState.md
/// for what the steps are in life.
struct ViewProtocol {
  /// What may be left out or done in the wrong order, to see that the model notices.
  enum Mutation { case none, pinWithoutALook, recycleWithoutALook, noLookAtTheEnd }

  struct Arena {
    /// 0 free, 1 claimed, 2 live.
    var state = 0
    var serial = 0
    var born = 0
    var retired = 0
    /// Which memtable's entries it has.
    var holds = 0
  }

  // Shared.
  var generation = 2
  var end = 0
  var flushed = 0
  var active = 1
  var published = 1
  var arenas: [Arena]
  var manifestLock = 0  // 0 free, else who has it
  var pin = 0

  // The committer: where it is, and in which arena.
  var committer = 0
  var claimed = 0
  // The flusher.
  var flusher = 0
  var flushing = 0
  // The recycler: what it looks at.
  var recycler = 0
  var candidate = 0
  /// 0 not looked yet, 1 free, 2 held.
  var wasHeld = 0
  var interval = 0..<0
  // The reader: what it has seen so far, and then its view.
  var reader = 0
  var mustSee = 0
  var seenGeneration = 0
  var seenFlushed = 0
  var seenActive = 0
  var seenEnd = 0
  var view: [Int] = []  // serials, by place; 0 for none
  var deaths = 0

  /// How many memtables there will ever be, and how many deaths.
  let lastSerial: Int
  let maxDeaths: Int

  init(arenas: Int, lastSerial: Int, maxDeaths: Int) {
    self.lastSerial = lastSerial
    self.maxDeaths = maxDeaths
    self.arenas = Array(repeating: Arena(), count: arenas)
    self.arenas[0] = Arena(state: 2, serial: 1, born: 2, retired: 0, holds: 1)
  }

  /// All of it in few bits: what states are told apart by.
  struct Key: Hashable {
    var arenas: UInt128
    var rest: UInt128
  }
  var key: Key {
    var key: UInt128 = 0
    func put(_ value: Int, _ bits: Int) {
      assert(value >= 0 && value < 1 << bits)
      key = key << UInt128(bits) | UInt128(value)
    }
    for arena in arenas {
      put(arena.state, 2)
      put(arena.serial, 3)
      put(arena.born, 4)
      put(arena.retired, 4)
      put(arena.holds, 3)
    }
    let arenaKey = key
    key = 0
    for (value, bits) in [
      (generation, 4), (end, 3), (flushed, 3), (active, 3), (published, 3), (manifestLock, 1), (pin, 4),
      (committer, 3), (claimed, 2), (flusher, 3), (flushing, 3), (recycler, 3), (candidate, 2),
      (interval.lowerBound, 4), (interval.upperBound, 4), (wasHeld, 2), (reader, 4), (mustSee, 3), (seenGeneration, 4),
      (seenFlushed, 3), (seenActive, 3), (seenEnd, 3), (deaths, 1),
    ] {
      put(value, bits)
    }
    // Which arenas the view names; the serials follow from when it was taken.
    for index in arenas.indices { put(index < view.count ? view[index] : 0, 3) }
    return Key(arenas: arenaKey, rest: key)
  }

  /// What is wrong with the state, if anything.
  var violation: String? {
    guard reader == 8 else { return nil }
    for (index, serial) in view.enumerated()
    where serial != 0 && (arenas[index].holds != serial || arenas[index].state != 2) {
      return "memtable \(serial) of the view was recycled"
    }
    for serial in 1...max(1, mustSee) where mustSee > 0 && serial > seenEnd && !view.contains(serial) {
      return "entry \(serial), acknowledged before the look, is neither in the view's tables nor in its memtables"
    }
    return nil
  }

  func successors(_ mutation: Mutation) -> [ViewProtocol] {
    var next: [ViewProtocol] = []
    func add(_ body: (inout ViewProtocol) -> Void) {
      var copy = self
      body(&copy)
      next.append(copy)
    }
    commit(add)
    flush(add)
    recycle(mutation, add)
    look(mutation, add)
    if deaths < maxDeaths { die(add) }
    return next
  }

  private typealias Add = ((inout ViewProtocol) -> Void) -> Void

  /// The commit lock is the committer's, or that of its successor.
  private func commit(_ add: Add) {
    switch committer {
    case 0 where active < lastSerial:
      // What an owner that died has left is undone first.
      if let stale = arenas.firstIndex(where: { $0.state == 1 || $0.state == 2 && $0.serial > active }) {
        return add { $0.arenas[stale].state = 0 }
      }
      if let index = arenas.firstIndex(where: { $0.state == 0 }) {
        add {
          $0.arenas[index].state = 1
          $0.arenas[index].holds = active + 1  // made anew: what it held is gone
          $0.claimed = index
          $0.committer = 2
        }
      }
    case 2:
      add {
        $0.arenas[claimed] = Arena(
          state: 2, serial: active + 1, born: generation, retired: 0, holds: active + 1)
        $0.committer = 3
      }
    case 3:
      add {
        $0.active = arenas[claimed].serial
        $0.committer = 4
      }
    case 4:
      add {
        $0.published = active
        $0.committer = 0
      }
    default: break
    }
  }

  private func flush(_ add: Add) {
    switch flusher {
    case 0 where manifestLock == 0:
      add {
        $0.manifestLock = 1
        $0.flusher = 1
      }
    case 1:
      if generation & 1 == 1 {  // its last holder died here: what is shown is finished
        return add {
          $0.flushed = max(flushed, end)
          $0.retire(generation + 1)
          $0.generation += 1
        }
      }
      if max(flushed, end) + 1 < active {
        add {
          $0.flushing = max(flushed, end) + 1
          $0.generation += 1
          $0.flusher = 2
        }
      }
      add {
        $0.manifestLock = 0
        $0.flusher = 0
      }
    case 2:
      add {
        $0.end = flushing
        $0.flusher = 3
      }
    case 3:
      add {
        $0.flushed = flushing
        $0.flusher = 4
      }
    case 4:
      add {
        $0.retire(generation + 1)
        $0.flusher = 5
      }
    case 5:
      add {
        $0.generation += 1
        $0.flusher = 1
      }
    default: break
    }
  }

  private mutating func retire(_ generation: Int) {
    for index in arenas.indices where arenas[index].state == 2 && arenas[index].serial <= flushed {
      if arenas[index].retired == 0 { arenas[index].retired = generation }
    }
  }

  private func recycle(_ mutation: Mutation, _ add: Add) {
    switch recycler {
    case 0:
      for (index, arena) in arenas.enumerated()
      where arena.state == 2 && arena.serial <= flushed && arena.retired != 0 {
        add {
          $0.candidate = index
          $0.interval = arena.born..<arena.retired
          $0.recycler = arena.serial  // remembered, as the word that is compared remembers it
        }
      }
    default:
      if wasHeld == 0 {
        let isHeld = pin != 0 && interval.contains(pin) && mutation != .recycleWithoutALook
        return add { $0.wasHeld = isHeld ? 2 : 1 }
      }
      add {
        let arena = arenas[candidate]
        if wasHeld == 1, arena.state == 2, arena.serial == recycler { $0.arenas[candidate].state = 0 }
        $0.stopRecycling()
      }
    }
  }

  private mutating func stopRecycling() { (recycler, candidate, wasHeld, interval) = (0, 0, 0, 0..<0) }

  private func look(_ mutation: Mutation, _ add: Add) {
    switch reader {
    case 0:
      add {
        $0.mustSee = published
        $0.seenGeneration = generation
        $0.reader = 1
      }
    case 1:
      add {
        $0.pin = seenGeneration
        $0.reader = mutation == .pinWithoutALook ? 3 : 2
      }
    case 2:
      add {
        $0.reader = generation == seenGeneration ? 3 : 0
        if generation != seenGeneration { $0.pin = 0 }
      }
    case 3:
      add {
        $0.seenFlushed = flushed
        $0.reader = 4
      }
    case 4:
      add {
        $0.seenEnd = end
        $0.reader = 5
      }
    case 5:
      add {
        $0.seenActive = active
        $0.reader = 6
      }
    case 6:
      add {
        $0.view = arenas.map { $0.state == 2 && $0.serial > seenFlushed && $0.serial <= seenActive ? $0.serial : 0 }
        let isWhole = $0.view.count { $0 != 0 } == seenActive - seenFlushed
        $0.reader = isWhole ? 7 : 0
        if !isWhole { $0.forget() }
      }
    case 7:
      add {
        let isCurrent =
          mutation == .noLookAtTheEnd || mutation == .pinWithoutALook
          || generation == seenGeneration && generation & 1 == 0
        $0.reader = isCurrent ? 8 : 0
        if !isCurrent { $0.forget() }
      }
    default: break  // and so it is held for ever
    }
  }

  private mutating func forget() {
    (pin, view, mustSee, seenGeneration, seenFlushed, seenActive, seenEnd) = (0, [], 0, 0, 0, 0, 0)
  }

  /// Each process may die; another takes its place, and the locks that the dead one held are free.
  private func die(_ add: Add) {
    if committer != 0 {
      add {
        $0.committer = 0
        // What is active is real, and what was to be put into it is in the ring: the successor inserts it.
        $0.published = active
        $0.deaths += 1
      }
    }
    if flusher != 0 {
      add {
        $0.flusher = 0
        $0.manifestLock = 0
        $0.deaths += 1
      }
    }
    if recycler != 0 {
      add {
        $0.stopRecycling()
        $0.deaths += 1
      }
    }
  }
}
