public import XMLRPC

/// Parses documents that clients send as text: probe data, statistics.
///
/// They are untrusted: no document type and so no entities; depth, names, attributes and text are bounded. As for files
/// of the repository, blank text between elements is dropped and names with a namespace read `{uri}local`.
public enum ClientDocument {
  /// Statistics carry contents and differences of files in attributes (`current_bfile`, `current_bdiff`), and a Path
  /// entry has more than twenty; each may be as large as a body. The depth is libxml2's.
  public static let limits: HTTPLimits = {
    var limits = HTTPLimits()
    limits.xmlDepth = 256
    limits.xmlAttributeBytes = limits.xmlTextBytes
    limits.xmlAttributeCount = 256
    return limits
  }()

  /// Parses a document.
  ///
  /// - Parameter budget: charged for the tree; nil: the current request's budget, or a budget for this document alone.
  /// - Throws: `XMLError` with byte and line.
  public static func parse(_ text: String, budget: RequestBudget? = nil) throws(XMLError) -> Element {
    try parse(Array(text.utf8), budget: budget)
  }

  /// As `parse(_:budget:)`, from bytes in UTF-8 or in the encoding of the XML declaration.
  public static func parse(
    _ bytes: [UInt8], limits: HTTPLimits = limits, budget: RequestBudget? = nil
  ) throws(XMLError) -> Element {
    let budget = budget ?? RequestBudget.currentOr(bytes: bytes.count, limits: limits)
    // A document in a Python string is decoded already: ignore its encoding declaration.
    var reader = try XMLReader(bytes, limits: limits, budget: budget)
    var tree = ElementTree(limits: limits, budget: budget)
    while let token = try reader.next() {
      do throws(DocumentFlaw) {
        switch token {
        case .start(let name, let attributes): try tree.start(name, attributes, skipped: reader.skippedCount)
        case .text(let bytes): try tree.append(bytes, skipped: reader.skippedCount)
        case .end: try tree.end()
        }
      } catch {
        switch error {
        case .limit(let exceeded): throw reader.error(exceeded)
        case .undeclaredPrefix: throw reader.error("a namespace prefix is not declared")
        }
      }
    }
    // The reader returns at least one element or throws.
    guard let root = tree.root else { preconditionFailure("XMLReader ended without an element") }
    return root
  }
}

/// Why the tokens of a well-formed document make no tree.
enum DocumentFlaw: Error {
  case limit(LimitExceeded)
  case undeclaredPrefix
}

/// Builds a tree from tokens and charges a budget as it grows.
private struct ElementTree {
  /// Bytes of an element without its texts: its own memory, its slots in its parent and in `open`.
  private static let elementBytes = 176
  /// Bytes of an attribute without its texts.
  private static let attributeBytes = 2 * MemoryLayout<(name: String, value: String)>.stride

  private let budget: RequestBudget
  private var namespaces: NamespaceScope
  private var open: [OpenElement] = []
  private(set) var root: Element?

  init(limits: HTTPLimits, budget: RequestBudget) {
    self.budget = budget
    namespaces = NamespaceScope(limits: limits, budget: budget)
  }

  mutating func start(
    _ name: String, _ attributes: [XMLReader.Attribute], skipped: Int
  ) throws(DocumentFlaw) {
    if !open.isEmpty { open[open.count - 1].childBegins() }
    try namespaces.enter(attributes, depth: open.count)
    let element = try element(name, attributes)
    open.last?.element.children.append(element)
    if root == nil { root = element }
    open.append(OpenElement(element: element, skipped: skipped))
  }

  private mutating func element(_ name: String, _ attributes: [XMLReader.Attribute]) throws(DocumentFlaw) -> Element {
    try charge(Self.elementBytes)
    let tag = try namespaces.tag(name)
    var pairs: [(name: String, value: String)] = []
    pairs.reserveCapacity(attributes.count)
    for attribute in attributes where !NamespaceScope.declares(attribute.name) {
      try charge(Self.attributeBytes + RequestBudget.heapBytes(ofText: attribute.value.utf8.count))
      pairs.append((name: try namespaces.attribute(attribute.name), value: attribute.value))
    }
    return Element(tag, Attributes(pairs))
  }

  mutating func append(_ bytes: [UInt8], skipped: Int) throws(DocumentFlaw) {
    guard !open.isEmpty else { return }
    try charge(bytes.count)
    // Text after a comment does not belong to the element, like text after a child.
    if skipped != open[open.count - 1].skipped { open[open.count - 1].childBegins() }
    open[open.count - 1].text += bytes
  }

  mutating func end() throws(DocumentFlaw) {
    var closed = open.removeLast()
    closed.end()
    namespaces.leave(depth: open.count)
  }

  private func charge(_ bytes: Int) throws(DocumentFlaw) {
    do throws(LimitExceeded) {
      try budget.charge(bytes: bytes)
    } catch {
      throw .limit(error)
    }
  }

  private struct OpenElement {
    let element: Element
    /// Text since the start tag, or since the last child's end.
    var text: [UInt8] = []
    var hasChild = false

    /// The reader's count of skipped bytes when the element began.
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
      // Keep blank text if it is an element's only content, as libxml2 does.
      if !hasChild, !text.isEmpty { element.text = String(decoding: text, as: UTF8.self) }
    }
  }
}
