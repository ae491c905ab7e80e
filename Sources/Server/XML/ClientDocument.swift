public import XMLRPC

/// Reads documents that clients send as text: probe data, statistics.
///
/// They come from outside: no document type and so no entity, bounded in depth, names, attributes and text. Blank text
/// between elements is dropped and names with a namespace read `{uri}local`, as for files of the repository.
public enum ClientDocument {
  /// Bounds of these documents. Statistics carry contents and differences of files in attributes (`current_bfile`,
  /// `current_bdiff`), and a Path entry of them has more than twenty; what a body may hold is the bound of each. Depth as
  /// libxml2's.
  public static let limits: HTTPLimits = {
    var limits = HTTPLimits()
    limits.xmlDepth = 256
    limits.xmlAttributeBytes = limits.xmlTextBytes
    limits.xmlAttributeCount = 256
    return limits
  }()

  /// The tree of a document.
  ///
  /// - Throws: `XMLError` with byte and line.
  public static func parse(_ text: String) throws(XMLError) -> Element {
    try parse(Array(text.utf8))
  }

  /// The same from UTF-8, or what the XML declaration says.
  public static func parse(_ bytes: [UInt8], limits: HTTPLimits = limits) throws(XMLError) -> Element {
    var reader = try XMLReader(bytes, limits: limits)
    var namespaces = Namespaces()
    // A document as Python sends it may say anything about its encoding: it is a string by then.
    var open: [OpenElement] = []
    var root: Element?
    while let token = try reader.next() {
      switch token {
      case .start(let name, let attributes):
        if !open.isEmpty { open[open.count - 1].childBegins() }
        namespaces.enter(attributes, depth: open.count)
        guard let element = namespaces.element(name, attributes) else {
          throw reader.error("a namespace prefix is not declared")
        }
        open.last?.element.children.append(element)
        if root == nil { root = element }
        open.append(OpenElement(element: element, skipped: reader.skippedCount))
      case .text(let bytes):
        guard !open.isEmpty else { continue }
        // Text behind a comment is not the element's, as behind a child.
        if reader.skippedCount != open[open.count - 1].skipped { open[open.count - 1].childBegins() }
        open[open.count - 1].text += bytes
      case .end:
        var closed = open.removeLast()
        closed.end()
        namespaces.leave(depth: open.count)
      }
    }
    // The reader gives at least one element or throws.
    guard let root else { preconditionFailure("XMLReader ended without an element") }
    return root
  }

  /// The namespace declarations of the open elements.
  private struct Namespaces {
    private var declarations: [(prefix: Substring, uri: String, depth: Int)] = [
      ("xml", "http://www.w3.org/XML/1998/namespace", -1)
    ]

    mutating func enter(_ attributes: [XMLReader.Attribute], depth: Int) {
      for attribute in attributes {
        guard let prefix = Self.declaredPrefix(attribute.name) else { continue }
        declarations.append((prefix, attribute.value, depth))
      }
    }

    mutating func leave(depth: Int) {
      while let last = declarations.last, last.depth >= depth { declarations.removeLast() }
    }

    /// nil where a prefix is not declared.
    func element(_ name: String, _ attributes: [XMLReader.Attribute]) -> Element? {
      guard let tag = expanded(name, default: declarations.last { $0.prefix.isEmpty }?.uri ?? "") else { return nil }
      var pairs: [(name: String, value: String)] = []
      pairs.reserveCapacity(attributes.count)
      for attribute in attributes where Self.declaredPrefix(attribute.name) == nil {
        guard let name = expanded(attribute.name, default: "") else { return nil }
        pairs.append((name: name, value: attribute.value))
      }
      return Element(tag, Attributes(pairs))
    }

    private func expanded(_ name: String, default uri: String) -> String? {
      guard let colon = name.utf8.firstIndex(of: UInt8(ascii: ":")) else {
        return uri.isEmpty ? name : "{\(uri)}\(name)"
      }
      let prefix = name[..<colon]
      guard let uri = declarations.last(where: { $0.prefix == prefix })?.uri else { return nil }
      return "{\(uri)}\(name[name.utf8.index(after: colon)...])"
    }

    /// The prefix that an attribute declares, empty for the default namespace; nil where it declares none.
    private static func declaredPrefix(_ name: String) -> Substring? {
      guard name.utf8.starts(with: "xmlns".utf8) else { return nil }
      let rest = name.dropFirst(5)
      return rest.isEmpty ? rest : rest.utf8.first == UInt8(ascii: ":") ? rest.dropFirst() : nil
    }
  }

  private struct OpenElement {
    let element: Element
    /// Text since the start tag, or since the last child's end.
    var text: [UInt8] = []
    var hasChild = false

    /// What the reader had skipped when the element began.
    let skipped: Int

    init(element: Element, skipped: Int) {
      self.element = element
      self.skipped = skipped
    }

    private var isBlank: Bool {
      text.allSatisfy { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }
    }

    mutating func childBegins() {
      if !hasChild, !isBlank { element.text = String(decoding: text, as: UTF8.self) }
      hasChild = true
      text.removeAll()
    }

    mutating func end() {
      // Blank text that is all an element holds stays, as in libxml2.
      if !hasChild, !text.isEmpty { element.text = String(decoding: text, as: UTF8.self) }
    }
  }
}
