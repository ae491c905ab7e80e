import XMLRPC

/// An element of a Bcfg2 document: a bundle, an entry, probe data, a whole configuration.
///
/// It plays the part of lxml's `_Element`: mutable, shared by reference, children in document order. It drops comments
/// and processing instructions, except `hasComments`, and text after a child, which no client reads.
public final class Element {
  /// The tag; without namespace for Bcfg2's own elements, `{uri}local` for others.
  public var tag: String
  /// Attributes in document order.
  public var attributes: Attributes
  /// The text before the first child.
  public var content: Content
  /// Child elements in document order.
  public var children: [Element]
  /// True if the element directly contains a comment or processing instruction.
  public internal(set) var hasComments = false
  /// Line of the element in its file; 0 for an element made by the server.
  public let line: Int32

  /// The text of an element.
  public enum Content {
    case none
    case string(String)
    /// Text that several answers share, escaped once.
    case shared(SharedText)
  }

  public init(_ tag: String, _ attributes: Attributes = Attributes(), content: Content = .none, line: Int32 = 0) {
    self.tag = tag
    self.attributes = attributes
    self.content = content
    self.children = []
    self.line = line
  }

  /// Nothing here depends on the thread: a nonisolated deinit saves the check for the main actor.
  nonisolated deinit {}

  /// The value of an attribute; nil if there is none. Setting nil removes it.
  public subscript(_ name: String) -> String? {
    get { attributes[name] }
    set { attributes[name] = newValue }
  }

  /// The `name` attribute, which nearly every entry has.
  public var name: String? {
    get { attributes["name"] }
    set { attributes["name"] = newValue }
  }

  /// The text as a string; nil if there is none.
  public var text: String? {
    get {
      switch content {
      case .none: nil
      case .string(let string): string
      case .shared(let shared): shared.string
      }
    }
    set { content = newValue.map { .string($0) } ?? .none }
  }

  /// True if an attribute is "true" in any letter case, as Bcfg2's switches are.
  public func isTrue(_ name: String) -> Bool {
    attributes[name]?.lowercased() == "true"
  }

  /// True for an entry that is bound already: its tag is `Bound` followed by the final tag.
  public var isBound: Bool { tag.utf8.first == UInt8(ascii: "B") && tag.utf8.starts(with: "Bound".utf8) }

  /// True if lxml's `getchildren()` is empty: no children, and no comments, which it counts.
  public var isLeaf: Bool { children.isEmpty && !hasComments }

  /// The direct children with this tag.
  public func children(tagged tag: String) -> [Element] {
    children.filter { $0.tag == tag }
  }

  /// The first direct child with this tag.
  public func firstChild(tagged tag: String) -> Element? {
    children.first { $0.tag == tag }
  }

  /// Visits all descendants (not the element itself) in document order.
  public func forEachDescendant(_ body: (Element) throws -> Void) rethrows {
    for child in children {
      try body(child)
      try child.forEachDescendant(body)
    }
  }

  /// All descendants with this tag, in document order: XPath's `.//tag`.
  public func descendants(tagged tag: String) -> [Element] {
    var found: [Element] = []
    forEachDescendant { if $0.tag == tag { found.append($0) } }
    return found
  }

  /// Whether both have the same tags, attributes in the same order, texts and children, wherever they stand in a file.
  public func isSame(as other: Element) -> Bool {
    guard Name.areSame(tag, other.tag), hasComments == other.hasComments, attributes.count == other.attributes.count,
      children.count == other.children.count
    else { return false }
    switch (text, other.text) {
    case (nil, nil): break
    case (let one?, let two?): guard Name.areSame(one, two) else { return false }
    default: return false
    }
    return attributes.elementsEqual(other.attributes) {
      Name.areSame($0.name, $1.name) && Name.areSame($0.value, $1.value)
    }
      && children.elementsEqual(other.children) { $0.isSame(as: $1) }
  }

  /// A copy that shares nothing mutable with this one.
  public func deepCopy() -> Element {
    let copy = Element(tag, attributes, content: content, line: line)
    if !children.isEmpty { copy.children = children.map { $0.deepCopy() } }
    if hasComments { copy.hasComments = true }
    return copy
  }

  /// Appends a new child and returns it.
  @discardableResult
  public func append(_ tag: String, _ attributes: Attributes = Attributes()) -> Element {
    let child = Element(tag, attributes)
    children.append(child)
    return child
  }

  /// Removes a direct child by identity; does nothing for other elements.
  public func remove(_ child: Element) {
    children.removeAll { $0 === child }
  }
}

/// The attributes of an element: few, ordered, copied on write.
public struct Attributes: Sendable, ExpressibleByDictionaryLiteral, Sequence {
  private var storage: [(name: String, value: String)]

  public init() { storage = [] }

  public init(_ pairs: [(name: String, value: String)]) { storage = pairs }

  public init(dictionaryLiteral elements: (String, String)...) {
    storage = elements.map { (name: $0.0, value: $0.1) }
  }

  public var count: Int { storage.count }
  public var isEmpty: Bool { storage.isEmpty }

  /// The value of an attribute. Setting keeps the position of an existing one; nil removes it.
  public subscript(_ name: String) -> String? {
    get {
      for index in storage.indices where Name.areSame(storage[index].name, name) { return storage[index].value }
      return nil
    }
    set {
      // By index: iterating would copy each pair.
      var index = 0
      while index < storage.count, !Name.areSame(storage[index].name, name) { index += 1 }
      guard let newValue else {
        if index < storage.count { storage.remove(at: index) }
        return
      }
      if index < storage.count {
        storage[index].value = newValue
      } else {
        storage.append((name: name, value: newValue))
      }
    }
  }

  /// Reserves room for further attributes.
  public mutating func reserveCapacity(_ count: Int) { storage.reserveCapacity(count) }

  public func makeIterator() -> IndexingIterator<[(name: String, value: String)]> {
    storage.makeIterator()
  }
}
