import Identity
public import Repository
import XMLRPC

/// A document with conditions, compiled for matching against clients.
///
/// Immutable. Subtrees without conditions are copied whole; a condition looks up one name in the client's groups.
public final class CompiledStructure {
  /// Group and Client: the conditions of every structure file.
  public static let standardConditions: Set<String> = ["Group", "Client"]

  /// The file, for messages.
  public let path: String
  /// The root with all its descendants.
  public let root: Node

  /// - Parameter conditionTags: tags of elements that are conditions on their contents: of `Group`, `Client`, `Path`.
  public init(_ root: Element, path: String, conditionTags: Set<String> = standardConditions) {
    self.path = path
    var names: NameSet = []
    if conditionTags.contains("Client") {
      root.forEachDescendant { if $0.tag == "Client", let name = $0.name { names.insert(name) } }
    }
    self.root = Node(root, conditionTags, HostList(names).map { ClientQuestion.isAmong($0) })
  }

  /// An element that is not a condition.
  public final class Node {
    /// Tag, attributes, text and line; its children are the file's.
    public let source: Element
    /// Elements and conditions inside, in document order.
    public let parts: [Part]
    /// True if nothing inside depends on the client.
    public let isPlain: Bool

    /// - Parameter hosts: asked for `Client` conditions; nil where the file has few.
    fileprivate init(_ element: Element, _ conditionTags: Set<String>, _ hosts: ClientQuestion?) {
      source = element
      parts = element.children.map { Part($0, conditionTags, hosts) }
      isPlain = parts.allSatisfy {
        if case .element(let node) = $0 { node.isPlain } else { false }
      }
    }

    /// Returns the element without its contents.
    func header() -> Element {
      Element(source.tag, source.attributes, content: source.content, line: source.line)
    }
  }

  /// A child of an element: an element or a condition.
  public enum Part {
    case element(Node)
    case condition(Condition, [Part])

    fileprivate init(_ element: Element, _ conditionTags: Set<String>, _ hosts: ClientQuestion?) {
      if conditionTags.contains(element.tag) {
        self = .condition(
          Condition(element, hosts: hosts), element.children.map { Part($0, conditionTags, hosts) })
      } else {
        self = .element(Node(element, conditionTags, hosts))
      }
    }
  }

  /// `<Group name= negate=>` and the like.
  public struct Condition {
    enum Kind {
      case group, client, path
    }

    let kind: Kind
    let name: String?
    let isNegated: Bool
    /// Text of the condition; `xmlMatch` moves it to the parent.
    let text: String?
    /// What a client is asked; nil for a condition on the entry, or without a name.
    private let question: ClientQuestion?

    package init(_ element: Element) { self.init(element, hosts: nil) }

    /// - Parameter hosts: asked for a `Client` condition, whose name is in its list; nil: it is asked for its own name.
    fileprivate init(_ element: Element, hosts: ClientQuestion?) {
      kind = element.tag == "Group" ? .group : element.tag == "Client" ? .client : .path
      name = element.name
      isNegated = element.isTrue("negate")
      text = element.text
      switch kind {
      case .group: question = name.map { ClientQuestion.isMember(of: $0) }
      case .client: question = name.map { hosts ?? ClientQuestion.isNamed($0) }
      case .path: question = nil
      }
    }

    /// Whether the condition's contents apply.
    /// - Parameter entry: the entry that a `Path` condition tests.
    public func holds(_ metadata: ClientMetadata, entry: Element? = nil) -> Bool {
      let isTrue: Bool
      switch kind {
      case .group: isTrue = ask(metadata) { metadata.isMember(of: $0, $1) }
      case .client: isTrue = ask(metadata) { metadata.isNamed($0, $1) }
      case .path: isTrue = entry.map { Self.isSame($0["realname"] ?? $0.name, name) } ?? false
      }
      return isTrue != isNegated
    }

    /// The group that the client must be in; nil for a condition of another kind.
    package var requiredGroup: String? { kind == .group && !isNegated ? name : nil }

    func isSame(as other: Condition) -> Bool {
      kind == other.kind && isNegated == other.isNegated && Self.isSame(name, other.name)
        && Self.isSame(text, other.text)
    }

    private func ask(_ metadata: ClientMetadata, _ body: (ClientQuestion, String) -> Bool) -> Bool {
      guard let question, let name else { return false }
      return body(question, name)
    }

    private static func isSame(_ one: String?, _ other: String?) -> Bool {
      guard let one, let other else { return one == nil && other == nil }
      return Name.areSame(one, other)
    }
  }

  /// Returns the elements below the root that apply, in document order, without copying.
  public func select(_ metadata: ClientMetadata, entry: Element? = nil) -> [Node] {
    var found: [Node] = []
    Self.select(root.parts, metadata, entry, into: &found)
    return found
  }

  /// Copies the elements below the root that apply and resolves conditions inside them in place.
  public func match(_ metadata: ClientMetadata, entry: Element? = nil) -> [Element] {
    select(metadata, entry: entry).map { Self.matched($0, metadata, entry) }
  }

  /// Copies the document without conditions: unconditional children first, then contents of conditions.
  public func xmlMatch(_ metadata: ClientMetadata, entry: Element? = nil) -> Element {
    Self.xmlMatched(root, metadata, entry)
  }

  /// Copies one element and resolves conditions inside as `xmlMatch` does.
  public static func xmlMatched(_ node: Node, _ metadata: ClientMetadata, _ entry: Element? = nil) -> Element {
    if node.isPlain { return node.source.deepCopy() }
    let element = node.header()
    for case .element(let child) in node.parts { element.children.append(xmlMatched(child, metadata, entry)) }
    for case .condition(let condition, let parts) in node.parts where condition.holds(metadata, entry: entry) {
      moveUp(parts, condition, to: element, metadata, entry)
    }
    return element
  }

  private static func moveUp(
    _ parts: [Part], _ condition: Condition, to element: Element, _ metadata: ClientMetadata, _ entry: Element?
  ) {
    for part in parts {
      switch part {
      case .element(let child): element.children.append(xmlMatched(child, metadata, entry))
      case .condition(let inner, let parts):
        if inner.holds(metadata, entry: entry) { moveUp(parts, inner, to: element, metadata, entry) }
      }
    }
    if let text = condition.text, !text.isEmpty { element.text = (element.text ?? "") + text }
  }

  private static func matched(_ node: Node, _ metadata: ClientMetadata, _ entry: Element?) -> Element {
    if node.isPlain { return node.source.deepCopy() }
    let element = node.header()
    var children: [Node] = []
    select(node.parts, metadata, entry, into: &children)
    element.children = children.map { matched($0, metadata, entry) }
    return element
  }

  private static func select(
    _ parts: [Part], _ metadata: ClientMetadata, _ entry: Element?, into found: inout [Node]
  ) {
    for part in parts {
      switch part {
      case .element(let node): found.append(node)
      case .condition(let condition, let parts):
        if condition.holds(metadata, entry: entry) { select(parts, metadata, entry, into: &found) }
      }
    }
  }

  /// Visits every element below the root, at any depth, with all conditions around it.
  public func forEachElement(_ body: (_ node: Node, _ conditions: [Condition]) -> Void) {
    Self.forEachElement(root.parts, [], body)
  }

  /// Visits every element that has only conditions around it, with these conditions. Elements come before the contents
  /// of the conditions beside them.
  func forEachOuterElement(_ body: (_ node: Node, _ conditions: [Condition]) -> Void) {
    Self.forEachOuterElement(root.parts, [], body)
  }

  private static func forEachOuterElement(
    _ parts: [Part], _ conditions: [Condition], _ body: (Node, [Condition]) -> Void
  ) {
    for case .element(let node) in parts { body(node, conditions) }
    for case .condition(let condition, let parts) in parts {
      forEachOuterElement(parts, conditions + [condition], body)
    }
  }

  private static func forEachElement(
    _ parts: [Part], _ conditions: [Condition], _ body: (Node, [Condition]) -> Void
  ) {
    for part in parts {
      switch part {
      case .element(let node):
        body(node, conditions)
        forEachElement(node.parts, conditions, body)
      case .condition(let condition, let parts):
        forEachElement(parts, conditions + [condition], body)
      }
    }
  }
}
