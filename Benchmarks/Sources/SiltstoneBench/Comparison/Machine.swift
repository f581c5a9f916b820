import Foundation

extension ComparisonReport.Machine {
  /// This machine, and the storage that `directory` lies on.
  static func current(directory: String) -> Self {
    let processors = ProcFile.text("/proc/cpuinfo")
    let model = processors.split(separator: "\n").first { $0.hasPrefix("model name") || $0.hasPrefix("Model") }
    let name = model?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
    var system = utsname()
    uname(&system)
    let release = withUnsafeBytes(of: &system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return Self(
      processor: name ?? "unknown processor", cores: ProcessInfo.processInfo.activeProcessorCount,
      memoryBytes: ProcessInfo.processInfo.physicalMemory, kernel: "Linux \(release)",
      storage: Mount.holding(directory).map { "\($0.type) on \($0.source)" } ?? "unknown storage")
  }
}

/// Where a directory lies.
struct Mount {
  var type: String
  var source: String
  /// A file system in memory: what is measured there says nothing about a disk.
  var isMemory: Bool { ["tmpfs", "ramfs", "devtmpfs"].contains(type) }

  /// The mount that `path` is on, from lines of
  /// `id parent MAJOR:MINOR root mount-point options [tags] - TYPE source options`.
  static func holding(_ path: String) -> Mount? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    let place = String(cString: real)
    var best: (length: Int, mount: Mount)?
    for line in ProcFile.text("/proc/self/mountinfo").split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count > 5, let dash = words.firstIndex(of: "-"), dash + 2 < words.count else { continue }
      let point = String(words[4])
      let holds = point == "/" || place == point || place.hasPrefix(point + "/")
      // Of two mounts at one point, the later one covers the earlier.
      if holds, point.count >= best?.length ?? 0 {
        best = (point.count, Mount(type: String(words[dash + 1]), source: String(words[dash + 2])))
      }
    }
    return best?.mount
  }
}
