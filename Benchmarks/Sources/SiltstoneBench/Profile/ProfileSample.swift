import Foundation

/// Where one thread was when the profiler looked.
struct ProfileSample: Equatable, Sendable {
  var thread: String
  /// Processor time that the sample stands for.
  var nanoseconds: UInt64
  /// Innermost first.
  var frames: [Frame]

  struct Frame: Equatable, Sendable {
    /// In the module's file; for the kernel, in memory.
    var address: UInt64
    /// As the linker knows it; empty if nobody does.
    var symbol: String
    /// The path of the executable or library, or `[kernel.kallsyms]` and the like.
    var module: String
  }
}

/// Reads what `perf script -F comm,pid,tid,period,ip,sym,dso --no-inline` prints: for each sample a line of its thread
/// and period, then a line for each frame, then an empty one.
///
///     silt-flush 29336/29339    1003009
///                c7347 csup_memtable_cursor_next (/usr/bin/siltstone-bench)
///     ffffffff821f2fa7 exc_page_fault ([kernel.kallsyms])
enum PerfScript {
  static func samples(_ text: String) -> [ProfileSample] {
    var samples: [ProfileSample] = []
    var current: ProfileSample?
    func end() {
      if let sample = current, !sample.frames.isEmpty { samples.append(sample) }
      current = nil
    }
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.allSatisfy(\.isWhitespace) {
        end()
      } else if line.first == " " || line.first == "\t" {
        if let frame = frame(line) { current?.frames.append(frame) }
      } else {
        end()
        current = header(line)
      }
    }
    end()
    return samples
  }

  /// `thread name pid/tid period`; the name may hold spaces.
  private static func header(_ line: Substring) -> ProfileSample? {
    let fields = line.split(separator: " ")
    guard fields.count >= 3, let nanoseconds = UInt64(fields[fields.count - 1]),
      fields[fields.count - 2].contains("/")
    else { return nil }
    let name = fields.dropLast(2).joined(separator: " ")
    return ProfileSample(thread: threadKind(name), nanoseconds: nanoseconds, frames: [])
  }

  /// The kernel's helpers for io_uring carry their owner's number, which tells nothing.
  private static func threadKind(_ name: String) -> String { name.hasPrefix("iou-wrk-") ? "iou-wrk" : name }

  /// `address symbol (module)`; the symbol may hold spaces and parentheses.
  private static func frame(_ line: Substring) -> ProfileSample.Frame? {
    let text = line.drop(while: \.isWhitespace)
    guard let space = text.firstIndex(of: " "), let address = UInt64(text[..<space], radix: 16),
      let opening = text.range(of: " (", options: .backwards)?.lowerBound, text.last == ")"
    else { return nil }
    let symbol = opening > space ? String(text[text.index(after: space)..<opening]) : ""
    let module = String(text[text.index(opening, offsetBy: 2)...].dropLast())
    return ProfileSample.Frame(address: address, symbol: symbol == "[unknown]" ? "" : symbol, module: module)
  }
}
