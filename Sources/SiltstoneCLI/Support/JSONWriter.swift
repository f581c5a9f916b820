/// A JSON value, for `--json`. Small and written out by hand: results are a few hundred bytes.
enum JSONValue: CustomStringConvertible {
  case string(String)
  case integer(UInt64)
  case number(Double)
  case bool(Bool)
  case array([JSONValue])
  /// In the order given.
  case object([(String, JSONValue)])

  /// A count that happens to be signed.
  static func integer(_ value: Int) -> JSONValue { .integer(UInt64(max(0, value))) }

  var description: String {
    switch self {
    case .string(let text): JSONValue.quoted(text)
    case .integer(let value): String(value)
    case .number(let value): value.isFinite ? String(value) : "null"
    case .bool(let value): value ? "true" : "false"
    case .array(let values): "[" + values.map(\.description).joined(separator: ",") + "]"
    case .object(let members):
      "{" + members.map { JSONValue.quoted($0) + ":" + $1.description }.joined(separator: ",") + "}"
    }
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case ..<" ":
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
