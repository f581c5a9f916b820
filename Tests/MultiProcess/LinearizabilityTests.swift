import Foundation
import Testing

@Suite struct LinearizabilityTests {
  typealias Operation = Linearizability.Operation

  private func write(_ value: UInt64, _ begin: UInt64, _ end: UInt64) -> Operation {
    Operation(key: 0, isWrite: true, value: value, begin: begin, end: end)
  }
  private func read(_ value: UInt64, _ begin: UInt64, _ end: UInt64) -> Operation {
    Operation(key: 0, isWrite: false, value: value, begin: begin, end: end)
  }
  private func isFine(_ operations: Operation...) -> Bool {
    do { try Linearizability.check(operations) } catch { return false }
    return true
  }

  @Test func whatCanHaveHappenedPasses() {
    #expect(isFine())
    #expect(isFine(read(0, 1, 2), write(1, 3, 4), read(1, 5, 6), write(2, 7, 8), read(2, 9, 10)))
    // While a write is under way, some may see it and others not, if those came first.
    #expect(isFine(write(1, 1, 20), read(0, 2, 4), read(1, 5, 7)))
    // Two writes at once: either may be the later one.
    #expect(isFine(write(1, 1, 9), write(2, 2, 8), read(1, 10, 11)))
    #expect(isFine(write(1, 1, 9), write(2, 2, 8), read(2, 10, 11)))
    #expect(isFine(write(1, 1, 9), write(2, 2, 8), read(1, 3, 5), read(2, 10, 11)))
    // The writer died: later, or never.
    #expect(isFine(write(1, 1, .max), read(0, 5, 6), read(1, 7, 8)))
    #expect(isFine(write(1, 1, .max), read(0, 5, 6), write(2, 7, 8), read(2, 9, 10)))
    #expect(isFine(write(1, 1, .max), write(2, 3, 4), read(2, 5, 6), read(1, 7, 8)))
  }

  @Test func whatCannotIsFound() {
    // An acknowledged write is not seen.
    #expect(!isFine(write(1, 1, 2), read(0, 3, 4)))
    #expect(!isFine(write(1, 1, 2), write(2, 3, 4), read(1, 5, 6)))
    // One reader has seen it, the next has not.
    #expect(!isFine(write(1, 1, 20), read(1, 2, 4), read(0, 5, 7)))
    #expect(!isFine(write(1, 1, .max), read(1, 2, 4), read(0, 5, 7)))
    // Two readers disagree about the order of two writes.
    #expect(!isFine(write(1, 1, 9), write(2, 2, 8), read(1, 10, 11), read(2, 12, 13), read(1, 14, 15)))
    #expect(!isFine(write(1, 1, 3), write(2, 2, 4), read(1, 10, 11), read(2, 12, 13)))
    // From nowhere, and from the future.
    #expect(!isFine(read(7, 1, 2)))
    #expect(!isFine(read(1, 1, 2), write(1, 3, 4)))
    // Another value came and went while this one stood.
    #expect(!isFine(write(1, 1, 2), read(1, 20, 21), write(2, 5, 9)))
  }

  /// Against all orders of a few operations, one by one.
  @Test func itAgreesWithTryingAllOrders() {
    var random = SeededGenerator(seed: 41)
    var (fine, wrong) = (0, 0)
    for _ in 0..<4_000 {
      var times = Array(1...UInt64(12)).shuffled(using: &random)
      var operations: [Operation] = []
      for value in 1...3 as ClosedRange<UInt64> {
        let pair = [times.removeLast(), times.removeLast()].sorted()
        let died = value == 3 && Bool.random(using: &random)
        operations.append(write(value, pair[0], died ? .max : pair[1]))
      }
      for _ in 0..<3 {
        let pair = [times.removeLast(), times.removeLast()].sorted()
        operations.append(read(UInt64.random(in: 0...3, using: &random), pair[0], pair[1]))
      }
      var passes = true
      do { try Linearizability.check(operations) } catch { passes = false }
      let expected = Self.hasOrder(operations, holding: 0)
      #expect(passes == expected, "\(operations)")
      if expected { fine += 1 } else { wrong += 1 }
    }
    #expect(fine > 100 && wrong > 100)
  }

  /// Whether the operations that are left can follow in some order.
  private static func hasOrder(_ left: [Operation], holding value: UInt64) -> Bool {
    // A write without an end need not happen.
    if left.allSatisfy({ $0.isWrite && $0.end == .max }) { return true }
    return left.indices.contains { index in
      let next = left[index]
      guard left.allSatisfy({ $0.end >= next.begin }), next.isWrite || next.value == value else { return false }
      var rest = left
      rest.remove(at: index)
      return hasOrder(rest, holding: next.isWrite ? next.value : value)
    }
  }
}
