import Foundation

/// What a process has used so far, by the kernel's account.
struct ProcessUsage: Sendable {
  var nanoseconds = Clock.nanoseconds()
  var userNanoseconds: UInt64 = 0
  var systemNanoseconds: UInt64 = 0
  var bytesRead: UInt64 = 0
  /// What was written and then cancelled (a file removed before its pages reached the disk) was not written, so this
  /// may fall: a process that removes another's fresh files cancels what it never wrote.
  var bytesWritten: Int64 = 0
  var residentBytes: UInt64 = 0
  var peakResidentBytes: UInt64 = 0

  var processorNanoseconds: UInt64 { userNanoseconds + systemNanoseconds }

  /// This process, now.
  static func current() -> ProcessUsage {
    var usage = ProcessUsage()
    var resources = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &resources)
    usage.userNanoseconds = nanoseconds(resources.ru_utime)
    usage.systemNanoseconds = nanoseconds(resources.ru_stime)
    usage.peakResidentBytes = UInt64(resources.ru_maxrss) * 1024
    let io = ProcFile.numbers("/proc/self/io")
    usage.bytesRead = io["read_bytes"] ?? 0
    usage.bytesWritten = Int64(io["write_bytes"] ?? 0) - Int64(io["cancelled_write_bytes"] ?? 0)
    usage.residentBytes = (ProcFile.numbers("/proc/self/status")["VmRSS"] ?? 0) * 1024
    return usage
  }

  /// Bytes written since `begin`.
  func bytesWritten(since begin: ProcessUsage) -> UInt64 { UInt64(max(0, bytesWritten - begin.bytesWritten)) }

  private static func nanoseconds(_ time: timeval) -> UInt64 {
    UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_usec) * 1_000
  }
}

/// Files of the kernel's that hold a name, a colon and a number in each line.
enum ProcFile {
  /// All of it, empty if it cannot be read. The kernel gives a page at a time and no size, at which `String` stops.
  static func text(_ path: String) -> String {
    guard let file = FileHandle(forReadingAtPath: path) else { return "" }
    return String(decoding: (try? file.readToEnd()) ?? Data(), as: UTF8.self)
  }

  static func numbers(_ path: String) -> [String: UInt64] {
    let text = text(path)
    var result: [String: UInt64] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let digits = parts[1].split(whereSeparator: { $0 == " " || $0 == "\t" }).first
      if let number = digits.flatMap({ UInt64($0) }) { result[String(parts[0])] = number }
    }
    return result
  }
}
