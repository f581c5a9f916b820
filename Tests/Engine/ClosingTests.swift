import CSupport
import Foundation
import Synchronization
import Testing

@testable import Siltstone

/// What the last process to close promises, and whom it waits for.
@Suite struct ClosingTests {
  let directory = TemporaryDirectory()

  /// Another process commits and dies while this one closes.
  @Test func whatIsMarkedCleanIsWhole() throws {
    let storage = FaultStorage(try DiskStorage(path: directory.path, create: false, backend: .plain))
    let engine = try Engine.open(directory.path, .small(), on: storage)
    let shared = engine.shared
    let other = try SharedParts(
      storage, try SharedState.join(storage, isWritable: true), shared.database, .processes)
    let slot = SharedState.LockByte.slot(other.processes.own)
    let died = Atomic<Bool>(false)
    storage.beforeLook.withLock {
      $0 = { (byte) throws(SiltstoneError) in
        guard byte == slot, engine.isClosed, !died.exchange(true, ordering: .relaxed) else { return }
        other.shared.setReserved(other.shared.reserved + 64)
        other.processes.leave()
      }
    }
    try engine.close()
    let hasDied = died.load(ordering: .relaxed)
    #expect(hasDied)
    #expect(shared.header.pointee.clean == 1 && shared.durable == shared.reserved)
  }

  /// An opening that fails at its end closes what it has opened, and holds the lock of opening itself.
  @Test func anOpeningThatFailsDoesNotWaitForItself() throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    // No thread can be made with a stack larger than the address space. The time is for one that waits for ever.
    process.arguments = [
      "-c", "ulimit -s 1000000000000 && exec timeout 30 \"$0\" put \"$1\" a 1", Tool.path, directory.path,
    ]
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 2)
    let database = try Database.open(directory.path, options: .small())
    #expect(try database.get("a") == nil)
    try database.close()
  }
}
