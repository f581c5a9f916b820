import Testing

@testable import Siltstone

/// Every order in which a few processes can take their steps, with every death.
@Suite struct ViewProtocolTests {
  /// All states that can be reached, or the first that is wrong.
  private func explore(
    _ first: ViewProtocol, _ mutation: ViewProtocol.Mutation, limit: Int
  ) -> (states: Int, violation: String?) {
    var seen: Set<ViewProtocol.Key> = [first.key]
    var waiting = [first]
    while let state = waiting.popLast() {
      if let violation = state.violation { return (seen.count, violation) }
      for next in state.successors(mutation) where seen.insert(next.key).inserted {
        if seen.count > limit { return (seen.count, nil) }
        waiting.append(next)
      }
    }
    return (seen.count, nil)
  }

  /// With one arena more there are ten times as many states; all were seen, and they are for long runs.
  static let sizes = [(2, 3, 1), (2, 4, 1)] + (StressTests.seconds > 5 ? [(3, 3, 1)] : [])

  @Test(arguments: sizes)
  func noOrderOfStepsAndNoDeathLosesOrTakesAway(arenas: Int, serials: Int, deaths: Int) {
    let first = ViewProtocol(arenas: arenas, lastSerial: serials, maxDeaths: deaths)
    let (states, violation) = explore(first, .none, limit: 1_000_000)
    #expect(violation == nil)
    #expect(states > 10_000 && states < 1_000_000, "\(states) states: not all were seen")
  }

  /// The model notices what it is there to notice.
  @Test(arguments: [ViewProtocol.Mutation.pinWithoutALook, .recycleWithoutALook, .noLookAtTheEnd])
  func aWeakerProtocolIsFoundOut(_ mutation: ViewProtocol.Mutation) {
    let first = ViewProtocol(arenas: 4, lastSerial: 4, maxDeaths: 0)
    #expect(explore(first, mutation, limit: 1_000_000).violation != nil, "\(mutation)")
  }
}
