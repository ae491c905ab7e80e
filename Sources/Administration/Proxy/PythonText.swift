import Glibc
public import XMLRPC

/// Values as Python 3 prints them.
public nonisolated enum PythonText {
  /// What `print` writes of a value: a string is its text, all else its `repr`.
  public static func printed(_ value: Value) -> String {
    switch value {
    case .string(let text), .dateTime(let text): text
    case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
    default: representation(value)
    }
  }

  /// `repr` of a value.
  public static func representation(_ value: Value) -> String {
    switch value {
    case .nil: return "None"
    case .bool(let flag): return flag ? "True" : "False"
    case .int(let number): return String(number)
    case .bigInteger(let digits): return digits
    case .double(let number): return representation(number)
    case .string(let text): return representation(text)
    case .escaped(let segments):
      var bytes: [UInt8] = []
      segments.forEachSegment { bytes += $0 }
      return representation(String(decoding: bytes, as: UTF8.self))
    case .bytes(let bytes): return "b" + quoted(bytes.map { Unicode.Scalar($0) }) { "\\x" + hexadecimal($0.value, 2) }
    case .dateTime(let text): return "<DateTime \(representation(text))>"
    case .array(let elements): return "[" + elements.map(representation).joined(separator: ", ") + "]"
    case .structure(let members):
      let items = members.map { "\(representation($0.name)): \(representation($0.value))" }
      return "{" + items.joined(separator: ", ") + "}"
    }
  }

  /// `repr` of a string: printable letters beyond ASCII stay.
  static func representation(_ text: String) -> String {
    quoted(Array(text.unicodeScalars)) { scalar in
      if scalar.value < 0x7f { return nil }
      if isPrintable(scalar) { return String(scalar) }
      if scalar.value < 0x100 { return "\\x" + hexadecimal(scalar.value, 2) }
      if scalar.value < 0x10000 { return "\\u" + hexadecimal(scalar.value, 4) }
      return "\\U" + hexadecimal(scalar.value, 8)
    }
  }

  /// - Parameter beyond: how a character beyond printable ASCII is written; nil: as a control character.
  private static func quoted(_ scalars: [Unicode.Scalar], beyond: (Unicode.Scalar) -> String?) -> String {
    let quote: Unicode.Scalar = scalars.contains("'") && !scalars.contains("\"") ? "\"" : "'"
    var text = String(quote)
    for scalar in scalars {
      switch scalar {
      case quote, "\\": text += "\\" + String(scalar)
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case " "..."~": text.unicodeScalars.append(scalar)
      default: text += beyond(scalar) ?? "\\x" + hexadecimal(scalar.value, 2)
      }
    }
    return text + String(quote)
  }

  private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
      .spaceSeparator:
      false
    default: true
    }
  }

  private static func hexadecimal(_ number: UInt32, _ width: Int) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// `repr` of a float: shortest digits, an exponent below 1e-4 and from 1e16.
  static func representation(_ number: Double) -> String {
    if number.isNaN { return "nan" }
    if abs(number) < 1e16, number != 0, number == number.rounded() { return "\(Int64(number)).0" }
    return number.description
  }
}

/// `get_statistics` as `bcfg2-admin perf` shows it.
public nonisolated enum PerformanceTable {
  /// The lines of the table; nil if the answer is not what `get_statistics` says.
  public static func lines(_ statistics: Value) -> [String]? {
    guard let members = statistics.members else { return nil }
    var rows = [["Name", "Min", "Max", "Mean", "Count"]]
    for member in members.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
      guard let values = member.value.array, let count = values.last else { return nil }
      rows.append([member.name] + values.dropLast().map(sixDecimals) + [PythonText.printed(count)])
    }
    return table(rows)
  }

  private static func sixDecimals(_ value: Value) -> String {
    let number =
      switch value {
      case .double(let number): number
      case .int(let number): Double(number)
      default: Double.nan
      }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 400) { buffer in
      _ = withVaList([number]) { vsnprintf(buffer.baseAddress, buffer.count, "%.06f", $0) }
      return String(cString: buffer.baseAddress!)
    }
  }

  /// Columns as wide as their widest cell and two blanks, a rule above and below the first row.
  private static func table(_ rows: [[String]]) -> [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      2 + (rows.compactMap { column < $0.count ? $0[column].count : nil }.max() ?? 0)
    }
    let rule = widths.map { String(repeating: "=", count: $0) }.joined(separator: " ")
    let lines = rows.map { row in
      zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: " ")
    }
    return [rule, lines[0], rule] + lines.dropFirst()
  }
}

/// A value as JSON: `Output.printJSON` prints it.
public nonisolated struct JSONText: Encodable {
  private let value: Value

  public init(_ value: Value) { self.value = value }

  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  public func encode(to encoder: any Encoder) throws {
    switch value {
    case .array(let elements):
      var list = encoder.unkeyedContainer()
      for element in elements { try list.encode(JSONText(element)) }
    case .structure(let members):
      var object = encoder.container(keyedBy: Key.self)
      for member in members { try object.encode(JSONText(member.value), forKey: Key(stringValue: member.name)) }
    default:
      var single = encoder.singleValueContainer()
      switch value {
      case .nil: try single.encodeNil()
      case .bool(let flag): try single.encode(flag)
      case .int(let number): try single.encode(number)
      case .double(let number):
        if number.isFinite { try single.encode(number) } else { try single.encode(number.description) }
      case .bytes(let bytes): try single.encode(String(decoding: Base64.encode(bytes), as: UTF8.self))
      default: try single.encode(PythonText.printed(value))
      }
    }
  }
}
