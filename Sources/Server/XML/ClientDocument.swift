public import XMLRPC

/// Reads documents that clients send as text: probe data, statistics.
///
/// They come from outside: no document type and so no entity, bounded in depth, names, attributes and text. Blank text
/// between elements is dropped as for files of the repository.
public enum ClientDocument {
  /// Bounds of these documents. Statistics carry contents and differences of files in attributes (`current_bfile`,
  /// `current_bdiff`), and a Path entry of them has more than twenty; what a body may hold is the bound of each.
  public static let limits: HTTPLimits = {
    var limits = HTTPLimits()
    limits.xmlAttributeBytes = limits.xmlTextBytes
    limits.xmlAttributeCount = 128
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
    // A document as Python sends it may say anything about its encoding: it is a string by then.
    var open: [OpenElement] = []
    var root: Element?
    while let token = try reader.next() {
      switch token {
      case .start(let name, let attributes):
        if !open.isEmpty { open[open.count - 1].childBegins() }
        let element = Element(name, Attributes(attributes.map { (name: $0.name, value: $0.value) }))
        open.last?.element.children.append(element)
        if root == nil { root = element }
        open.append(OpenElement(element: element))
      case .text(let bytes):
        if !open.isEmpty { open[open.count - 1].text += bytes }
      case .end:
        var closed = open.removeLast()
        closed.end()
      }
    }
    // The reader gives at least one element or throws.
    guard let root else { preconditionFailure("XMLReader ended without an element") }
    return root
  }

  private struct OpenElement {
    let element: Element
    /// Text since the start tag, or since the last child's end.
    var text: [UInt8] = []
    var hasChild = false

    init(element: Element) { self.element = element }

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
