import Glibc

/// Takes fields out of a line of JSON without building anything, and checks on the way that the line is one
/// JSON value (RFC 8259), so that what is stored is known to be readable.
///
/// A path is `name.name...`; a number also counts into an array, from 0. A field must be a string, a number
/// or a boolean: a string counts as its text, the others as they are written. Where an object repeats a name,
/// the last one counts.
struct JSONFields: ~Copyable {
  /// 32 paths fit one word of bits; a key of more fields is a mistake.
  static let maxPaths = 32
  /// As deep as recursion may go on hostile input: 512 frames of this parser fit the smallest usual stack.
  private static let maxDepth = 512

  private let paths: [[[UInt8]]]
  /// Where each path's value was found, quotes included; empty if it was not.
  private var found: [Range<Int>]
  private var name = ScratchBuffer()
  private var text = UnsafeRawBufferPointer(start: nil, count: 0)
  private var position = 0

  init(_ paths: [String]) throws {
    guard paths.count <= JSONFields.maxPaths else { throw ToolError.failed("--key: more than 32 fields") }
    self.paths = paths.map {
      $0.split(separator: ".", omittingEmptySubsequences: false).map { Array($0.utf8) }
    }
    found = Array(repeating: 0..<0, count: paths.count)
  }

  /// Puts the fields of `line` into `key`, joined by tabs.
  mutating func extract(from line: UnsafeRawBufferPointer, into key: inout ScratchBuffer) throws(BadRecord) {
    try JSONFields.checkUTF8(line)
    text = line
    position = 0
    for index in found.indices { found[index] = 0..<0 }
    let all = UInt32(truncatingIfNeeded: (UInt64(1) << UInt64(paths.count)) - 1)
    skipSpace()
    try value(depth: 0, candidates: all)
    skipSpace()
    if position != text.count { throw bad("something follows the value") }
    key.removeAll()
    for index in paths.indices {
      if index > 0 { key.append(UInt8(ascii: "\t")) }
      try append(found[index], path: index, to: &key)
    }
  }

  private func append(_ range: Range<Int>, path: Int, to key: inout ScratchBuffer) throws(BadRecord) {
    func missing(_ what: String) -> BadRecord {
      let path = paths[path].map { String(decoding: $0, as: UTF8.self) }.joined(separator: ".")
      return BadRecord(reason: "field \(path) \(what)")
    }
    if range.isEmpty { throw missing("is missing") }
    let value = UnsafeRawBufferPointer(rebasing: text[range])
    switch value[0] {
    case UInt8(ascii: "\""): JSONText.append(value.dropFirst().dropLast(), to: &key)
    case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "n"):
      throw missing("is no string, number or boolean")
    default: key.append(value)
    }
  }

  private static func checkUTF8(_ line: UnsafeRawBufferPointer) throws(BadRecord) {
    do {
      _ = try UTF8Span(validating: Span<UInt8>(_bytes: line.bytes))
    } catch {
      throw BadRecord(reason: "no JSON: the text is not UTF-8")
    }
  }

  private func bad(_ reason: String) -> BadRecord {
    BadRecord(reason: "no JSON: \(reason) (column \(position + 1))")
  }
}

// MARK: - Grammar

extension JSONFields {
  /// Reads one value. `candidates` are the paths, one bit each, that lead here or further down.
  private mutating func value(depth: Int, candidates: UInt32) throws(BadRecord) {
    let start = position
    switch peek {
    case UInt8(ascii: "{"): try object(depth: depth, candidates: candidates)
    case UInt8(ascii: "["): try array(depth: depth, candidates: candidates)
    case UInt8(ascii: "\""): try string()
    case UInt8(ascii: "t"): try literal("true")
    case UInt8(ascii: "f"): try literal("false")
    case UInt8(ascii: "n"): try literal("null")
    case .some: try number()
    case nil: throw bad("the line ends where a value is due")
    }
    guard candidates != 0 else { return }
    for index in paths.indices where candidates >> UInt32(index) & 1 == 1 && paths[index].count == depth {
      found[index] = start..<position
    }
  }

  private mutating func object(depth: Int, candidates: UInt32) throws(BadRecord) {
    if depth == JSONFields.maxDepth { throw bad("nested more than \(JSONFields.maxDepth) deep") }
    position += 1
    skipSpace()
    if take(UInt8(ascii: "}")) { return }
    while true {
      guard peek == UInt8(ascii: "\"") else { throw bad("a name in quotes is due") }
      let start = position
      try string()
      let inner = candidates == 0 ? 0 : matching(start + 1..<position - 1, depth, candidates)
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw bad("a colon is due") }
      skipSpace()
      try value(depth: depth + 1, candidates: inner)
      skipSpace()
      if take(UInt8(ascii: "}")) { return }
      guard take(UInt8(ascii: ",")) else { throw bad("a comma or a closing brace is due") }
      skipSpace()
    }
  }

  private mutating func array(depth: Int, candidates: UInt32) throws(BadRecord) {
    if depth == JSONFields.maxDepth { throw bad("nested more than \(JSONFields.maxDepth) deep") }
    position += 1
    skipSpace()
    if take(UInt8(ascii: "]")) { return }
    var index = 0
    while true {
      try value(depth: depth + 1, candidates: candidates == 0 ? 0 : matching(index, depth, candidates))
      skipSpace()
      if take(UInt8(ascii: "]")) { return }
      guard take(UInt8(ascii: ",")) else { throw bad("a comma or a closing bracket is due") }
      skipSpace()
      index += 1
    }
  }

  private mutating func string() throws(BadRecord) {
    position += 1
    while position < text.count {
      let byte = text[position]
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return
      case UInt8(ascii: "\\"): try escape()
      case ..<0x20: throw bad("a control character in a string")
      default: position += 1
      }
    }
    throw bad("a string does not end")
  }

  private mutating func escape() throws(BadRecord) {
    position += 1
    guard let byte = peek else { throw bad("a string does not end") }
    guard byte == UInt8(ascii: "u") else {
      guard JSONText.unescaped(byte) != nil else { throw bad("an unknown escape") }
      position += 1
      return
    }
    position += 1
    guard position + 4 <= text.count, text[position..<position + 4].allSatisfy({ JSONText.digit($0) != nil })
    else {
      throw bad("four hexadecimal digits are due")
    }
    position += 4
  }

  private mutating func number() throws(BadRecord) {
    _ = take(UInt8(ascii: "-"))
    if !take(UInt8(ascii: "0")) { try digits() }
    if take(UInt8(ascii: ".")) { try digits() }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try digits()
    }
  }

  private mutating func digits() throws(BadRecord) {
    let start = position
    while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
    if position == start { throw bad("a value is due") }
  }

  private mutating func literal(_ word: StaticString) throws(BadRecord) {
    guard text.count - position >= word.utf8CodeUnitCount, let base = text.baseAddress,
      memcmp(base + position, word.utf8Start, word.utf8CodeUnitCount) == 0
    else { throw bad("a value is due") }
    position += word.utf8CodeUnitCount
  }

  private var peek: UInt8? { position < text.count ? text[position] : nil }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A { position += 1 }
  }

  /// Those of `candidates` whose step at `depth` is the name at `range`.
  private mutating func matching(_ range: Range<Int>, _ depth: Int, _ candidates: UInt32) -> UInt32 {
    name.removeAll()
    JSONText.append(text[range], to: &name)
    return narrowed(candidates, depth, to: name.bytes)
  }

  private func matching(_ index: Int, _ depth: Int, _ candidates: UInt32) -> UInt32 {
    var digits = String(index)
    return digits.withUTF8 { narrowed(candidates, depth, to: UnsafeRawBufferPointer($0)) }
  }

  private func narrowed(_ candidates: UInt32, _ depth: Int, to step: UnsafeRawBufferPointer) -> UInt32 {
    var result: UInt32 = 0
    for index in paths.indices where candidates >> UInt32(index) & 1 == 1 && paths[index].count > depth {
      if paths[index][depth].elementsEqual(step) { result |= 1 << UInt32(index) }
    }
    return result
  }
}
