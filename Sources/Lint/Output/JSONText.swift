/// JSON as text, with members in the order given.
nonisolated indirect enum JSONText {
  case string(String)
  case number(Int)
  case array([JSONText])
  case object(KeyValuePairs<String, JSONText?>)

  /// Indented by two blanks a level. Members that are nil are left out.
  func text(indent: String = "") -> String {
    let inner = indent + "  "
    switch self {
    case .number(let number): return "\(number)"
    case .string(let string): return Self.quoted(string)
    case .array(let items):
      if items.isEmpty { return "[]" }
      return "[\n" + items.map { inner + $0.text(indent: inner) }.joined(separator: ",\n") + "\n\(indent)]"
    case .object(let members):
      let lines = members.compactMap { name, value in
        value.map { "\(inner)\(Self.quoted(name)): \($0.text(indent: inner))" }
      }
      return lines.isEmpty ? "{}" : "{\n" + lines.joined(separator: ",\n") + "\n\(indent)}"
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
      case "\r": result += "\\r"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
