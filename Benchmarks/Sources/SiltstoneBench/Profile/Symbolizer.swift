import Foundation

/// A function on a stack, and whose work it is.
struct StackFrame: Hashable, Sendable {
  var function: String
  var room: String
}

/// Names for addresses: the executable's own by its debug information, which also knows what was inlined where and in
/// which file that stands; everything else by the symbols that perf found. The tools are those of the Swift toolchain.
struct Symbolizer {
  /// For each address of the executable, what stands there: the innermost inlined function first.
  private var chains: [UInt64: [(function: String, file: String)]] = [:]
  private var demangled: [String: String] = [:]
  private let executable: String

  init(_ samples: [ProfileSample], executable: String) throws {
    self.executable = executable
    var addresses: Set<UInt64> = []
    var names: Set<String> = []
    for sample in samples {
      for (index, frame) in sample.frames.enumerated() {
        if frame.module == executable { addresses.insert(Symbolizer.place(frame, index)) }
        if frame.symbol.hasPrefix("$s") { names.insert(frame.symbol) }
      }
    }
    if !addresses.isEmpty { try look(up: addresses) }
    for chain in chains.values { names.formUnion(chain.lazy.map(\.function).filter { $0.hasPrefix("$s") }) }
    let ordered = names.sorted()
    if ordered.isEmpty { return }
    let readable = try ToolProcess.filter(ordered, through: ["swift", "demangle", "--simplified"])
    guard readable.count == ordered.count else { throw BenchError("swift demangle lost a name") }
    for (name, text) in zip(ordered, readable) { demangled[name] = Symbolizer.tidied(String(text)) }
  }

  /// A caller's frame holds where it will go on: the call itself is before that.
  private static func place(_ frame: ProfileSample.Frame, _ index: Int) -> UInt64 {
    index == 0 ? frame.address : frame.address - min(frame.address, 1)
  }

  private struct Line: Decodable {
    var functions: [Function]?
    enum CodingKeys: String, CodingKey { case functions = "Symbol" }

    struct Function: Decodable {
      var name: String
      var file: String
      enum CodingKeys: String, CodingKey {
        case name = "FunctionName"
        case file = "FileName"
      }
    }
  }

  private mutating func look(up addresses: Set<UInt64>) throws {
    let segments = try ELFSegments(executable)
    let ordered = addresses.sorted()
    let lines = try ToolProcess.filter(
      ordered.map { "0x" + String(segments.memoryAddress(ofFile: $0), radix: 16) },
      through: ["llvm-symbolizer", "--obj=" + executable, "--output-style=JSON", "--no-demangle"])
    guard lines.count == ordered.count else { throw BenchError("llvm-symbolizer lost an address") }
    let decoder = JSONDecoder()
    for (address, line) in zip(ordered, lines) {
      let functions = try decoder.decode(Line.self, from: Data(line.utf8)).functions ?? []
      chains[address] = functions.filter { !$0.name.isEmpty }.map { ($0.name, $0.file) }
    }
  }

  /// What the compiler adds to a name to tell one copy of a function from another.
  static func tidied(_ name: String) -> String {
    var name = name
    for prefix in ["merged ", "specialized ", "partial apply for "] {
      while name.hasPrefix(prefix) { name.removeFirst(prefix.count) }
    }
    return name.replacingOccurrences(of: "specialized ", with: "")
  }

  private func readable(_ symbol: String) -> String { demangled[symbol] ?? symbol }

  /// The stack of a sample, outermost first, with what was inlined spelled out.
  func stack(_ sample: ProfileSample) -> [StackFrame] {
    var stack: [StackFrame] = []
    for (index, frame) in sample.frames.enumerated().reversed() {
      guard frame.module == executable, let chain = chains[Symbolizer.place(frame, index)], !chain.isEmpty else {
        let room = Room.of(module: frame.module == executable ? "" : frame.module)
        let name = frame.symbol.isEmpty ? "[\(room)]" : readable(frame.symbol)
        stack.append(StackFrame(function: name, room: room))
        continue
      }
      // What comes from elsewhere, the standard library or the compiler itself, works for the room that it was inlined
      // into or called from.
      var room = stack.last.map(\.room) ?? Room.unknown
      if Room.isService(room) { room = Room.unknown }
      for (function, file) in chain.reversed() {
        room = Room.of(source: file) ?? room
        let added = StackFrame(function: readable(function), room: room)
        // An inlined closure or thunk often bears the name of what it stands in.
        if stack.last != added { stack.append(added) }
      }
    }
    return stack
  }
}

/// Where the parts of an ELF file come to lie in memory: perf counts addresses in the file, debug information those in
/// memory.
struct ELFSegments {
  private var segments: [(file: Range<UInt64>, address: UInt64)] = []

  init(_ path: String) throws {
    guard let file = FileHandle(forReadingAtPath: path), let header = try file.read(upToCount: 64), header.count == 64,
      header.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1])
    else { throw BenchError("\(path) is not a 64-bit ELF file") }
    func number<Number: FixedWidthInteger>(_ data: Data, _ offset: Int, _: Number.Type) -> UInt64 {
      UInt64(data.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) })
    }
    let (table, entryBytes, count) = (
      number(header, 32, UInt64.self), number(header, 54, UInt16.self), number(header, 56, UInt16.self)
    )
    try file.seek(toOffset: table)
    for _ in 0..<count where entryBytes >= 56 {
      guard let entry = try file.read(upToCount: Int(entryBytes)), entry.count == Int(entryBytes) else { break }
      let isLoaded = number(entry, 0, UInt32.self) == 1
      let (begin, bytes) = (number(entry, 8, UInt64.self), number(entry, 32, UInt64.self))
      if isLoaded { segments.append((begin..<begin &+ max(bytes, 1), number(entry, 16, UInt64.self))) }
    }
  }

  func memoryAddress(ofFile offset: UInt64) -> UInt64 {
    guard let segment = segments.first(where: { $0.file.contains(offset) }) else { return offset }
    return segment.address + (offset - segment.file.lowerBound)
  }
}
