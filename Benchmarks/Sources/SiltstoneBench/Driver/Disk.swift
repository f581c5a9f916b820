import ArgumentParser
import Foundation

/// The device itself, apart from any engine.
struct Disk: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure the device under a directory: sequential and random I/O, and fdatasync.")

  @Option(help: "Where to measure; a file of up to 2 GiB is made there, and removed.") var dir = "."
  @Flag(help: "Less than four seconds, on a smaller sample.") var quick = false
  @Flag(help: "Print the figures as JSON.") var json = false

  func run() throws {
    let figures = try DeviceProbe.measure(in: dir, quick ? .quick : .full)
    print(json ? try figures.json : figures.table)
  }
}

extension DeviceFigures {
  var json: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
  }

  /// Prints them, and writes them to a file if one is named.
  func write(json file: String?) throws {
    print(table)
    if let file { try (try json + "\n").write(toFile: file, atomically: true, encoding: .utf8) }
  }

  /// A few lines for a terminal.
  var table: String {
    var lines = [
      String(
        format: "sample %.2f GiB, %@", Double(sampleBytes) / 0x1p30,
        isDirect ? "past the page cache" : "THROUGH THE PAGE CACHE: the file system refuses O_DIRECT"),
      DeviceFigures.line("sequential write, 1 MiB x 16", sequentialWriteBytesPerSecond / 1e6, "MB/s"),
      DeviceFigures.line("sequential read,  1 MiB x 16", sequentialReadBytesPerSecond / 1e6, "MB/s"),
    ]
    for read in randomReads {
      let title = String(format: "random read, 4 KiB x %2d", read.depth)
      lines.append(
        DeviceFigures.line(title, read.operationsPerSecond, "IOPS")
          + DeviceFigures.percentiles(read.p50Nanoseconds, read.p99Nanoseconds))
    }
    let title = DeviceFigures.line("append 4 KiB and fdatasync", 1e9 / Double(max(syncP50Nanoseconds, 1)), "/s")
    lines.append(title + DeviceFigures.percentiles(syncP50Nanoseconds, syncP99Nanoseconds))
    return lines.joined(separator: "\n")
  }

  private static func line(_ title: String, _ value: Double, _ unit: String) -> String {
    title.padding(toLength: 30, withPad: " ", startingAt: 0) + String(format: "%10.0f %@", value, unit)
  }

  private static func percentiles(_ p50: UInt64, _ p99: UInt64) -> String {
    String(format: "   p50 %7.1f us   p99 %7.1f us", Double(p50) / 1e3, Double(p99) / 1e3)
  }
}
