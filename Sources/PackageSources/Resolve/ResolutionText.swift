extension Resolution {
  /// For people: the packages one in a line, then what is to be said about them, each line with a sign in front.
  public var text: String {
    var lines = packages.map(ResolutionText.string)
    lines += unknown.map { "? " + ResolutionText.explain($0) }
    lines += conflicts.map { "! " + ResolutionText.explain($0) }
    lines += missingParts.map { "! " + ResolutionText.explain($0) }
    return lines.map { $0 + "\n" }.joined()
  }

  /// For programs: an object in one line.
  /// - Parameter seconds: how long the resolution took, if somebody asked.
  public func json(seconds: Double? = nil) -> String {
    "{\"packages\":\(ResolutionText.list(packages, JSONText.quoted)),"
      + "\"unknown\":\(ResolutionText.list(unknown, ResolutionText.json)),"
      + "\"conflicts\":\(ResolutionText.list(conflicts, ResolutionText.json)),"
      + "\"missing\":\(ResolutionText.list(missingParts, ResolutionText.json))"
      + (seconds.map { ",\"seconds\":\($0)" } ?? "") + "}"
  }
}

/// Parts of answers as text.
enum ResolutionText {
  static func list<Value>(_ values: [Value], _ json: (Value) -> String) -> String {
    "[" + values.map(json).joined(separator: ",") + "]"
  }

  static func json(_ name: UnknownName) -> String {
    "{\"name\":\(JSONText.quoted(name.name)),\"reason\":\"\(name.reason)\""
      + (name.wantedBy.map { ",\"wanted_by\":\(JSONText.quoted($0))" } ?? "") + "}"
  }

  static func json(_ conflict: PackageConflict) -> String {
    "{\"package\":\(JSONText.quoted(conflict.package)),\"other\":\(JSONText.quoted(conflict.other)),"
      + "\"relation\":\(JSONText.quoted(conflict.relation))}"
  }

  static func json(_ part: MissingPart) -> String {
    "{\"source\":\(part.member),\"component\":\(JSONText.quoted(Array(part.component.utf8))),"
      + "\"arch\":\(JSONText.quoted(Array(part.arch.utf8)))}"
  }

  static func explain(_ unknown: UnknownName) -> String {
    let why =
      switch unknown.reason {
      case .notFound: "no source has it"
      case .wrongVersion: "no source has it in this version"
      case .excluded: "it is excluded by the sources"
      }
    let wanter = unknown.wantedBy.map { ", which \(string($0)) needs" } ?? ""
    return "\(string(unknown.name))\(wanter): \(why)"
  }

  static func explain(_ conflict: PackageConflict) -> String {
    "\(string(conflict.package)) conflicts with \(string(conflict.other)): \(string(conflict.relation))"
  }

  static func explain(_ part: MissingPart) -> String {
    "source \(part.member + 1) lacks \([part.component, part.arch].filter { !$0.isEmpty }.joined(separator: " "))"
  }

  static func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

enum JSONText {
  /// A JSON string. Bytes that are no UTF-8 become U+FFFD.
  static func quoted(_ bytes: [UInt8]) -> String {
    var text = "\""
    for scalar in ResolutionText.string(bytes).unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}
