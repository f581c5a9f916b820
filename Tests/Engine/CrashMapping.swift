import CSupport

@testable import Siltstone

/// Memory without a file.
final class CrashMemory: SharedMemory, @unchecked Sendable {  // its users order their accesses
  let base: UnsafeMutableRawPointer
  let sizeBytes: Int
  let identity: MemoryIdentity

  init(_ sizeBytes: Int, number: UInt64) {
    self.sizeBytes = sizeBytes
    base = .allocate(byteCount: sizeBytes, alignment: 4096)
    base.initializeMemory(as: UInt8.self, repeating: 0, count: sizeBytes)
    identity = MemoryIdentity(place: .system, device: 1, inode: number)
  }

  deinit { base.deallocate() }

  func reserve(_ range: Range<Int>) throws(SiltstoneError) {}
  func populate(upTo end: Int) {}
}

/// Memory that its users share, and what of it is on the disk.
final class CrashMapping: MappedFile, @unchecked Sendable {  // its users order their accesses
  let base: UnsafeMutableRawPointer
  let sizeBytes: Int
  let identity = FileIdentity(device: 1, inode: 1)
  private var synced: [UInt8]

  init(_ bytes: [UInt8], synced: [UInt8]? = nil) {
    sizeBytes = bytes.count
    base = .allocate(byteCount: max(bytes.count, 1), alignment: 4096)
    self.synced = synced ?? bytes
    bytes.withUnsafeBytes { base.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
  }

  deinit { base.deallocate() }

  func sync(upTo end: Int) throws(SiltstoneError) { synced.replaceSubrange(..<end, with: contents()[..<end]) }
  func populate(_ range: Range<Int>) {}

  func contents() -> [UInt8] { Array(UnsafeRawBufferPointer(start: base, count: sizeBytes)) }

  /// As one moment's content, although writers may be at it: they overwrite nothing above `drained`, so it is whole if
  /// `drained` did not move meanwhile.
  func copy() -> CrashMapping {
    let drained = base.assumingMemoryBound(to: csup_shared.self).pointer(to: \.drained)!
    while true {
      let before = csup_load(drained)
      var bytes = contents()
      if csup_load(drained) == before {
        bytes.withUnsafeMutableBytes { bytes in
          let header = bytes.baseAddress!.assumingMemoryBound(to: csup_shared.self)
          header.pointee.published = min(header.pointee.published, header.pointee.reserved)
          // The kernel lets go of the locks of the dead.
          for lock in [\csup_shared.commit_lock, \.drain_lock, \.manifest_lock, \.segments_lock] {
            header.pointer(to: lock)!.pointee.word = 0
          }
        }
        return CrashMapping(bytes, synced: synced)
      }
    }
  }

  /// As the next boot finds it: each page as it was synced, or as it is if `keepsPage` says so.
  func copy(_ keepsPage: (Int) -> Bool) -> CrashMapping {
    var bytes = synced
    let now = copy().contents()
    for page in 0..<(sizeBytes / 4096) where keepsPage(page) {
      bytes.replaceSubrange(page * 4096..<(page + 1) * 4096, with: now[page * 4096..<(page + 1) * 4096])
    }
    CrashMapping.forgetBoot(&bytes)
    return CrashMapping(bytes)
  }

  /// Gives a valid header another boot's id.
  static func forgetBoot(_ bytes: inout [UInt8]) {
    bytes.withUnsafeMutableBytes { bytes in
      let header = bytes.baseAddress!.assumingMemoryBound(to: csup_shared.self)
      guard header.pointee.magic == CSUP_SHARED_MAGIC else { return }
      header.pointee.boot.0 ^= 0xA5
      header.pointee.checksum = csup_crc32c(0, header, Int(CSUP_SHARED_IDENTITY_BYTES))
    }
  }
}
