import CDeaths
import CSupport
import Foundation
import Synchronization
import Testing

@testable import Siltstone

/// The locks between processes: their owners and those who wait for them die, in whatever namespace they live.
@Suite(.serialized) struct SharedLockTests {
  private func withRoom(_ body: (OpaquePointer) throws -> Void) throws {
    let room = try #require(make_room())
    defer { free_room(room) }
    try body(room)
  }

  /// After each instruction between the first lock and the last that changes anything; or after each one.
  @Test(arguments: 0..<DEED_COUNT.rawValue) func deathAtEachInstruction(_ number: UInt32) throws {
    try withRoom { room in
      let deaths = die_at_each_instruction(room, deed(number), StressTests.seconds > 5)
      guard deaths.count >= 0 else { return print("skipped: this process may not trace a child") }
      #expect(deaths.count > 4 && deaths.holding > 0)
      #expect(deaths.wrong == 0, "at the last of \(deaths.count)")
    }
  }

  @Test func aWaiterWithTheOwnersIdMayDie() throws {
    try withRoom { room in
      let outcome = wait_with_the_owners_id(room, 40)
      if outcome < 0 { return print("skipped: this process may not make PID namespaces") }
      #expect(outcome == 0)
    }
  }

  @Test func countsAreWholeWhateverIsKilled() throws {
    try withRoom { room in #expect(count_and_die(room, 3, 60) == 0) }
  }

  @Test func aRobustMutexBesideItIsMarkedToo() throws {
    try withRoom { room in #expect(dies_with_a_mutex_too(room)) }
  }

  /// More threads than there are owner words; they come and go.
  @Test func anyNumberOfThreads() throws {
    let fixture = try SharedFixture()
    let shared = fixture.first.shared
    let count = Atomic(0)
    let inside = Atomic(0)
    for _ in 0..<3 {
      let threads = try (0..<64).map { _ in
        try BackgroundThread("locker") {
          for _ in 0..<200 {
            #expect((try? shared.acquire(.commit)) == false)
            let nested = (try? shared.tryAcquire(.drain)) == false
            #expect(nested && inside.exchange(1, ordering: .relaxed) == 0)
            count.store(count.load(ordering: .relaxed) + 1, ordering: .relaxed)
            inside.store(0, ordering: .relaxed)
            shared.release(.drain)
            shared.release(.commit)
          }
        }
      }
      for thread in threads { thread.join() }
    }
    #expect(count.load(ordering: .relaxed) == 3 * 64 * 200)
    try fixture.close()
  }

  @Test func aLockSurvivesItsOwner() throws {
    let fixture = try SharedFixture()
    let shared = fixture.first.shared
    for lock in SharedLock.allCases {
      #expect(try !shared.acquire(lock))
      #expect(fixture.first.processes.locksHeld(by: fixture.first.processes.own) == [lock])
      try BackgroundThread("other") { #expect((try? shared.tryAcquire(lock)) == Bool??.some(nil)) }.join()
      shared.release(lock)
      // A thread that ends with the lock held stands for a process that dies.
      try BackgroundThread("owner") { #expect((try? shared.acquire(lock)) == false) }.join()
      #expect(try shared.acquire(lock))
      shared.release(lock)
      #expect(try shared.tryAcquire(lock) == false, "repaired")
      shared.release(lock)
    }
    try fixture.close()
  }

  /// A database that is opened again in the same run of the machine still tells of who died with a lock.
  @Test func aNewLifeKeepsTheLocks() throws {
    let fixture = try SharedFixture()
    let shared = fixture.first.shared
    try BackgroundThread("owner") { #expect((try? shared.acquire(.drain)) == false) }.join()
    let attached = csup_load32(shared.words.processes)
    csup_shared_reset(shared.header, true)
    #expect(csup_load32(shared.words.processes) == attached)
    #expect(try shared.acquire(.drain))
    shared.release(.drain)
    // But not what nobody can have left, nor anything of another run of the machine.
    csup_store(&shared.words.manifestLock.pointee.word, .max)
    csup_shared_reset(shared.header, true)
    #expect(try !shared.acquire(.manifest))
    csup_shared_reset(shared.header, true)
    #expect(shared.holder(of: .manifest) != nil, "a thread is at it")
    shared.release(.manifest)
    csup_shared_reset(shared.header, false)
    #expect(try !shared.acquire(.drain))
    shared.release(.drain)
    try fixture.close()
  }

  /// A process has died, and its owner word was not marked: this kernel does not do that, say.
  @Test(arguments: [false, true]) func theDeadAreFoundWithoutTheKernelsMark(isTrying: Bool) throws {
    let fixture = try SharedFixture()
    let shared = fixture.first.shared
    var other: SharedParts? = try fixture.join()
    let locker = try #require(other).shared.locker.pointee
    let index = locker.seat * UInt32(CSUP_LOCK_OWNERS)
    csup_store(&locker.owners[Int(index)].word, UInt64(locker.number) << 32 | 77)
    csup_store(&shared.words.drainLock.pointee.word, UInt64(locker.number) << 32 | UInt64(index + 1))
    for _ in 0..<200 { #expect(try shared.tryAcquire(.drain) == nil, "its process lives") }
    other = nil
    if isTrying {
      var outcome: Bool?
      for _ in 0..<200 where outcome == nil { outcome = try shared.tryAcquire(.drain) }
      #expect(outcome == true)
    } else {
      #expect(try shared.acquire(.drain))
    }
    shared.release(.drain)
    try fixture.close()
  }

  /// Whatever stands in a lock's word or an owner's, nobody waits for ever without an error, and nothing wild is read.
  @Test func wordsThatNobodyHasWritten() throws {
    try withRoom { room in
      var locker = sit_down(room, 4)
      let lock = room_lock(room, 0)!
      let number = UInt64(locker.number) << 32
      let own = UInt64(locker.seat) * UInt64(CSUP_LOCK_OWNERS) + 1
      let last = UInt64(CSUP_LOCK_SEATS * CSUP_LOCK_OWNERS)
      for word in [
        number | last + 1, number | 0x7FFF_FFFF, number | 0xFFFF_FFFF, number | 1 << 31, own, last, .max, 1 << 63,
        number + 1 << 32 | own, number | own + UInt64(CSUP_LOCK_OWNERS), number | own,
      ] {
        csup_store(&lock.pointee.word, word)
        if word != number | own { #expect(csup_lock_try(&locker, lock) == CSUP_LOCK_BROKEN, "\(word)") }
        #expect(csup_lock_acquire(&locker, lock) == CSUP_LOCK_BROKEN, "\(word)")
      }
      // Who holds the lock while that happens gives back only what is its own.
      csup_store(&lock.pointee.word, 0)
      #expect(csup_lock_acquire(&locker, lock) == CSUP_LOCK_OK)
      csup_store(&lock.pointee.word, number + 5 << 32 | own)
      csup_lock_release(&locker, lock)
      #expect(csup_load(&lock.pointee.word) == number + 5 << 32 | own)
    }
  }
}
