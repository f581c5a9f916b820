/// The protocol of the locks between processes, as a state machine for a few of them, each of whose steps is one access
/// to shared memory, and each of which may die between any two of them and come back as another. `csup_lock.h` says
/// what the steps are in life.
struct LockProtocol {
  /// What may be left out or done in the wrong order, to see that the model notices.
  enum Mutation: CaseIterable { case none, pendingLate, ownerFirst, sameNumber, noWaitersAfterSleep }

  /// A lock's word: nobody's if `owner` is 0.
  struct Word: Equatable {
    var owner = 0
    var number = 0
    var waiters = false
  }
  enum Place: Int {
    case load, lookAtOwner, setPending, takeOwner, takeLock, inside, release, wake, giveOwner
    case markWaiters, sleep, asleep, dead
  }
  struct Process {
    var place = Place.load
    var seen = Word()
    var hasSlept = false
    var isPending = false
    var number = 1
    // Its owner word.
    var owns = false
    var died = false
  }

  var processes: [Process]
  var word = Word()
  /// Somebody died inside, and nobody was told yet.
  var isDirty = false
  var deaths = 0
  var violation: String?
  let maxDeaths: Int

  init(processes count: Int, maxDeaths: Int) {
    processes = Array(repeating: Process(), count: count)
    self.maxDeaths = maxDeaths
  }

  /// All of it: what states are told apart by.
  var key: UInt128 {
    var key: UInt128 = 0
    func put(_ value: Int, _ bits: Int) {
      assert(value >= 0 && value < 1 << bits)
      key = key << UInt128(bits) | UInt128(value)
    }
    func put(_ word: Word) {
      put(word.owner, 2)
      put(word.number, 3)
      put(word.waiters ? 1 : 0, 1)
    }
    for process in processes {
      put(process.place.rawValue, 4)
      put(process.seen)
      put(process.number, 3)
      for flag in [process.hasSlept, process.isPending, process.owns, process.died] { put(flag ? 1 : 0, 1) }
    }
    put(word)
    put(isDirty ? 1 : 0, 1)
    put(deaths, 2)
    return key
  }

  /// Whether a waiter may take the lock from the owner that the word names.
  private func isAbandoned(_ word: Word) -> Bool {
    let owner = processes[word.owner - 1]
    return owner.number > word.number || owner.died
  }

  private var isGoingToWake: Bool {
    word.waiters || processes.contains { $0.place == .wake || $0.hasSlept && $0.place != .asleep }
  }

  private mutating func check() {
    if maxDeaths == 0, processes.contains(where: { $0.place == .asleep }), !isGoingToWake {
      violation = "one sleeps, and nobody is going to wake it"
    }
    let inside = processes.indices.filter { [.inside, .release].contains(processes[$0].place) }
    if inside.count > 1 { violation = "two are inside" }
    if word.owner != 0, inside.isEmpty, !isAbandoned(word) { violation = "nobody is inside, and nobody can ever be" }
    if word.owner == 0, !inside.isEmpty { violation = "the lock is free, with somebody inside" }
  }

  func successors(_ mutation: Mutation) -> [LockProtocol] {
    var next: [LockProtocol] = []
    func add(_ body: (inout LockProtocol) -> Void) {
      var copy = self
      body(&copy)
      copy.check()
      next.append(copy)
    }
    for index in processes.indices {
      if processes[index].place == .wake {
        let asleep = processes.indices.filter { processes[$0].place == .asleep }
        for sleeper in asleep { add { $0.wake(sleeper, by: index) } }
        if asleep.isEmpty { add { $0.processes[index].place = .giveOwner } }
      } else if processes[index].place != .asleep || maxDeaths > 0 {  // a sleep has its limit, not relied on there
        add { $0.step(index, mutation) }
      }
      if deaths < maxDeaths, processes[index].place != .dead { add { $0.die(index) } }
    }
    return next
  }

  private mutating func wake(_ sleeper: Int, by index: Int) {
    processes[sleeper].place = .load
    processes[index].place = .giveOwner
  }

  private func mine(_ index: Int) -> Word { Word(owner: index + 1, number: processes[index].number) }

  private mutating func step(_ index: Int, _ mutation: Mutation) {
    var me = processes[index]
    defer { processes[index] = me }
    switch me.place {
    case .load:
      me.seen = word
      me.place = word.owner == 0 ? .setPending : .lookAtOwner
    case .lookAtOwner:
      if isAbandoned(me.seen) { me.place = .setPending } else { me.place = me.seen.waiters ? .sleep : .markWaiters }
    case .setPending:
      me.isPending = mutation != .pendingLate
      me.place = .takeOwner
    case .takeOwner:
      me.owns = true
      me.place = .takeLock
    case .takeLock: takeLock(&me, index, mutation)
    case .inside:
      me.isPending = true
      if mutation == .ownerFirst { me.owns = false }
      me.place = .release
    case .release:
      me.place = word.waiters ? .wake : .giveOwner
      word = Word()
    case .giveOwner:
      // To clear what is pending comes next, which nobody sees.
      (me.owns, me.isPending) = (false, false)
      me.place = .load
    case .markWaiters:
      if word == me.seen { word.waiters = true }
      me.place = word == Word(owner: me.seen.owner, number: me.seen.number, waiters: true) ? .sleep : .load
      me.seen = me.place == .sleep ? word : Word()
    case .sleep:
      me.hasSlept = true
      // The kernel compares half of the word: without the number.
      me.place = word.owner == me.seen.owner && word.waiters ? .asleep : .load
      me.seen = Word()
    case .asleep: me.place = .load
    case .dead:
      me = Process(number: me.number + (mutation == .sameNumber ? 0 : 1))
    case .wake: break
    }
  }

  private mutating func takeLock(_ me: inout Process, _ index: Int, _ mutation: Mutation) {
    guard word == me.seen else {
      me.place = .giveOwner
      me.seen = Word()
      return
    }
    let isTold = me.seen.owner != 0
    if isTold != isDirty { violation = isDirty ? "was not told of a death" : "was told of a death that was none" }
    isDirty = false
    word = mine(index)
    word.waiters = me.seen.waiters || me.hasSlept && mutation != .noWaitersAfterSleep
    (me.seen, me.hasSlept) = (Word(), false)
    me.place = .inside
  }

  /// The kernel looks at the owner word if the thread had said so, and marks it if it bears the thread's id.
  private mutating func die(_ index: Int) {
    if [.inside, .release].contains(processes[index].place) { isDirty = true }
    if processes[index].isPending, processes[index].owns { processes[index].died = true }
    (processes[index].place, processes[index].seen) = (.dead, Word())
    deaths += 1
  }
}
