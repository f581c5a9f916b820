internal import CSupport
internal import Glibc

/// Named memory on a real system.
extension DiskStorage {
  /// Where the system keeps shared memory: a file system in memory that every user may make files in.
  private static let systemPath = "/dev/shm"

  /// Calls `body` with a descriptor of the directory, or returns nil if there is none.
  private func withPlace<Result>(
    _ place: MemoryIdentity.Place, _ body: (Int32) throws(SiltstoneError) -> Result
  ) throws(SiltstoneError) -> Result? {
    if place == .directory { return try body(directory) }
    let descriptor = retryingInterrupts {
      Glibc.open(DiskStorage.systemPath, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }
    guard descriptor >= 0 else { return nil }
    defer { _ = Glibc.close(descriptor) }
    return try body(descriptor)
  }

  func makeMemory(_ name: String, sizeBytes: Int) throws(SiltstoneError) -> any SharedMemory {
    let memory = try withPlace(.system) { (place) throws(SiltstoneError) in
      try NamedMemory.make(.system, below: place, name, sizeBytes: sizeBytes)
    }
    if let memory = memory ?? nil { return memory }
    guard let memory = try NamedMemory.make(.directory, below: directory, name, sizeBytes: sizeBytes) else {
      throw SiltstoneError(.outOfMemory, "there is no room for shared memory", file: name)
    }
    return memory
  }

  func openMemory(
    _ name: String, sizeBytes: Int, _ identity: MemoryIdentity, isWritable: Bool
  ) throws(SiltstoneError) -> any SharedMemory {
    let memory = try withPlace(identity.place) { (place) throws(SiltstoneError) in
      try NamedMemory.open(below: place, name, sizeBytes: sizeBytes, identity, isWritable: isWritable)
    }
    guard let memory else {
      throw SiltstoneError(
        .unreachableMemory, "there is no \(DiskStorage.systemPath), where others keep memtables", file: name)
    }
    return memory
  }

  func removeMemory(_ name: String) throws(SiltstoneError) {
    for place in [MemoryIdentity.Place.system, .directory] {
      _ = try withPlace(place) { (place) throws(SiltstoneError) in
        if unlinkat(place, name, 0) != 0, errno != ENOENT {
          throw .system("remove shared memory", errno: errno, file: name)
        }
      }
    }
  }

  func listMemory(prefix: String) throws(SiltstoneError) -> [String] {
    var names: [String] = []
    for place in [MemoryIdentity.Place.system, .directory] {
      names += try withPlace(place) { (place) throws(SiltstoneError) in try list(below: place) } ?? []
    }
    return names.filter { $0.hasPrefix(prefix) }
  }

  func useMemory(_ prefix: String, makes: Bool) throws(SiltstoneError) -> (any FileLock)? {
    let use = try withPlace(.system) { (place) throws(SiltstoneError) in
      try MemoryUse.share(below: place, prefix + MemoryUse.suffix, makes: makes)
    }
    return use ?? nil
  }

  func reclaimMemory() {
    _ = try? withPlace(.system) { (place) throws(SiltstoneError) in
      for name in try list(below: place) {
        guard let prefix = MemoryUse.prefix(ofLock: name), let lock = MemoryUse.alone(below: place, name) else {
          continue
        }
        // The lock's file last: what is left when this process dies here is then found by the next one.
        for name in try list(below: place) where name.hasPrefix(prefix) && UInt32(name.dropFirst(prefix.count)) != nil {
          unlinkat(place, name, 0)
        }
        unlinkat(place, name, 0)
        withExtendedLifetime(lock) {}
      }
    }
  }
}
