import ArgumentParser

/// One pair of a stream: views of the line that it was read from, or of the parser's scratch memory.
struct Record {
  var key: UnsafeRawBufferPointer
  var value: UnsafeRawBufferPointer
}

/// Why a line cannot be stored. Thrown for one line of many, and either reported with its number or counted.
struct BadRecord: Error {
  let reason: String
}

/// How a stream is cut into keys and values.
enum StreamFormat: String, ExpressibleByArgument, CaseIterable {
  case tsv, csv, ndjson, lines
}

/// The fields of `--key`, as the user named them, counted from 1 if they are numbers.
struct KeyFields {
  let names: [String]
  /// The numbers, counted from 0, if all of them are numbers.
  let numbers: [Int]?

  /// `list` is `FIELD[,FIELD]`.
  init(_ list: String) throws {
    names = list.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard !names.contains("") else { throw ToolError.failed("--key \(list): a field has no name") }
    let parsed = names.map { Int($0) }
    if parsed.contains(where: { $0.map { $0 < 1 } ?? false }) {
      throw ToolError.failed("--key \(list): fields are counted from 1")
    }
    numbers = parsed.contains(nil) ? nil : parsed.compactMap { $0.map { $0 - 1 } }
  }
}
