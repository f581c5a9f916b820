import Glibc

/// Splits one CSV record into fields, as RFC 4180 has it: commas between fields, and quotes around a field
/// that holds commas, quotes (doubled) or line ends. A record ends at a line end outside quotes, LF or CRLF.
///
/// Feed it the line, and if it asks for more the same line made longer; it goes on where it stopped.
struct CSVRecord: ~Copyable {
  enum Outcome { case complete, needsNextLine }

  private struct Field {
    var range: Range<Int>  // without the outer quotes
    var hasDoubledQuotes: Bool
  }
  private enum State { case fieldStart, plain, quoted, afterQuote }

  private var fields: [Field] = []
  private var state = State.fieldStart
  private var position = 0
  private var fieldStart = 0
  private var fieldEnd = 0
  private var hasDoubledQuotes = false

  private static let quote = UInt8(ascii: "\"")
  private static let comma = UInt8(ascii: ",")
  private static let carriageReturn = UInt8(ascii: "\r")

  var fieldCount: Int { fields.count }

  /// Forgets the last record.
  mutating func begin() {
    fields.removeAll(keepingCapacity: true)
    state = .fieldStart
    position = 0
    fieldStart = 0
  }

  /// Takes in `line` from where the last call stopped to its end.
  mutating func scan(_ line: UnsafeRawBufferPointer) throws(BadRecord) -> Outcome {
    while position < line.count {
      let byte = line[position]
      switch state {
      case .fieldStart:
        hasDoubledQuotes = false
        fieldStart = position
        if byte == CSVRecord.quote {
          state = .quoted
          fieldStart += 1
          position += 1
        } else {
          state = .plain
        }
      case .plain:
        if byte == CSVRecord.quote {
          throw BadRecord(reason: "a quote inside a field that does not begin with one")
        }
        if byte == CSVRecord.comma { endField(at: position) }
        position += 1
      case .quoted:
        guard let found = memchr(line.baseAddress! + position, Int32(CSVRecord.quote), line.count - position)
        else {
          position = line.count
          return .needsNextLine
        }
        position = UnsafeRawPointer(found) - line.baseAddress! + 1
        fieldEnd = position - 1
        state = .afterQuote
      case .afterQuote:
        try continueAfterQuote(byte, isLast: position == line.count - 1)
      }
    }
    if state == .quoted { return .needsNextLine }
    endRecord(line)
    return .complete
  }

  private mutating func continueAfterQuote(_ byte: UInt8, isLast: Bool) throws(BadRecord) {
    if byte == CSVRecord.quote {
      hasDoubledQuotes = true
      state = .quoted
    } else if byte == CSVRecord.comma {
      endField(at: fieldEnd)
    } else if !(byte == CSVRecord.carriageReturn && isLast) {
      throw BadRecord(reason: "a quoted field is followed by something else than a comma")
    }
    position += 1
  }

  private mutating func endField(at end: Int) {
    fields.append(Field(range: fieldStart..<end, hasDoubledQuotes: hasDoubledQuotes))
    state = .fieldStart
    hasDoubledQuotes = false
  }

  private mutating func endRecord(_ line: UnsafeRawBufferPointer) {
    let end = CSVRecord.withoutCarriageReturn(line).count
    switch state {
    case .afterQuote: endField(at: fieldEnd)
    case .plain: endField(at: max(fieldStart, end))
    case .fieldStart:  // an empty last field, or an empty line
      fieldStart = end
      endField(at: end)
    case .quoted: break
    }
  }

  /// The line without the CR of a CRLF.
  static func withoutCarriageReturn(_ line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    line.last == carriageReturn ? UnsafeRawBufferPointer(rebasing: line.dropLast()) : line
  }

  /// Appends a field's content, quotes undone. REQUIRES: the record is complete, and `line` is its line.
  func append(_ index: Int, of line: UnsafeRawBufferPointer, to output: inout ScratchBuffer) throws(BadRecord) {
    guard index < fields.count else {
      throw BadRecord(reason: "no field \(index + 1): the record has \(fields.count)")
    }
    let field = fields[index]
    let content = UnsafeRawBufferPointer(rebasing: line[field.range])
    guard field.hasDoubledQuotes else { return output.append(content) }
    var isSecondQuote = false
    for byte in content {
      isSecondQuote = byte == CSVRecord.quote && !isSecondQuote
      if !isSecondQuote { output.append(byte) }
    }
  }
}
