import Testing

@testable import Siltstone

/// A process that cannot follow the tree goes on reading what it has, and works nothing out from it.
@Suite struct FollowingTests {
  let directory = TemporaryDirectory()

  @Test func aViewThatIsBehindItsOwnEditIsNotPickedFrom() throws {
    let storage = FaultStorage(try DiskStorage(path: directory.path, create: false, backend: .plain))
    let engine = try Engine.open(directory.path, .small(), on: storage)
    let tree = engine.tree
    let hold = tree.outputs.begin()  // or whoever takes a role now takes the table for a leaving
    defer { withExtendedLifetime(hold) {} }
    var job = FlushJob(
      ArrayCursor([OwnedEntry(key: paperKey(1), sequence: 1, value: [7])]), end: .max, layout: TreeLayout(),
      shape: tree.shape, context: try tree.jobContext(Cancellation()))
    let outputs = try job.run().outputs
    #expect(tree.isCurrent(engine.view.peek().version))
    storage.inject(
      .init(call: .read, nameSuffix: ".sst", after: 0, isSticky: true, error: FaultStorage.ioError("a table")))
    // The edit is done, but its table cannot be opened.
    try tree.commit(.flush(outputs, run: tree.takeRunID(), logStart: tree.logStart), opened: [])
    #expect(!tree.isCurrent(engine.view.peek().version))
    storage.clear()
    try tree.follow()
    #expect(tree.isCurrent(engine.view.peek().version))
    #expect(engine.view.peek().version.has(outputs[0].number))
    try engine.close()
  }
}
