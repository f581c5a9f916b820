import CSupport
import Testing

@testable import Siltstone

@Suite struct RoleTests {
  let fixture: SharedFixture
  let other: SharedParts

  init() throws {
    fixture = try SharedFixture()
    other = try fixture.join()
  }

  private func role(_ parts: SharedParts) -> Role {
    Role(CSUP_ROLE_COMPACTION, parts.storage, parts.shared, parts.processes, isOffered: true)
  }

  @Test func oneAtATimeHasIt() throws {
    let (mine, others) = (role(fixture.first), role(other))
    #expect(mine.take {} && !others.take {} && mine.isHeld && !others.isHeld)
    mine.leave()
    #expect(others.take {} && others.isHeld)
    others.leave()
  }

  /// Who cannot begin does not keep others from it.
  @Test func whoCannotBeginLetsGo() throws {
    let (mine, others) = (role(fixture.first), role(other))
    #expect(throws: SiltstoneError.self) {
      try mine.take { () throws(SiltstoneError) in throw SiltstoneError(.inputOutput, "it cannot") }
    }
    #expect(!mine.isHeld)
    #expect(others.take {})
    others.leave()
  }

  /// One that asks and is stopped would otherwise keep everybody from it.
  @Test func onlyWhoStirsIsHeeded() throws {
    let (mine, others) = (role(fixture.first), role(other))
    others.want(true)
    #expect(mine.isWantedByOthers && !others.isWantedByOthers)
    let seen = other.processes.slot(other.processes.own).pointer(to: \.seen)!
    csup_store32(seen, csup_load32(seen) &- 5)
    #expect(!mine.isWantedByOthers)
    csup_store32(seen, csup_load32(seen) &+ 5)
    #expect(mine.isWantedByOthers)
    others.want(false)
    #expect(!mine.isWantedByOthers)
  }
}
