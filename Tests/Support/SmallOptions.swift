@testable import Siltstone

extension Options {
  /// Everything small, so that a few thousand writes fill many memtables, segments and levels.
  static func small(backend: IOBackend = .automatic) -> Options {
    var options = Options()
    options.memtableBytes = 64 << 10
    options.tableBytes = 64 << 10
    options.blockBytes = 1 << 10
    options.ringBytes = 1 << 16
    options.logSegmentBytes = 1 << 16
    options.memoryBudgetBytes = 8 << 20
    options.ioBackend = backend
    options.durability = .staged
    return options
  }
}
