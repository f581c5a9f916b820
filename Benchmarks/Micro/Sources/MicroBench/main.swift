internal import Foundation

// siltstone-microbench [--instructions] [NAME ...]: all loops, or those whose names contain one of the words.

func run(_ arguments: [String]) throws {
  if arguments.first == "--once", arguments.count == 3, let iterations = Int(arguments[2]) {
    // What valgrind runs: one loop, no clock.
    return try Measurement.runOnce(arguments[1], iterations: iterations)
  }
  let countsInstructions = arguments.contains("--instructions")
  let words = arguments.filter { $0 != "--instructions" }
  if words.contains(where: { $0.hasPrefix("-") }) {
    throw MicroBenchmarkError("usage: siltstone-microbench [--instructions] [NAME ...]")
  }
  print(Measurement.heading(countsInstructions))
  for loop in MicroBenchmark.all where words.isEmpty || words.contains(where: { loop.name.contains($0) }) {
    print(try Measurement.line(loop, countsInstructions))
    fflush(nil)
  }
}

do {
  try run(Array(CommandLine.arguments.dropFirst()))
} catch {
  FileHandle.standardError.write(Data(((error as? MicroBenchmarkError)?.description ?? "\(error)").utf8 + [10]))
  exit(2)
}
