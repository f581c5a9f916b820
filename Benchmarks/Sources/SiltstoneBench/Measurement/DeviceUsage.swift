import CDevice
import Foundation

/// What went to and came from the device that holds a directory, by the kernel's account of the device.
struct DeviceUsage: Sendable {
  var bytesRead: UInt64 = 0
  var bytesWritten: UInt64 = 0

  /// Of the device that `directory` lies on, since the machine started; zeros if it has none (tmpfs, say).
  static func current(of directory: String) -> DeviceUsage {
    var status = stat()
    guard stat(directory, &status) == 0 else { return DeviceUsage() }
    let (major, minor) = (
      UInt64(status.st_dev) >> 8 & 0xFFF, UInt64(status.st_dev) & 0xFF | UInt64(status.st_dev) >> 12 & 0xFFF00
    )
    for line in ProcFile.text("/proc/diskstats").split(separator: "\n") {
      // major minor name reads merged sectors-read ms writes merged sectors-written ...
      let fields = line.split(separator: " ")
      guard fields.count >= 10, UInt64(fields[0]) == major, UInt64(fields[1]) == minor else { continue }
      return DeviceUsage(
        bytesRead: (UInt64(fields[5]) ?? 0) * 512, bytesWritten: (UInt64(fields[9]) ?? 0) * 512)
    }
    return DeviceUsage()
  }
}

/// Sizes of directories.
enum DirectorySize {
  /// Bytes allocated to all files below `path`.
  static func allocatedBytes(_ path: String) -> UInt64 {
    guard let names = FileManager.default.enumerator(atPath: path) else { return 0 }
    var total: UInt64 = 0
    for case let name as String in names {
      var status = stat()
      if lstat(path + "/" + name, &status) == 0 { total += UInt64(status.st_blocks) * 512 }
    }
    return total
  }
}

/// The file system that holds a directory.
enum FileSystem {
  /// Brings everything that waits in the page cache to the device. Engines that write past the page cache have nothing
  /// there; the others would otherwise leave the greater part of a short run's cost to be paid when it is over.
  static func sync(_ directory: String) {
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor < 0 { return }
    defer { close(descriptor) }
    _ = cdevice_sync_file_system(descriptor)
  }
}
