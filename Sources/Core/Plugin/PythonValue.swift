package import XMLRPC

extension String {
  /// The first `limit` bytes of the text, for log lines; followed by the length if it is cut.
  package nonisolated func beginning(bytes limit: Int) -> String {
    let bytes = utf8
    guard bytes.count > limit else { return self }
    return String(decoding: bytes.prefix(limit), as: UTF8.self) + "... (\(bytes.count) bytes)"
  }
}

extension Value {
  /// The name of the Python type that the Python server would hold: part of its faults.
  var pythonTypeName: String {
    switch self {
    case .nil: "NoneType"
    case .bool: "bool"
    case .int: "int"
    case .bigInteger: "long"
    case .double: "float"
    case .string, .escaped: "str"
    case .bytes: "Binary"
    case .dateTime: "DateTime"
    case .array: "list"
    case .structure: "dict"
    }
  }

  /// The value as Python's `%s` shows it: the name that Python looks up if a client sends a number.
  ///
  /// - Throws: `ParameterError` for lists and dictionaries, which cannot be names.
  package func pythonName() throws -> String {
    switch self {
    case .nil: return "None"
    case .bool(let flag): return flag ? "True" : "False"
    case .int(let number): return String(number)
    case .bigInteger(let digits): return digits
    case .double(let number): return String(number)
    case .string(let text): return text
    case .dateTime(let text): return text
    case .bytes(let bytes): return String(decoding: bytes, as: UTF8.self)
    case .escaped, .array, .structure: throw ParameterError("unhashable type: '\(pythonTypeName)'")
    }
  }

  /// The text of a parameter that must be a string.
  ///
  /// - Throws: `ParameterError` with the Python server's words.
  func pythonText(attribute: String = "encode") throws -> String {
    guard case .string(let text) = self else {
      throw ParameterError("'\(pythonTypeName)' object has no attribute '\(attribute)'")
    }
    return text
  }

  /// A debug flag: a boolean, a number equal to one in Python, or the string "true" in any case.
  func debugFlag() throws -> Bool {
    switch self {
    case .bool(let flag): return flag
    case .int(let number) where number == 0 || number == 1: return number == 1
    case .double(let number) where number == 0 || number == 1: return number == 1
    default: return try pythonText(attribute: "lower").lowercased() == "true"
    }
  }

  /// Whether the value is true in Python.
  package var isTruthy: Bool {
    switch self {
    case .nil: false
    case .bool(let flag): flag
    case .int(let number): number != 0
    case .double(let number): number != 0
    case .string(let text): !text.isEmpty
    case .array(let items): !items.isEmpty
    case .structure(let members): !members.isEmpty
    case .bytes, .dateTime, .escaped, .bigInteger: true
    }
  }
}
