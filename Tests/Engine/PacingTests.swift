import CSupport
import Testing

@testable import Siltstone

/// Two processes of one database, and the price that both pay.
@Suite struct PacingTests {
  private let fixture: SharedFixture
  private let parts: [SharedParts]
  private let roles: [Role]

  init() throws {
    let fixture = try SharedFixture()
    self.fixture = fixture
    _ = try fixture.first.arenas.activate(firstPosition: 0, commonPrefix: [])
    parts = [fixture.first, try fixture.join()]
    roles = parts.map { Role(CSUP_ROLE_COMPACTION, fixture.storage, $0.shared, $0.processes, isOffered: true) }
  }

  /// `isInDebt`: it sees the same memtables, and takes them for nearly all that there may be.
  private func makePacing(_ index: Int, isInDebt: Bool) throws -> Pacing {
    let view = try parts[index].makeView()
    let used = view.peek().active.usedBytes
    return Pacing(
      storage: fixture.storage, shared: parts[index].shared, view: view, shape: Options().shape,
      memtableBudgetBytes: isInDebt ? used + used / 8 : used * 100, role: roles[index],
      slot: parts[index].processes.own
    ) { _ in nil }
  }

  @Test func whoCompactsSetsThePriceOfAll() throws {
    defer { try? fixture.close() }
    #expect(roles[0].take {})
    let (owner, other) = (try makePacing(0, isInDebt: true), try makePacing(1, isInDebt: false))
    #expect(owner.update())
    #expect(other.update(), "it would reckon with none")
    #expect(owner.update() && other.update())
    // Writers of both go into one queue: together they wait for what they owe.
    let bytes = 1 << 20
    for pacing in [owner, other, owner, other] { pacing.admit(bytes) }
    #expect(owner.slowdownNanoseconds > 0 && other.slowdownNanoseconds > 0)
  }

  @Test func whereNobodyCompactsAnybodySetsIt() throws {
    defer { try? fixture.close() }
    let (first, second) = (try makePacing(0, isInDebt: true), try makePacing(1, isInDebt: false))
    #expect(first.update(), "nobody has said anything yet")
    #expect(second.update() && first.update(), "somebody has, a moment ago, and goes on doing so")
    let setAt = parts[0].shared.pacing.pointer(to: \.set_at)!
    csup_store(setAt, csup_load(setAt) - 3_000_000_000)
    #expect(!second.update() && !first.update(), "nobody has for seconds")
    #expect(roles[0].take {})
    #expect(first.update() && second.update(), "whoever compacts knows better")
  }

  /// A process that only flushes and one that only compacts: the one knows what the other does.
  @Test func whoSetsThePriceKnowsWhatOthersDo() throws {
    defer { try? fixture.close() }
    #expect(roles[0].take {})
    let (owner, flusher) = (try makePacing(0, isInDebt: true), try makePacing(1, isInDebt: false))
    owner.update()
    let price = csup_load(parts[0].shared.pacing.pointer(to: \.price)!)
    // A device that takes 1 MB a second: the same debt costs more.
    flusher.flushed(1 << 30, standingFor: 1 << 30, nanoseconds: 1 << 40)
    owner.update()
    let later = csup_load(parts[0].shared.pacing.pointer(to: \.price)!)
    #expect(Double(bitPattern: later) > 10 * Double(bitPattern: price))
  }
}
