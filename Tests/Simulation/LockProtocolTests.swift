import Testing

@testable import Siltstone

/// Every order in which a few processes can take their steps at a lock, with every death.
@Suite struct LockProtocolTests {
  /// All states that can be reached, or the first that is wrong.
  private func explore(
    _ first: LockProtocol, _ mutation: LockProtocol.Mutation = .none
  ) -> (states: Int, violation: String?) {
    var seen: Set<UInt128> = [first.key]
    var waiting = [first]
    while let state = waiting.popLast() {
      for next in state.successors(mutation) {
        if let violation = next.violation { return (seen.count, violation) }
        if seen.insert(next.key).inserted { waiting.append(next) }
      }
    }
    return (seen.count, nil)
  }

  @Test(arguments: [(2, 3), (3, 1)]) func noDeathFreesWhatIsHeldOrKeepsWhatIsNot(processes: Int, deaths: Int) {
    let (states, violation) = explore(LockProtocol(processes: processes, maxDeaths: deaths))
    #expect(violation == nil && states > 5_000, "\(states) states: \(violation ?? "")")
  }

  /// Where nobody dies, nobody has to rely on the limit of his sleep.
  @Test func noWakeIsLost() {
    let (states, violation) = explore(LockProtocol(processes: 3, maxDeaths: 0))
    #expect(violation == nil && states > 1_000, "\(states) states: \(violation ?? "")")
  }

  /// The model notices what it is there to notice.
  @Test func aWeakerProtocolIsFoundOut() {
    for mutation in [LockProtocol.Mutation.pendingLate, .ownerFirst, .sameNumber] {
      #expect(
        explore(LockProtocol(processes: 2, maxDeaths: 3), mutation).violation != nil, "\(mutation)")
    }
    let first = LockProtocol(processes: 3, maxDeaths: 0)
    #expect(explore(first, .noWaitersAfterSleep).violation != nil)
  }
}
