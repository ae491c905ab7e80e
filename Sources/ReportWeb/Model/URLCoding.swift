/// Percent encoding of paths, queries and forms.
enum URLCoding {
  private static let hex = Array("0123456789ABCDEF".utf8)

  /// Encodes a name as one step of a path, or as a value of a query. Only letters, digits and `-_~.:@|,=` stay, so that `/`, `%` and `?` are
  /// those of the name. A dot that would make an end `.json` or `.csv` is encoded, as these choose the format.
  static func encode(_ name: String) -> String {
    var result: [UInt8] = []
    let bytes = Array(name.utf8)
    let lower = name.lowercased()
    let suffix = Format.suffixes.first { lower.hasSuffix($0.suffix) }
    let dot = suffix.map { bytes.count - $0.suffix.utf8.count }
    for (index, byte) in bytes.enumerated() {
      if isKept(byte), index != dot {
        result.append(byte)
      } else {
        result += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func isKept(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "-_~.:@,".utf8.contains(byte)
    }
  }

  /// Decodes a step of a path, or with `plusIsBlank` a field of a form.
  ///
  /// - Returns: nil for a percent sign without two digits, for bytes that are not UTF-8, and for a zero byte, which no database takes.
  static func decode(_ text: some StringProtocol, plusIsBlank: Bool = false) -> String? {
    var result: [UInt8] = []
    var bytes = text.utf8.makeIterator()
    while let byte = bytes.next() {
      switch byte {
      case UInt8(ascii: "%"):
        guard let high = bytes.next().flatMap(digit), let low = bytes.next().flatMap(digit) else { return nil }
        result.append(high << 4 | low)
      case UInt8(ascii: "+") where plusIsBlank: result.append(UInt8(ascii: " "))
      default: result.append(byte)
      }
    }
    guard !result.contains(0) else { return nil }
    return String(validating: result, as: UTF8.self)
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// The fields of a query or of a form, of which the first of each name counts.
  ///
  /// - Returns: nil if one is not encoded well, or if there are more than 32.
  static func fields(_ text: some StringProtocol) -> [String: String]? {
    var fields: [String: String] = [:]
    let parts = text.split(separator: "&", omittingEmptySubsequences: true)
    guard parts.count <= 32 else { return nil }
    for part in parts {
      let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = decode(halves[0], plusIsBlank: true),
        let value = decode(halves.count > 1 ? halves[1] : "", plusIsBlank: true)
      else { return nil }
      if fields[name] == nil { fields[name] = value }
    }
    return fields
  }
}

/// What a page is written as.
enum Format: String {
  case html, json, csv

  static let suffixes: [(suffix: String, format: Format)] = [(".json", .json), (".csv", .csv)]
}
