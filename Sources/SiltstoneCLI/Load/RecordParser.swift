/// Cuts the records of one stream into keys and values.
///
/// The record that `parse` returns is valid until the next call, and no longer than the reader's current
/// line.
struct RecordParser: ~Copyable {
  private let format: StreamFormat
  /// Fields by number; nil where the whole line, or its first field, is the key.
  private var fields: [Int]?
  /// Fields by name, until a CSV header has said which numbers they have.
  private let names: [String]
  private var json: JSONFields
  private var csv = CSVRecord()
  private var key = ScratchBuffer()
  private var value = ScratchBuffer()
  private var ranges: [Range<Int>] = []
  /// The stream begins with a line that names the fields.
  let hasHeader: Bool

  init(format: StreamFormat, key: KeyFields?, hasHeader: Bool) throws {
    switch format {
    case .ndjson where key == nil: throw ToolError.failed("--format ndjson needs --key")
    case .tsv where key != nil && key?.numbers == nil, .lines where key != nil && key?.numbers == nil:
      throw ToolError.failed("--key: \(format.rawValue) has fields by number only")
    default: break
    }
    let names = key?.names ?? []
    let json = try JSONFields(format == .ndjson ? names : [])
    self.init(
      format: format, fields: key == nil && format == .csv ? [0] : key?.numbers, names: names, json: json,
      hasHeader: hasHeader || (format == .csv && key != nil && key?.numbers == nil))
  }

  // An initializer of its own: one that can throw with half its members set is more than the optimizer gets right.
  private init(
    format: StreamFormat, fields: [Int]?, names: [String], json: consuming JSONFields, hasHeader: Bool
  ) {
    self.format = format
    self.fields = fields
    self.names = names
    self.json = json
    self.hasHeader = hasHeader
  }

  /// Lengthens the reader's line to the record's end where records can span lines, then cuts it.
  mutating func parse(_ reader: inout LineReader) throws -> Record {
    if reader.isTooLong { throw BadRecord(reason: "longer than any record that can be stored") }
    switch format {
    case .tsv:
      guard let fields else { return try TextFields.splitAtTab(reader.line) }
      return try TextFields.select(fields, of: reader.line, key: &key, value: &value, ranges: &ranges)
    case .lines:
      guard let fields else {
        return Record(key: reader.line, value: UnsafeRawBufferPointer(rebasing: reader.line[..<0]))
      }
      return try TextFields.selectWords(fields, of: reader.line, key: &key, ranges: &ranges)
    case .ndjson:
      try json.extract(from: reader.line, into: &key)
      return Record(key: key.bytes, value: reader.line)
    case .csv:
      try completeCSV(&reader)
      key.removeAll()
      for (position, field) in (fields ?? [0]).enumerated() {
        if position > 0 { key.append(UInt8(ascii: "\t")) }
        try csv.append(field, of: reader.line, to: &key)
      }
      return Record(key: key.bytes, value: CSVRecord.withoutCarriageReturn(reader.line))
    }
  }

  /// Passes over one record without storing it.
  mutating func skip(_ reader: inout LineReader) throws {
    guard format == .csv else { return }
    do {
      try completeCSV(&reader)
    } catch is BadRecord {
      // It was counted when it was met the first time.
    }
  }

  /// Learns the numbers of the fields from the reader's line, the header.
  mutating func readHeader(_ reader: inout LineReader) throws {
    guard format == .csv else { return }
    try completeCSV(&reader)
    if fields != nil { return }
    var header: [String] = []
    for index in 0..<csv.fieldCount {
      key.removeAll()
      try csv.append(index, of: reader.line, to: &key)
      header.append(String(decoding: key.bytes, as: UTF8.self))
    }
    // A byte order mark is no part of the first name.
    if header.first?.unicodeScalars.first == "\u{FEFF}" { header[0].unicodeScalars.removeFirst() }
    fields = try names.map { name in
      guard let index = header.firstIndex(of: name) else {
        throw BadRecord(reason: "the header names no field \(name)")
      }
      return index
    }
  }

  private mutating func completeCSV(_ reader: inout LineReader) throws {
    csv.begin()
    while try csv.scan(reader.line) == .needsNextLine {
      guard try reader.extend() else { throw BadRecord(reason: "a quoted field does not end") }
      if reader.isTooLong { throw BadRecord(reason: "longer than any record that can be stored") }
    }
  }
}
