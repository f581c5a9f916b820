import Siltstone

/// How far a stream has been loaded. It is written in the same atomic batch as the records that it counts, so
/// after any crash the two agree, and a load that resumes neither loses a record nor repeats one.
///
/// Key:   `\0siltstone\0load\0` and the stream's name.
/// Value: text, `1 RECORDS SKIPPED LINES BYTES`
///
///     1         version of this format
///     RECORDS   records consumed, the skipped bad ones among them
///     SKIPPED   bad ones among them
///     LINES     lines consumed, header and continuation lines included
///     BYTES     bytes consumed: where the next record begins
struct LoadProgress: Equatable {
  var records: UInt64 = 0
  var skipped: UInt64 = 0
  var lines: UInt64 = 0
  var bytes: UInt64 = 0

  /// Records that are in the database.
  var stored: UInt64 { records - skipped }

  static func key(ofStream name: String) -> [UInt8] {
    ReservedKeys.prefix + Array("load\u{0}".utf8) + RawArguments.bytes(of: name)
  }

  var encoded: [UInt8] { Array("1 \(records) \(skipped) \(lines) \(bytes)".utf8) }

  init() {}

  /// Nil if `bytes` are nothing that `encoded` made.
  init?(_ bytes: [UInt8]) {
    let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    let numbers = words.compactMap { UInt64($0) }
    guard words.count == 5, numbers.count == 5, numbers[0] == 1, numbers[2] <= numbers[1] else { return nil }
    (records, skipped, lines, self.bytes) = (numbers[1], numbers[2], numbers[3], numbers[4])
  }

  /// What an earlier load of this stream has left, if there was one.
  static func stored(in database: Database, stream name: String) throws -> LoadProgress? {
    guard let value = try database.get(key(ofStream: name)) else { return nil }
    guard let progress = LoadProgress(value) else {
      throw ToolError.failed("\(database.directory): the progress of the load \(name) is not readable")
    }
    return progress
  }
}
