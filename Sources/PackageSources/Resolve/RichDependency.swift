/// A dependency of rpm in parentheses: `(a >= 1 or (b and c) if d else e)`.
///
/// Source: rpm-software-management/rpm: lib/rpmds.c, rpmrichParse.
indirect enum RichDependency: Equatable {
  case name(Slice<UnsafeRawBufferPointer>, VersionOperator, version: Slice<UnsafeRawBufferPointer>)
  case all([RichDependency])
  case any([RichDependency])
  /// The first if the condition is there, else the other one.
  case choice(then: RichDependency, condition: RichDependency, otherwise: RichDependency?, isUnless: Bool)
  /// One package that is each of them.
  case with([RichDependency])
  /// A package that is the first and not the second.
  case without(RichDependency, RichDependency)

  /// Parentheses within parentheses.
  private static let depthLimit = 32

  /// - Returns: nil for a text that rpm would refuse.
  init?(_ text: UnsafeRawBufferPointer) {
    var reader = Reader(rest: text[...])
    guard let made = reader.expression(depth: 0), reader.rest.isEmpty else { return nil }
    self = made
  }

  static func == (one: RichDependency, other: RichDependency) -> Bool { one.text == other.text }

  /// As rpm writes it.
  var text: String {
    switch self {
    case .name(let name, let comparison, let version):
      comparison == .none
        ? String(decoding: name, as: UTF8.self)
        : "\(String(decoding: name, as: UTF8.self)) \(comparison.sign(.yum)) \(String(decoding: version, as: UTF8.self))"
    case .all(let parts): Self.joined(parts, "and")
    case .any(let parts): Self.joined(parts, "or")
    case .with(let parts): Self.joined(parts, "with")
    case .without(let one, let other): Self.joined([one, other], "without")
    case .choice(let then, let condition, let otherwise, let isUnless):
      "(\(then.text) \(isUnless ? "unless" : "if") \(condition.text)\(otherwise.map { " else \($0.text)" } ?? ""))"
    }
  }

  private static func joined(_ parts: [RichDependency], _ word: String) -> String {
    "(" + parts.map(\.text).joined(separator: " \(word) ") + ")"
  }

  private struct Reader {
    var rest: Slice<UnsafeRawBufferPointer>

    private mutating func skipBlanks() { rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") } }

    /// Reads `( operand [operator operand]... )`.
    mutating func expression(depth: Int) -> RichDependency? {
      guard depth < RichDependency.depthLimit, take("(") else { return nil }
      guard let first = operand(depth) else { return nil }
      skipBlanks()
      if take(")") { return first }
      guard let word = word(), let second = operand(depth) else { return nil }
      switch word {
      case "and", "or", "with":
        var parts = [first, second]
        while true {
          skipBlanks()
          if take(")") { break }
          guard self.word() == word, let next = operand(depth) else { return nil }
          parts.append(next)
        }
        return word == "and" ? .all(parts) : word == "or" ? .any(parts) : .with(parts)
      case "without":
        skipBlanks()
        return take(")") ? .without(first, second) : nil
      case "if", "unless":
        skipBlanks()
        var otherwise: RichDependency?
        if !take(")") {
          guard self.word() == "else", let last = operand(depth) else { return nil }
          otherwise = last
          skipBlanks()
          guard take(")") else { return nil }
        }
        return .choice(then: first, condition: second, otherwise: otherwise, isUnless: word == "unless")
      default: return nil
      }
    }

    private mutating func operand(_ depth: Int) -> RichDependency? {
      skipBlanks()
      if rest.first == UInt8(ascii: "(") { return expression(depth: depth + 1) }
      let name = token()
      if name.isEmpty { return nil }
      skipBlanks()
      let signs = rest.prefix { $0 == UInt8(ascii: "<") || $0 == UInt8(ascii: ">") || $0 == UInt8(ascii: "=") }
      if signs.isEmpty { return .name(name, .none, version: rest.prefix(0)) }
      let operators: [String: VersionOperator] = [
        "<": .less, "<=": .lessOrEqual, "=<": .lessOrEqual, "=": .equal, "==": .equal, ">=": .greaterOrEqual,
        "=>": .greaterOrEqual, ">": .greater,
      ]
      guard let comparison = operators[String(decoding: signs, as: UTF8.self)] else { return nil }
      rest = rest[signs.endIndex...]
      skipBlanks()
      let version = token()
      return version.isEmpty ? nil : .name(name, comparison, version: version)
    }

    /// Reads up to a blank or a closing parenthesis that was not opened in it: `python3dist(x)`.
    private mutating func token() -> Slice<UnsafeRawBufferPointer> {
      var depth = 0
      let found = rest.prefix { byte in
        if byte == UInt8(ascii: "(") { depth += 1 }
        if byte == UInt8(ascii: ")") {
          depth -= 1
          if depth < 0 { return false }
        }
        return depth > 0 || (byte != UInt8(ascii: " ") && byte != UInt8(ascii: "\t") && byte != UInt8(ascii: ","))
      }
      rest = rest[found.endIndex...]
      return found
    }

    private mutating func word() -> String? {
      let found = rest.prefix(while: isLetter)
      rest = rest[found.endIndex...]
      return found.isEmpty ? nil : String(decoding: found, as: UTF8.self)
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
      guard rest.first == UInt8(ascii: character) else { return false }
      rest = rest.dropFirst()
      return true
    }
  }
}
