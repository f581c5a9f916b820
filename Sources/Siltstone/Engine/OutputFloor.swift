internal import CSupport
internal import Synchronization

/// Tells other processes which tables this one may be writing: none below a number in its slot. A file below every
/// living process's number that no edit names is one that a dead process left.
final class OutputFloor: Sendable {
  private let shared: SharedState
  private let processes: ProcessTable
  private let begun = Mutex<[UInt64: Int]>([:])

  init(shared: SharedState, processes: ProcessTable) {
    self.shared = shared
    self.processes = processes
  }

  /// One job's outputs. They count as being written from when this is made until the last reference goes.
  final class Hold: Sendable {
    private let floor: OutputFloor
    fileprivate let number: UInt64
    fileprivate init(_ floor: OutputFloor, _ number: UInt64) {
      self.floor = floor
      self.number = number
    }
    deinit { floor.end(number) }
  }

  /// REQUIRES: called before the first number is taken.
  func begin() -> Hold {
    begun.withLock { begun in
      // Whatever number is taken after this is no smaller.
      let number = csup_load(shared.words.nextTable)
      begun[number, default: 0] += 1
      publish(begun)
      csup_fence()
      return Hold(self, number)
    }
  }

  private func end(_ number: UInt64) {
    if processes.isInherited { return }
    begun.withLock { begun in
      guard let count = begun[number] else { preconditionFailure("a hold ends once") }
      begun[number] = count == 1 ? nil : count - 1
      publish(begun)
    }
  }

  private func publish(_ begun: [UInt64: Int]) {
    processes.withOwnSlot { csup_store($0.pointer(to: \.table_floor), begun.keys.min() ?? 0) }
  }
}
