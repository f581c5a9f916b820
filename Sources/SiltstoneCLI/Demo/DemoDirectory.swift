import Glibc

/// A new directory on a real disk, for the demo's files.
struct DemoDirectory {
  let path: String

  /// In `parent`, or in the first usual place that is on a disk: a figure measured in memory would mean
  /// nothing.
  init(in parent: String?) throws {
    let temporary = getenv("TMPDIR").map { String(cString: $0) }
    let candidates = parent.map { [$0] } ?? [".build", temporary, "/var/tmp"].compactMap { $0 }
    guard let chosen = candidates.first(where: { parent != nil || DemoDirectory.isOnDisk($0) }) else {
      throw ToolError.failed(
        "demo: none of \(candidates.joined(separator: ", ")) is on a disk; name a directory")
    }
    var template = Array((chosen + "/siltstone-demo-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw ToolError.system(chosen, "make a directory in it") }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  private static func isOnDisk(_ path: String) -> Bool {
    guard access(path, W_OK) == 0, let type = fileSystem(of: path) else { return false }
    return type != "tmpfs" && type != "ramfs"
  }

  /// The type of the file system that `path` is on, from the list of mounts: lines of
  /// `id parent MAJOR:MINOR root mount options [tags] - TYPE source options`.
  private static func fileSystem(of path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0, let mounts = fopen("/proc/self/mountinfo", "re") else { return nil }
    defer { fclose(mounts) }
    let device = "\(major(status.st_dev)):\(minor(status.st_dev))"
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, mounts) > 0, let text = line.map({ String(cString: $0) }) {
      let words = text.split(separator: " ")
      guard words.count > 2, words[2] == device, let dash = words.firstIndex(of: "-") else { continue }
      return dash + 1 < words.count ? String(words[dash + 1]) : nil
    }
    return nil
  }

  // `<sys/sysmacros.h>` has these as macros only.
  private static func major(_ device: dev_t) -> UInt64 {
    UInt64(device) >> 8 & 0xFFF | UInt64(device) >> 32 & ~0xFFF
  }
  private static func minor(_ device: dev_t) -> UInt64 {
    UInt64(device) & 0xFF | UInt64(device) >> 12 & 0xFFFF_FF00
  }

  /// Removes the directory and its databases. Best effort: what cannot be removed stays where it was named.
  func remove() {
    DemoDirectory.remove(path)
  }

  private static func remove(_ path: String) {
    if let listing = opendir(path) {
      while let entry = readdir(listing) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
          String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != "." && name != ".." { removeEntry(path + "/" + name) }
      }
      closedir(listing)
    }
    rmdir(path)
  }

  private static func removeEntry(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    if status.st_mode & S_IFMT == S_IFDIR { remove(path) } else { unlink(path) }
  }
}
