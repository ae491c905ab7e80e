/// Text of a page. Only `markup` is taken as it is; everything else is escaped, so that names from clients stay text.
struct HTML {
  private(set) var text = ""

  /// Adds markup of our own.
  mutating func markup(_ markup: StaticString) {
    text += markup.description
  }

  /// Adds text, escaped for elements and quoted attributes.
  mutating func add(_ text: some StringProtocol) { HTML.escape(text, into: &self.text) }

  mutating func add(_ number: Int) { text += String(number) }

  /// Adds ` name="value"`.
  mutating func attribute(_ name: StaticString, _ value: String) {
    text += " \(name)=\""
    HTML.escape(value, into: &text)
    text += "\""
  }

  /// Adds `<name ...>`, what `body` adds, and `</name>`.
  mutating func element(
    _ name: StaticString, _ attributes: [(StaticString, String)] = [], _ body: (inout HTML) -> Void
  ) {
    open(name, attributes)
    body(&self)
    text += "</\(name)>"
  }

  /// Adds an element of text only.
  mutating func element(_ name: StaticString, _ attributes: [(StaticString, String)] = [], text: String) {
    element(name, attributes) { $0.add(text) }
  }

  /// Adds a start tag, or an element without an end tag.
  mutating func open(_ name: StaticString, _ attributes: [(StaticString, String)] = []) {
    text += "<\(name)"
    for (name, value) in attributes { attribute(name, value) }
    text += ">"
  }

  /// Characters that HTML does not have become U+FFFD.
  static func escape(_ text: some StringProtocol, into result: inout String) {
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\n", "\t": result.unicodeScalars.append(scalar)
      case "\u{0}"..."\u{1f}", "\u{7f}"..."\u{9f}": result.unicodeScalars.append("\u{fffd}")
      default: result.unicodeScalars.append(scalar)
      }
    }
  }
}
