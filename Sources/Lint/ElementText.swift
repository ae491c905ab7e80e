import Repository
import XMLRPC

extension Element {
  /// The element as messages show it: its line, its tag and attributes, `...` in place of what it contains.
  ///
  /// - Parameter keepsText: shows the text.
  func rendered(keepsText: Bool = false) -> String {
    var xml = "<" + Self.shortName(tag)
    for (name, value) in attributes { xml += " \(Self.shortName(name))=\"\(Self.escaped(value))\"" }
    let text = self.text ?? ""
    if text.isEmpty {
      xml += "/>"
    } else {
      xml += ">" + (keepsText ? Self.escaped(text) : "...") + "</\(Self.shortName(tag))>"
    }
    return "   line \(line): \(xml)"
  }

  /// The element itself and all below it, in document order.
  func all(tagged tag: String) -> [Element] {
    (self.tag == tag ? [self] : []) + descendants(tagged: tag)
  }

  /// A name in Genshi's namespace has the prefix `py`, others none.
  private static func shortName(_ name: String) -> String {
    guard name.utf8.first == UInt8(ascii: "{"), let end = name.lastIndex(of: "}") else { return name }
    let local = name[name.index(after: end)...]
    return name.hasPrefix("{http://genshi.edgewall.org/}") ? "py:" + local : String(local)
  }

  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text.unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}
