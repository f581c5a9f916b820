import Foundation
import Synchronization

/// Starts one run in a process of its own, follows its progress and takes its result.
struct ChildRun {
  /// Which build of this program: another one may be linked against another version of a peer.
  let executable: String
  let specification: RunSpecification
  /// Put before the command, to run it under a profiler.
  var wrapper: [String] = []

  /// What a child may answer instead of a result.
  enum Outcome {
    case result(RunResult)
    /// The engine cannot do this workload, and says why.
    case omission(String)
  }

  /// - Throws: `BenchError` with the last thing that the child said on its standard error, if it failed.
  func run(progress: (UInt64) -> Void) throws -> Outcome {
    let process = Process()
    let command = wrapper + [executable, "run-one", try specificationText()]
    process.executableURL = URL(fileURLWithPath: command[0].contains("/") ? command[0] : "/usr/bin/env")
    process.arguments = command[0].contains("/") ? Array(command.dropFirst()) : command
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    // Read beside the other, so that neither pipe fills while nobody looks.
    let complaint = Mutex(Data())
    let reader = DispatchGroup()
    DispatchQueue.global().async(group: reader) {
      let data = errors.fileHandleForReading.readDataToEndOfFile()
      complaint.withLock { $0 = data }
    }
    var outcome: Outcome?
    var decodingFailure: (any Error)?
    try forEachLine(output.fileHandleForReading) { line in
      let parts = line.split(separator: " ", maxSplits: 1)
      guard parts.count == 2 else { return }
      switch parts[0] {
      case "progress": if let done = UInt64(parts[1]) { progress(done) }
      case "omission": outcome = .omission(String(parts[1]))
      case "result":
        do {
          outcome = .result(try JSONDecoder().decode(RunResult.self, from: Data(parts[1].utf8)))
        } catch { decodingFailure = error }
      default: break
      }
    }
    reader.wait()
    process.waitUntilExit()
    if let outcome, process.terminationStatus == 0 { return outcome }
    if let decodingFailure { throw BenchError("a run's result cannot be read: \(decodingFailure)") }
    let text = complaint.withLock { String(decoding: $0, as: UTF8.self) }
    let last = text.split(separator: "\n").last.map(String.init) ?? "no word of why"
    throw BenchError("\(specification.engine) failed at \(specification.workload): \(last)")
  }

  private func specificationText() throws -> String {
    String(decoding: try JSONEncoder().encode(specification), as: UTF8.self)
  }

  private func forEachLine(_ handle: FileHandle, _ body: (Substring) throws -> Void) throws {
    var rest = Data()
    while case let piece = handle.availableData, !piece.isEmpty {
      rest.append(piece)
      while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: rest[rest.startIndex..<newline], as: UTF8.self)
        rest = Data(rest[(newline + 1)...])
        try body(Substring(line))
      }
    }
  }
}
