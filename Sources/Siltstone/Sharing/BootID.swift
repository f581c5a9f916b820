internal import CSupport

/// Names one run of the kernel: memory that was shared before a restart of the machine says nothing after it.
enum BootID {
  /// The kernel's boot id, or zeros where it cannot be read: then nothing is ever trusted across processes.
  static func current() -> DatabaseID { cached }

  /// Whether memory that was shared under `id` is still what its users left.
  static func isCurrent(_ id: DatabaseID) -> Bool { id == current() && id != DatabaseID(high: 0, low: 0) }

  private static let cached: DatabaseID = {
    var tuple: DatabaseID.Tuple = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    let found = withUnsafeMutableBytes(of: &tuple) { bytes in
      csup_boot_id(bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)) == 0
    }
    return DatabaseID(found ? tuple : (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
  }()
}
