internal import Synchronization

/// The memory of all memtables: a fixed number of equal arenas, faulted in once and recycled for life.
///
/// The first touch of fresh memory can cost more than the insert that does the touching, so an arena is never given
/// back to the system while the database is open. Thread-safe.
final class MemtableArenaPool: Sendable {
  let arenaBytes: Int
  /// How many arenas of the usual size may be in use at once: one that fills, and the ones that wait for the flush.
  let limit: Int
  private struct State {
    var free: [AnonymousMemory] = []
    var inUseCount = 0
    /// All memory handed out or kept, oversized arenas included.
    var totalBytes = 0
  }
  private let state = Mutex(State())

  init(arenaBytes: Int, limit: Int) {
    precondition(limit >= 2, "one memtable must be able to fill while another is flushed")
    self.arenaBytes = arenaBytes
    self.limit = limit
  }

  /// Bytes mapped for memtables now, used or not.
  var totalBytes: Int { state.withLock { $0.totalBytes } }

  /// A memtable with at least `minimumBytes`, or nil while all arenas are taken. A batch larger than a usual arena
  /// gets one of its own, which goes back to the system afterwards.
  func makeMemtable(
    firstPosition: LogPosition, commonPrefix: [UInt8], minimumBytes: Int = 0, ignoringLimit: Bool = false
  ) throws(SiltstoneError) -> Memtable? {
    let sizeBytes = max(arenaBytes, StorageAlignment.roundUp(minimumBytes))
    let recycled: AnonymousMemory?? = state.withLock { state in
      if state.inUseCount >= limit && !ignoringLimit { return .none }
      state.inUseCount += 1
      if sizeBytes == arenaBytes, let arena = state.free.popLast() { return .some(arena) }
      state.totalBytes += sizeBytes
      return .some(nil)
    }
    guard let recycled else { return nil }
    if let recycled { return memtable(recycled, firstPosition, commonPrefix) }
    do throws(SiltstoneError) {
      return memtable(try AnonymousMemory(sizeBytes: sizeBytes), firstPosition, commonPrefix)
    } catch {
      state.withLock { state in
        state.inUseCount -= 1
        state.totalBytes -= sizeBytes
      }
      throw error
    }
  }

  private func memtable(_ arena: AnonymousMemory, _ firstPosition: LogPosition, _ commonPrefix: [UInt8]) -> Memtable {
    Memtable(arena: arena, pool: self, firstPosition: firstPosition, commonPrefix: commonPrefix)
  }

  /// Makes sure that a free arena stands ready, faulted in, if the limit allows another. One caller at a time. Without
  /// memory there is none, and the writer that needs it will be told.
  func prepareSpare() {
    let spare: AnonymousMemory?? = state.withLock { state in
      if let spare = state.free.last { return .some(spare) }
      return state.inUseCount < limit ? .some(nil) : .none
    }
    guard let spare else { return }
    if let spare { return spare.populate(upTo: arenaBytes) }
    do throws(SiltstoneError) {
      let arena = try AnonymousMemory(sizeBytes: arenaBytes)
      state.withLock { state in
        state.free.append(arena)
        state.totalBytes += arenaBytes
      }
      arena.populate(upTo: arenaBytes)
    } catch {}
  }

  /// Called by a memtable that nobody refers to any more.
  func recycle(_ arena: AnonymousMemory) {
    state.withLock { state in
      state.inUseCount -= 1
      if arena.sizeBytes == arenaBytes && state.free.count < limit {
        state.free.append(arena)
      } else {
        state.totalBytes -= arena.sizeBytes
      }
    }
  }
}
