import XMLRPC

/// The namespace declarations in scope, and the names expanded under them.
///
/// A name with a namespace reads `{uri}local`. Each such name is made once for a document: namespaces may be long, and
/// elements many.
struct NamespaceScope {
  private struct Declaration {
    let prefix: Name
    /// Index in `namespaces`; 0 is none.
    let number: Int
    /// Depth of the declaring element.
    let depth: Int
  }

  /// A name as written, and the namespace of its prefix.
  private struct Key: Hashable {
    let number: Int
    let local: Name
  }

  /// Strings of up to this many bytes need no allocation.
  private static let shortBytes = 15

  private let limits: HTTPLimits
  private let budget: RequestBudget
  /// Distinct namespaces by index.
  private var namespaces = ["", "http://www.w3.org/XML/1998/namespace"]
  private var numbers: [Name: Int] = [Name(""): 0, Name("http://www.w3.org/XML/1998/namespace"): 1]
  private var names: [Key: String] = [:]
  private var declarations = [Declaration(prefix: Name("xml"), number: 1, depth: -1)]
  /// Indexes of the namespaces of a prefix, the current one last. Looked up for each name.
  private var inForce: [Name: [Int]] = [Name("xml"): [1]]

  init(limits: HTTPLimits, budget: RequestBudget) {
    self.limits = limits
    self.budget = budget
  }

  /// Adds the declarations of a start tag.
  mutating func enter(_ attributes: [XMLReader.Attribute], depth: Int) throws(DocumentFlaw) {
    for attribute in attributes {
      guard let prefix = Self.declaredPrefix(attribute.name) else { continue }
      guard declarations.count <= limits.xmlNamespaces else {
        throw .limit(LimitExceeded("xmlNamespaces", limits.xmlNamespaces))
      }
      let declaration = Declaration(
        prefix: Name(String(prefix)), number: try number(of: attribute.value), depth: depth)
      declarations.append(declaration)
      inForce[declaration.prefix, default: []].append(declaration.number)
    }
  }

  /// Removes the declarations of an element that ends.
  mutating func leave(depth: Int) {
    while let last = declarations.last, last.depth >= depth {
      declarations.removeLast()
      inForce[last.prefix]?.removeLast()
    }
  }

  /// The full name of an element.
  mutating func tag(_ name: String) throws(DocumentFlaw) -> String { try expand(name, usesDefault: true) }

  /// The full name of an attribute; without a prefix it has no namespace.
  mutating func attribute(_ name: String) throws(DocumentFlaw) -> String { try expand(name, usesDefault: false) }

  private mutating func expand(_ name: String, usesDefault: Bool) throws(DocumentFlaw) -> String {
    guard let colon = name.utf8.firstIndex(of: UInt8(ascii: ":")) else {
      return try intern(name, usesDefault ? number(ofPrefix: Name("")) ?? 0 : 0)
    }
    // An empty namespace undeclares a prefix, where XML allows it.
    guard let number = number(ofPrefix: Name(String(name[..<colon]))), number > 0 else { throw .undeclaredPrefix }
    return try intern(String(name[name.utf8.index(after: colon)...]), number)
  }

  private func number(ofPrefix prefix: Name) -> Int? { inForce[prefix]?.last }

  private mutating func number(of uri: String) throws(DocumentFlaw) -> Int {
    let key = Name(uri)
    if let known = numbers[key] { return known }
    guard uri.utf8.count <= limits.xmlNamespaceBytes else {
      throw .limit(LimitExceeded("xmlNamespaceBytes", limits.xmlNamespaceBytes))
    }
    try chargeName(uri.utf8.count)
    numbers[key] = namespaces.count
    namespaces.append(uri)
    return namespaces.count - 1
  }

  private mutating func intern(_ local: String, _ number: Int) throws(DocumentFlaw) -> String {
    if number == 0, local.utf8.count <= Self.shortBytes { return local }
    let key = Key(number: number, local: Name(local))
    if let known = names[key] { return known }
    let name = number == 0 ? local : "{\(namespaces[number])}\(local)"
    try chargeName(name.utf8.count + local.utf8.count)
    names[key] = name
    return name
  }

  private func chargeName(_ bytes: Int) throws(DocumentFlaw) {
    do throws(LimitExceeded) {
      try budget.chargeName(bytes: bytes)
    } catch {
      throw .limit(error)
    }
  }

  /// Whether an attribute declares a namespace.
  static func declares(_ name: String) -> Bool { declaredPrefix(name) != nil }

  /// The prefix that an attribute declares, empty for the default namespace; nil if it declares none.
  private static func declaredPrefix(_ name: String) -> Substring? {
    guard name.utf8.starts(with: "xmlns".utf8) else { return nil }
    let rest = name.dropFirst(5)
    return rest.isEmpty ? rest : rest.utf8.first == UInt8(ascii: ":") ? rest.dropFirst() : nil
  }
}
