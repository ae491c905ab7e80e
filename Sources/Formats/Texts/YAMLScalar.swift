import XMLRPC

/// The error of a scalar that does not fit its tag or form.
nonisolated struct YAMLScalarError: Error {
  let message: String
}

/// Converts scalars to the types of YAML 1.1, as PyYAML does.
///
/// Source of the forms: https://yaml.org/type/; PyYAML is followed where it is stricter or looser (an exponent needs a
/// point and a sign).
enum YAMLScalar {
  nonisolated static func standard(_ type: String) -> String { "tag:yaml.org,2002:\(type)" }

  /// - Parameter tag: libyaml's tag; nil if there is none.
  /// - Parameter isPlain: unquoted and untagged, so that the form decides.
  static func value(_ text: String, tag: String?, isPlain: Bool) throws(YAMLScalarError) -> JSONValue {
    let kind: Kind
    if isPlain {
      kind = resolved(text)
    } else if let tag, let known = Kind.allCases.first(where: { standard($0.rawValue) == tag }) {
      kind = known
    } else if let tag, tag != "!", tag != standard("str"), tag != standard("binary") {
      // Ignore an application's own tag.
      kind = resolved(text)
    } else {
      if tag == standard("binary") { return .string(try binary(text)) }
      return .string(text)
    }
    return try value(text, kind)
  }

  /// Types with forms of their own.
  private enum Kind: String, CaseIterable {
    case null, bool, int, float, timestamp, str
  }

  private static let integer = form(
    "[-+]?(?:0b[0-1_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+)")
  private static let number = form(
    "(?:[-+]?[0-9][0-9_]*\\.[0-9_]*|\\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?"
      + "|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\\.[0-9_]*|[-+]?\\.(?:inf|Inf|INF)|\\.(?:nan|NaN|NAN)")
  private static let time = form(
    "(?P<year>[0-9]{4})-(?P<month>[0-9][0-9]?)-(?P<day>[0-9][0-9]?)(?:(?:[Tt]|[ \\t]+)(?P<hour>[0-9][0-9]?)"
      + ":(?P<minute>[0-9][0-9]):(?P<second>[0-9][0-9])(?:\\.(?P<fraction>[0-9]*))?"
      + "(?:[ \\t]*(?P<zone>Z|(?P<sign>[-+])(?P<zoneHour>[0-9][0-9]?)(?::(?P<zoneMinute>[0-9][0-9]))?))?)?")

  private static func form(_ pattern: String) -> PythonRegex {
    do throws(RegexError) {
      return try PythonRegex(pattern, finds: .wholeText)
    } catch {
      preconditionFailure("\(error)")
    }
  }

  /// The type of a plain scalar by its form.
  private static func resolved(_ text: String) -> Kind {
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "yes", "Yes", "YES", "no", "No", "NO", "true", "True", "TRUE", "false", "False", "FALSE", "on", "On", "ON",
      "off", "Off", "OFF":
      return .bool
    default: break
    }
    guard let first = text.utf8.first, first &- 0x30 < 10 || "+-.".utf8.contains(first), text.utf8.count <= 1024 else {
      return .str
    }
    if integer.matches(text) { return .int }
    if number.matches(text) { return .float }
    // A date without a time has two digits for month and day.
    if time.matches(text), text.contains(":") || text.utf8.count == 10 { return .timestamp }
    return .str
  }

  private static func value(_ text: String, _ kind: Kind) throws(YAMLScalarError) -> JSONValue {
    switch kind {
    case .str: return .string(text)
    case .null: return .null
    case .bool:
      switch text.lowercased() {
      case "yes", "true", "on": return .boolean(true)
      case "no", "false", "off": return .boolean(false)
      default: throw YAMLScalarError(message: "'\(text)' is no boolean")
      }
    case .int: return try integer(text)
    case .float: return .number(try number(text))
    case .timestamp: return .string(try time(text))
    }
  }

  /// The sign, and the rest of a number without underscores.
  private static func parts(_ text: String) -> (isNegative: Bool, digits: Substring) {
    let digits = Substring(text.filter { $0 != "_" })
    let isNegative = digits.utf8.first == UInt8(ascii: "-")
    return (isNegative, isNegative || digits.utf8.first == UInt8(ascii: "+") ? digits.dropFirst() : digits)
  }

  private static func integer(_ text: String) throws(YAMLScalarError) -> JSONValue {
    let (isNegative, digits) = parts(text)
    let sign = isNegative ? "-" : ""
    if digits.contains(":") {
      let number = try sexagesimal(digits, text)
      return .integer(Int(isNegative ? -number : number))
    }
    let (radix, rest): (Int, Substring) =
      digits.hasPrefix("0b")
      ? (2, digits.dropFirst(2))
      : digits.hasPrefix("0x")
        ? (16, digits.dropFirst(2)) : digits.hasPrefix("0") && digits != "0" ? (8, digits.dropFirst()) : (10, digits)
    if let number = Int(sign + rest, radix: radix) { return .integer(number) }
    // Beyond 64 bits.
    guard !rest.isEmpty, rest.allSatisfy({ $0.hexDigitValue.map { $0 < radix } ?? false }) else {
      throw YAMLScalarError(message: "'\(text)' is no integer")
    }
    if radix == 10, let number = Double(sign + rest) { return .number(number) }
    let number = rest.reduce(0.0) { $0 * Double(radix) + Double($1.hexDigitValue ?? 0) }
    return .number(isNegative ? -number : number)
  }

  private static func number(_ text: String) throws(YAMLScalarError) -> Double {
    let (isNegative, digits) = parts(text.lowercased())
    let number: Double?
    switch digits {
    case ".inf": number = .infinity
    case ".nan": number = .nan
    case _ where digits.contains(":"): number = try sexagesimal(digits, text)
    default: number = Double(digits.hasSuffix(".") ? digits + "0" : digits)
    }
    guard let number else { throw YAMLScalarError(message: "'\(text)' is no number") }
    return isNegative ? -number : number
  }

  /// Numbers to the base of 60: `1:30`.
  private static func sexagesimal(_ digits: Substring, _ text: String) throws(YAMLScalarError) -> Double {
    var number = 0.0
    for part in digits.split(separator: ":", omittingEmptySubsequences: false) {
      guard let digit = Double(part.hasSuffix(".") ? part + "0" : part) else {
        throw YAMLScalarError(message: "'\(text)' is no number")
      }
      number = number * 60 + digit
    }
    guard number < 0x1p53 else { throw YAMLScalarError(message: "'\(text)' is too large") }
    return number
  }

  /// A date, with or without its time, as Python's `str` shows it.
  private static func time(_ text: String) throws(YAMLScalarError) -> String {
    guard let match = time.match(text) else { throw YAMLScalarError(message: "'\(text)' is no date") }
    func part(_ name: String) -> Int { match[name].flatMap { Int($0) } ?? 0 }
    let (year, month, day) = (part("year"), part("month"), part("day"))
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard year > 0, (1...12).contains(month), (1...days[month - 1]).contains(day) else {
      throw YAMLScalarError(message: "'\(text)' is no date: month must be in 1..12 and day in the month")
    }
    var shown = "\(padded(year, 4))-\(padded(month))-\(padded(day))"
    guard match["hour"] != nil else { return shown }
    let (hour, minute, second) = (part("hour"), part("minute"), part("second"))
    guard hour < 24, minute < 60, second < 60 else { throw YAMLScalarError(message: "'\(text)' is no time of a day") }
    shown += " \(padded(hour)):\(padded(minute)):\(padded(second))"
    let fraction = (match["fraction"] ?? "").prefix(6)
    if fraction.contains(where: { $0 != "0" }) {
      shown += "." + fraction + String(repeating: "0", count: 6 - fraction.count)
    }
    guard let zone = match["zone"] else { return shown }
    let isBehind = match["sign"] == "-"
    let (zoneHour, zoneMinute) = (part("zoneHour"), part("zoneMinute"))
    guard zoneHour < 24, zoneMinute < 60 else { throw YAMLScalarError(message: "'\(text)' has no time zone") }
    if zone == "Z" || zoneHour + zoneMinute == 0 { return shown + "+00:00" }
    return shown + "\(isBehind ? "-" : "+")\(padded(zoneHour)):\(padded(zoneMinute))"
  }

  private static func padded(_ number: Int, _ width: Int = 2) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(width - digits.utf8.count, 0)) + digits
  }

  /// Decodes Base64 of text.
  private static func binary(_ text: String) throws(YAMLScalarError) -> String {
    guard let bytes = Base64.decode(Array(text.utf8)) else { throw YAMLScalarError(message: "failed to decode base64") }
    guard let decoded = String(validating: bytes, as: UTF8.self) else {
      throw YAMLScalarError(message: "binary data that is no text")
    }
    return decoded
  }
}

extension JSONValue {
  /// The name of Python's type for the value.
  package nonisolated var pythonTypeName: String {
    switch self {
    case .null: "NoneType"
    case .boolean: "bool"
    case .integer: "int"
    case .number: "float"
    case .string: "str"
    case .array: "list"
    case .object: "dict"
    }
  }

  /// A scalar as Python shows it, where a name is needed; nil for lists and mappings.
  package nonisolated var nameText: String? {
    switch self {
    case .null: "None"
    case .boolean(let flag): flag ? "True" : "False"
    case .integer(let number): String(number)
    case .number(let number): String(number)
    case .string(let text): text
    case .array, .object: nil
    }
  }
}
