import CSupport
import Synchronization

@testable import Siltstone

/// A disk in memory that can be looked at as a crash would leave it, at any moment and while others use it.
///
/// It promises as little as a disk may: what was not synced is kept or lost sector by sector, in any of the versions
/// that were written; names are kept up to some point of their history since the directory was synced; pages of a
/// mapping reach the disk one by one, whenever they like.
final class CrashDisk: Storage {
  static let sectorBytes = 512

  enum Loss {
    /// Every process dies. The kernel lives on, with its page cache and the shared mapping.
    case process
    /// Everything dies. `keep` picks for each file and sector among 0 (what was synced) and the versions written since,
    /// oldest first, of which it is told the number.
    case power(keep: (_ name: String, _ sector: Int, _ versions: Int) -> Int, journal: (Int) -> Int)

    /// Any of what the disk may do, by chance.
    static func power(_ random: inout SeededGenerator) -> Loss {
      let seed = random.next()
      let mood = Int.random(in: 0..<4, using: &random)
      var generator = SeededGenerator(seed: seed)
      return .power(
        keep: { _, _, versions in
          switch mood {
          case 0: 0
          case 1: versions
          case 2: Int.random(in: 0...versions, using: &generator)
          default: Int.random(in: 0..<10, using: &generator) == 0 ? 0 : versions
          }
        }, journal: { $0 == 0 ? 0 : Int(seed % UInt64($0 + 1)) })
    }
  }

  fileprivate final class Inode {
    var live: [UInt8] = []
    var durable: [UInt8] = []
    /// What was written to a sector since it was synced, oldest first.
    var pending: [Int: [[UInt8]]] = [:]
    var mapping: CrashMapping?
  }

  fileprivate enum Change {
    case link(String, Inode)
    case unlink(String)
    case rename(String, String)
  }

  fileprivate struct State {
    var names: [String: Inode] = [:]
    var durableNames: [String: Inode] = [:]
    var journal: [Change] = []
    var locked: Set<UInt64> = []
    /// By who has set them.
    var marked: [ObjectIdentifier: Set<UInt64>] = [:]
    var memories: [String: CrashMemory] = [:]
    var memoryCount: UInt64 = 0
  }

  /// Everything below it, and all inodes. A class of its own, so that locks can outlive the disk.
  fileprivate final class Guarded: @unchecked Sendable {
    private let lock = Mutex(())
    private var state = State()
    fileprivate func withLock<Result, Failure: Error>(
      _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
      try lock.withLock { (_) throws(Failure) in try body(&state) }
    }
  }
  fileprivate let guarded = Guarded()

  init() {}

  // MARK: - Crashing

  /// What a crash at this moment would leave, as a disk of its own. Whoever uses this one goes on undisturbed.
  func crashed(_ loss: Loss) -> CrashDisk {
    let survivor = CrashDisk()
    guarded.withLock { state in
      var copies: [ObjectIdentifier: Inode] = [:]
      func copy(_ inode: Inode, _ name: String) -> Inode {
        if let known = copies[ObjectIdentifier(inode)] { return known }
        let fresh = CrashDisk.copy(inode, name, loss)
        copies[ObjectIdentifier(inode)] = fresh
        return fresh
      }
      survivor.guarded.withLock { other in
        switch loss {
        case .process:
          other.names = Dictionary(uniqueKeysWithValues: state.names.map { ($0, copy($1, $0)) })
          other.durableNames = Dictionary(uniqueKeysWithValues: state.durableNames.map { ($0, copy($1, $0)) })
          other.journal = state.journal.map { change in
            if case .link(let name, let inode) = change { .link(name, copy(inode, name)) } else { change }
          }
        case .power(_, let journal):
          var names = state.durableNames
          for change in state.journal.prefix(journal(state.journal.count)) { CrashDisk.apply(change, to: &names) }
          other.names = Dictionary(uniqueKeysWithValues: names.map { ($0, copy($1, $0)) })
          other.durableNames = other.names
        }
      }
    }
    return survivor
  }

  private static func apply(_ change: Change, to names: inout [String: Inode]) {
    switch change {
    case .link(let name, let inode): names[name] = inode
    case .unlink(let name): names[name] = nil
    case .rename(let name, let newName): names[newName] = names.removeValue(forKey: name)
    }
  }

  private static func copy(_ inode: Inode, _ name: String, _ loss: Loss) -> Inode {
    let fresh = Inode()
    switch loss {
    case .process:
      fresh.live = inode.live
      fresh.durable = inode.durable
      fresh.pending = inode.pending
      fresh.mapping = inode.mapping?.copy()
    case .power(let keep, _):
      fresh.durable = inode.durable
      for sector in inode.pending.keys.sorted() {
        guard let versions = inode.pending[sector] else { continue }
        let kept = keep(name, sector, versions.count)
        if kept > 0 { CrashDisk.store(versions[kept - 1], sector, in: &fresh.durable) }
      }
      fresh.live = fresh.durable
      fresh.mapping = inode.mapping?.copy { page in keep(name, page * 8, 1) > 0 }
    }
    return fresh
  }

  fileprivate static func store(_ bytes: [UInt8], _ sector: Int, in file: inout [UInt8]) {
    let begin = sector * sectorBytes
    if file.count < begin + bytes.count {
      file.append(contentsOf: repeatElement(0, count: begin + bytes.count - file.count))
    }
    file.replaceSubrange(begin..<begin + bytes.count, with: bytes)
  }

  // MARK: - For tests that damage or look

  func contents(_ name: String) -> [UInt8]? {
    guarded.withLock { state in state.names[name].map { $0.mapping?.contents() ?? $0.live } }
  }

  /// Replaces a file's content behind everybody's back. REQUIRES: nobody has it open.
  func setContents(_ name: String, _ bytes: [UInt8]?) {
    guarded.withLock { state in
      guard let bytes else {
        state.names[name] = nil
        state.durableNames[name] = nil
        return
      }
      let inode = Inode()
      inode.live = bytes
      inode.durable = bytes
      if state.names[name]?.mapping != nil { inode.mapping = CrashMapping(bytes) }
      state.names[name] = inode
      state.durableNames[name] = inode
    }
  }

  /// Every file's content, to be put back later.
  func backup() -> [String: [UInt8]] {
    guarded.withLock { state in state.names.mapValues { $0.mapping?.contents() ?? $0.live } }
  }

  func restore(_ backup: [String: [UInt8]]) {
    let names = guarded.withLock { Array($0.names.keys) }
    for name in names where backup[name] == nil { setContents(name, nil) }
    for (name, bytes) in backup { setContents(name, bytes) }
  }

  // MARK: - Storage

  func open(_ name: String, _ access: FileAccess) throws(SiltstoneError) -> any StorageFile {
    let creates =
      switch access {
      case .create, .createBuffered: true
      default: false
      }
    let inode: Inode? = guarded.withLock { state in
      if !creates { return state.names[name] }
      if state.names[name] != nil { return nil }
      let inode = Inode()
      state.names[name] = inode
      state.journal.append(.link(name, inode))
      return inode
    }
    guard let inode else { throw .system("open the file", errno: creates ? 17 : 2, file: name) }
    return CrashFile(name, inode, guarded)
  }

  func exists(_ name: String) throws(SiltstoneError) -> Bool { guarded.withLock { $0.names[name] != nil } }

  func remove(_ name: String) throws(SiltstoneError) {
    guarded.withLock { state in
      if state.names.removeValue(forKey: name) != nil { state.journal.append(.unlink(name)) }
    }
  }

  func rename(_ name: String, to newName: String) throws(SiltstoneError) {
    let found = guarded.withLock { state in
      guard let inode = state.names.removeValue(forKey: name) else { return false }
      state.names[newName] = inode
      state.journal.append(.rename(name, newName))
      return true
    }
    if !found { throw .system("rename the file", errno: 2, file: name) }
  }

  func list() throws(SiltstoneError) -> [String] { guarded.withLock { Array($0.names.keys) } }

  func syncDirectory() throws(SiltstoneError) {
    guarded.withLock { state in
      state.durableNames = state.names
      state.journal = []
    }
  }

  func map(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile {
    guarded.withLock { state in
      let inode = state.names[name] ?? Inode()
      if state.names[name] == nil {
        state.names[name] = inode
        state.journal.append(.link(name, inode))
      }
      if let mapping = inode.mapping, mapping.sizeBytes == sizeBytes { return mapping }
      let mapping = CrashMapping(Array(repeating: 0, count: sizeBytes))
      inode.mapping = mapping
      return mapping
    }
  }

  func tryLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)? {
    let taken = guarded.withLock { state in state.locked.insert(byte).inserted }
    return taken ? CrashLock(guarded, byte) : nil
  }

  /// One at a time is enough here.
  func trySharedLock(_ name: String, byte: UInt64) throws(SiltstoneError) -> (any FileLock)? {
    try tryLock(name, byte: byte)
  }

  func isLocked(_ name: String, byte: UInt64) throws(SiltstoneError) -> Bool {
    guarded.withLock { $0.locked.contains(byte) }
  }

  func makeMarks(_ name: String) throws(SiltstoneError) -> any FileMarks { CrashMarks(guarded) }
  func marks(_ name: String, in range: Range<UInt64>, limit: Int) throws(SiltstoneError) -> [UInt64] {
    guarded.withLock { state in
      let marked = state.marked.values.reduce(into: Set<UInt64>()) { $0.formUnion($1) }
      return Array(marked.filter { range.contains($0) }.sorted().prefix(limit))
    }
  }

  func mapReadOnly(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any MappedFile {
    try map(name, sizeBytes: sizeBytes)
  }

  // Named memory lives as long as the kernel. A crash of any kind leaves a disk whose users are all dead, and then
  // nobody looks at it any more: so a crashed disk has none.

  func makeMemory(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any SharedMemory {
    try guarded.withLock { (state) throws(SiltstoneError) in
      if state.memories[name] != nil { throw .system("make shared memory", errno: 17, file: name) }
      state.memoryCount += 1
      let memory = CrashMemory(sizeBytes, number: state.memoryCount)
      state.memories[name] = memory
      return memory
    }
  }

  func openMemory(
    _ name: String, sizeBytes: Int, _ identity: MemoryIdentity, isWritable: Bool
  ) throws(SiltstoneError) -> any SharedMemory {
    guard let memory = guarded.withLock({ $0.memories[name] }), memory.identity == identity else {
      throw SiltstoneError(.unreachableMemory, "not the memory that was asked for", file: name)
    }
    return memory
  }

  func removeMemory(_ name: String) throws(SiltstoneError) { guarded.withLock { $0.memories[name] = nil } }
  func listMemory(prefix: String) throws(SiltstoneError) -> [String] {
    guarded.withLock { $0.memories.keys.filter { $0.hasPrefix(prefix) } }
  }

  func useMemory(_ prefix: String, makes: Bool) throws(SiltstoneError) -> (any FileLock)? { nil }
  func reclaimMemory() {}
  func makeIOQueue(depth: Int) throws(SiltstoneError) -> any IOQueue { PlainQueue(depth: depth) }

  func monotonicNanoseconds() -> UInt64 {
    UInt64((ContinuousClock.now - CrashDisk.epoch) / .nanoseconds(1))
  }
  private static let epoch = ContinuousClock.now - .seconds(1)

  func wallClockSeconds() -> UInt64 { 1_700_000_000 }
  func fillRandom(_ bytes: UnsafeMutableRawBufferPointer) {
    var generator = SystemRandomNumberGenerator()
    for index in bytes.indices { bytes[index] = UInt8.random(in: 0...255, using: &generator) }
  }
  var capabilities: StorageCapabilities { StorageCapabilities(usesIOURing: false, usesDirectIO: false) }
}

private final class CrashLock: FileLock {
  private let guarded: CrashDisk.Guarded
  private let byte: UInt64

  init(_ guarded: CrashDisk.Guarded, _ byte: UInt64) {
    self.guarded = guarded
    self.byte = byte
  }

  deinit { guarded.withLock { state in _ = state.locked.remove(byte) } }
}

private final class CrashMarks: FileMarks {
  private let guarded: CrashDisk.Guarded

  init(_ guarded: CrashDisk.Guarded) { self.guarded = guarded }

  func set(_ byte: UInt64, _ isSet: Bool) throws(SiltstoneError) {
    guarded.withLock { state in
      if isSet {
        state.marked[ObjectIdentifier(self), default: []].insert(byte)
      } else {
        state.marked[ObjectIdentifier(self)]?.remove(byte)
      }
    }
  }

  deinit { guarded.withLock { state in state.marked[ObjectIdentifier(self)] = nil } }
}

/// An open file of a `CrashDisk`.
private final class CrashFile: StorageFile, @unchecked Sendable {  // the inode is touched under the disk's lock only
  let name: String
  let isDirect = false
  private let inode: CrashDisk.Inode
  private let guarded: CrashDisk.Guarded

  init(_ name: String, _ inode: CrashDisk.Inode, _ guarded: CrashDisk.Guarded) {
    self.name = name
    self.inode = inode
    self.guarded = guarded
  }

  func sizeBytes() throws(SiltstoneError) -> UInt64 {
    guarded.withLock { _ in UInt64(inode.mapping?.sizeBytes ?? inode.live.count) }
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SiltstoneError) -> Int {
    guarded.withLock { _ in
      let bytes = inode.mapping?.contents() ?? inode.live
      let begin = min(Int(offset), bytes.count)
      let count = min(buffer.count, bytes.count - begin)
      bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[begin..<begin + count])) }
      return count
    }
  }

  func write(
    _ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ durability: WriteDurability
  ) throws(SiltstoneError) {
    guarded.withLock { _ in
      let (begin, end) = (Int(offset), Int(offset) + bytes.count)
      if inode.live.count < end {
        inode.live.append(contentsOf: repeatElement(0, count: end - inode.live.count))
      }
      inode.live.withUnsafeMutableBytes {
        UnsafeMutableRawBufferPointer(rebasing: $0[begin..<end]).copyMemory(from: bytes)
      }
      for sector in begin / CrashDisk.sectorBytes...(end - 1) / CrashDisk.sectorBytes {
        let first = sector * CrashDisk.sectorBytes
        let version = Array(inode.live[first..<min(first + CrashDisk.sectorBytes, inode.live.count)])
        if durability == .dataSync {
          CrashDisk.store(version, sector, in: &inode.durable)
          inode.pending[sector] = nil
        } else {
          inode.pending[sector, default: []].append(version)
        }
      }
    }
  }

  func sync() throws(SiltstoneError) {
    guarded.withLock { _ in
      inode.durable = inode.live
      inode.pending = [:]
    }
  }

  func truncate(to sizeBytes: UInt64) throws(SiltstoneError) {
    guarded.withLock { _ in
      inode.live = Array(inode.live.prefix(Int(sizeBytes)))
      inode.durable = Array(inode.durable.prefix(Int(sizeBytes)))
      inode.pending = [:]
    }
  }

  func preallocate(_ sizeBytes: UInt64) throws(SiltstoneError) -> Bool {
    guarded.withLock { _ in
      let missing = Int(sizeBytes) - inode.live.count
      if missing > 0 { inode.live.append(contentsOf: repeatElement(0, count: missing)) }
      return true
    }
  }
}
