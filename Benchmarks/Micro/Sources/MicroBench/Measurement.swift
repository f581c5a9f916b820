internal import Foundation

/// Takes a loop's time, and its instructions.
enum Measurement {
  private static let repetitions = 11

  static func heading(_ countsInstructions: Bool) -> String {
    columns("loop", "ns", "spread", countsInstructions ? "instructions" : "", "one iteration is")
  }

  static func line(_ loop: MicroBenchmark, _ countsInstructions: Bool) throws -> String {
    let time = try nanoseconds(loop)
    let instructions = countsInstructions ? String(format: "%.1f", try instructions(loop)) : ""
    return columns(
      loop.name, String(format: "%.1f", time.median), String(format: "%.0f %%", 100 * time.spread), instructions,
      loop.note)
  }

  private static func columns(_ name: String, _ time: String, _ spread: String, _ count: String, _ note: String)
    -> String
  {
    func right(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    return name.padding(toLength: 30, withPad: " ", startingAt: 0) + right(time, 11) + right(spread, 9)
      + right(count, 14) + "  " + note
  }

  /// Of this thread: what others do on the machine meanwhile costs it its caches, but not its time.
  private static func processorNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// For one iteration: the median of the repetitions, and the distance between their quartiles as a share of it.
  private static func nanoseconds(_ loop: MicroBenchmark) throws -> (median: Double, spread: Double) {
    let body = try loop.prepare(loop.iterations)
    var times: [Double] = []
    for repetition in 0...repetitions {
      try body.reset()
      let begin = processorNanoseconds()
      try body.run(loop.iterations)
      let elapsed = processorNanoseconds() - begin
      // The first warms caches and branches.
      if repetition > 0 { times.append(Double(elapsed) / Double(loop.iterations)) }
    }
    times.sort()
    let median = times[times.count / 2]
    return (median, (times[times.count * 3 / 4] - times[times.count / 4]) / median)
  }

  static func runOnce(_ name: String, iterations: Int) throws {
    guard let loop = MicroBenchmark.all.first(where: { $0.name == name }) else {
      throw MicroBenchmarkError("there is no loop \(name)")
    }
    let body = try loop.prepare(loop.iterations)
    try body.reset()
    try body.run(iterations)
  }

  // MARK: - Instructions

  /// For one iteration: what 2n need under callgrind, less what n need, by n. The start of the process, and making the
  /// data, cancel out. The same on each run of the same build, however busy the machine. (The C library picks its
  /// copies and comparisons by what the processor can, and valgrind's cannot do AVX-512.)
  private static func instructions(_ loop: MicroBenchmark) throws -> Double {
    let once = try instructions(loop, iterations: loop.iterations)
    let twice = try instructions(loop, iterations: 2 * loop.iterations)
    return Double(twice - once) / Double(loop.iterations)
  }

  private static func instructions(_ loop: MicroBenchmark, iterations: Int) throws -> Int {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("microbench-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    process.arguments = [
      "valgrind", "--tool=callgrind", "--callgrind-out-file=\(path)", executable, "--once", loop.name,
      String(iterations),
    ]
    process.standardError = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    guard process.terminationStatus == 0,
      let total = text.split(separator: "\n").last(where: { $0.hasPrefix("totals:") || $0.hasPrefix("summary:") }),
      let count = total.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { throw MicroBenchmarkError("valgrind could not run: is it installed?") }
    return count
  }
}

struct MicroBenchmarkError: Error {
  let description: String
  init(_ description: String) { self.description = description }
}
