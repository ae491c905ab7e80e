import XMLRPC

/// Edits the text of an XML file and leaves comments, layout, order and quoting elsewhere byte for byte.
///
/// It serves clients.xml and groups.xml, which administrators write and the server updates. It scans the text once for
/// any number of edits; `contents()` makes the new text. Every edit is also made on the parsed tree; `contents()`
/// parses the new text and compares, so that a file is never replaced by one with another meaning. UTF-8 only.
public struct XMLSourceEditor {
  private let path: String
  private let bytes: [UInt8]
  private let scan: XMLSourceScan
  /// The expected tree after the edits.
  private let expected: Element
  /// The elements of `expected` that are in the text, parallel to `scan.elements`.
  private let nodes: [Element]
  /// Attributes to set in elements of the text, nil to remove, by position.
  private var changes: [Int: [(name: String, value: String?)]] = [:]
  private var removed: Set<Int> = []
  /// New children of the root, in their order.
  private var added: [Element] = []
  /// Elements of the text by search: positions by the value in UTF-8.
  private var positions: [Place: [[UInt8]: [Int]]] = [:]

  private struct Place: Hashable {
    let tag: String
    let attribute: String
  }

  /// The position of an element: in the text or among the added ones.
  private enum Target {
    case source(Int)
    case added(Int)
  }

  /// - Throws: if the file is not well-formed, not UTF-8, or has markup in entities.
  public init(_ source: [UInt8], path: String) throws(XMLFileError) {
    self.path = path
    bytes = source
    expected = try RepositoryXML.parse(source, path: path).root
    scan = try XMLSourceScan(source, path: path)
    nodes = Self.flattened(expected)
    guard scan.elements.count == nodes.count else {
      throw XMLFileError(path: path, line: 0, message: "has elements that are not in its text, cannot be edited")
    }
  }

  /// All elements in document order.
  private static func flattened(_ root: Element) -> [Element] {
    var all: [Element] = []
    func add(_ element: Element) {
      all.append(element)
      for child in element.children { add(child) }
    }
    add(root)
    return all
  }

  // MARK: Finding

  /// Number of elements of a tag with this value of an attribute.
  public mutating func count(tag: String, where attribute: String, is value: String) -> Int {
    inSource(tag, attribute, value).count + added.count { Self.fits($0, tag, attribute, value) }
  }

  private mutating func find(_ tag: String, _ attribute: String, _ value: String) -> Target? {
    if let first = inSource(tag, attribute, value).first { return .source(first) }
    return added.firstIndex { Self.fits($0, tag, attribute, value) }.map { .added($0) }
  }

  private static func fits(_ element: Element, _ tag: String, _ attribute: String, _ value: String) -> Bool {
    element.tag == tag && element[attribute].map { $0.utf8.elementsEqual(value.utf8) } == true
  }

  /// Positions of matching elements of the text, after the edits.
  private mutating func inSource(_ tag: String, _ attribute: String, _ value: String) -> [Int] {
    let place = Place(tag: tag, attribute: attribute)
    if positions[place] == nil {
      var found: [[UInt8]: [Int]] = [:]
      for (index, element) in scan.elements.enumerated() where element.tag == tag && !removed.contains(index) {
        if let value = nodes[index][attribute] { found[Array(value.utf8), default: []].append(index) }
      }
      positions[place] = found
    }
    return positions[place]?[Array(value.utf8)] ?? []
  }

  // MARK: Edits

  /// Sets an attribute of the first element of a tag whose `key` is `value`; nil removes it.
  ///
  /// - Returns: false if there is no such element.
  @discardableResult
  public mutating func setAttribute(
    _ name: String, to newValue: String?, of tag: String, where key: String, is value: String
  ) throws(XMLFileError) -> Bool {
    switch find(tag, key, value) {
    case nil: return false
    case .added(let index)?: added[index][name] = newValue
    case .source(let index)?:
      var edits = changes[index] ?? []
      edits.removeAll { $0.name == name }
      edits.append((name, newValue))
      changes[index] = edits
      nodes[index][name] = newValue
      positions = positions.filter { $0.key.attribute != name }
    }
    return true
  }

  /// Appends a child to the root element, laid out as its last sibling.
  public mutating func appendChild(_ child: Element) throws(XMLFileError) {
    let child = child.deepCopy()
    added.append(child)
    expected.children.append(child)
    if scan.elements[0].contentEnd == nil || expected.children.count == 1, (expected.text ?? "").isBlank {
      expected.text = nil
    }
  }

  /// Removes the first element of a tag whose `key` is `value`, with its line if nothing else is on it.
  ///
  /// - Returns: false if there is no such element below the root.
  @discardableResult
  public mutating func removeElement(_ tag: String, where key: String, is value: String) throws(XMLFileError) -> Bool {
    switch find(tag, key, value) {
    case nil: return false
    case .added(let index)?:
      expected.remove(added.remove(at: index))
    case .source(let index)?:
      guard let parent = scan.elements[index].parent else { return false }
      nodes[parent].remove(nodes[index])
      // With all its descendants.
      var inner = index
      while inner < scan.elements.count, scan.elements[inner].start < scan.elements[index].end {
        removed.insert(inner)
        changes[inner] = nil
        inner += 1
      }
      positions = [:]
    }
    return true
  }

  // MARK: The new text

  /// A range of the text and its replacement.
  private struct Replacement {
    let range: Range<Int>
    let bytes: [UInt8]
  }

  /// The edited text, after parsing it again and comparing it with the expected tree.
  ///
  /// - Throws: if they differ; nothing must be written then.
  public func contents() throws(XMLFileError) -> [UInt8] {
    var replacements: [Replacement] = []
    for (index, edits) in changes { replacements += self.replacements(for: edits, in: scan.elements[index]) }
    // Edits inside a removed element are dropped with it.
    for index in removed where !removed.contains(scan.elements[index].parent ?? -1) {
      replacements.append(Replacement(range: extent(of: index), bytes: []))
    }
    if !added.isEmpty { replacements.append(addition()) }
    replacements.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count + replacements.reduce(0) { $0 + $1.bytes.count })
    var at = 0
    for replacement in replacements {
      guard replacement.range.lowerBound >= at else {
        throw XMLFileError(path: path, line: 0, message: "has overlapping edits, cannot be edited")
      }
      text += bytes[at..<replacement.range.lowerBound]
      text += replacement.bytes
      at = replacement.range.upperBound
    }
    text += bytes[at...]
    let result = try RepositoryXML.parse(text, path: path).root
    guard Self.isSame(result, expected) else {
      throw XMLFileError(path: path, line: 0, message: "cannot be edited without changing other parts of it")
    }
    return text
  }

  private func replacements(
    for edits: [(name: String, value: String?)], in element: XMLSourceScan.Element
  ) -> [Replacement] {
    var replacements: [Replacement] = []
    // New attributes follow the last one, in the order in which they were set.
    let end = element.attributes.last.map { $0.value.upperBound + 1 } ?? element.nameEnd
    let quote = element.attributes.last?.quote ?? UInt8(ascii: "\"")
    var new: [UInt8] = []
    for (name, value) in edits {
      let known = element.attributes.first { $0.name == name }
      switch (known, value) {
      case (nil, nil): continue
      case (let known?, let value?):
        replacements.append(Replacement(range: known.value, bytes: Self.quoted(value, in: known.quote)))
      case (let known?, nil):
        replacements.append(Replacement(range: known.space.lowerBound..<known.value.upperBound + 1, bytes: []))
      case (nil, let value?): new += Array(" \(name)=".utf8) + [quote] + Self.quoted(value, in: quote) + [quote]
      }
    }
    if !new.isEmpty { replacements.append(Replacement(range: end..<end, bytes: new)) }
    return replacements
  }

  /// The new children, with the end tag of a root that had none.
  private func addition() -> Replacement {
    let root = scan.elements[0]
    let newline: [UInt8] = bytes.contains(UInt8(ascii: "\r")) ? [0x0D, 0x0A] : [0x0A]
    let lastChild = scan.elements.indices.last { scan.elements[$0].parent == 0 && !removed.contains($0) }
    let indent = lastChild.map { spaceBefore(scan.elements[$0].start) } ?? newline + [0x20, 0x20]
    let text = added.flatMap { indent + WireWriter.xml($0) }
    if let start = root.contentEnd {
      let gone = removed.filter { scan.elements[$0].parent == 0 }.map(extent)
      let starts = Dictionary(gone.map { ($0.upperBound, $0.lowerBound) }) { one, _ in one }
      var before = start
      while before > root.contentStart {
        if let start = starts[before] {
          before = start
        } else if bytes[before - 1].isXMLSpace {
          before -= 1
        } else {
          break
        }
      }
      let isNewLine = lastChild == nil && before == start
      return Replacement(range: before..<before, bytes: text + (isNewLine ? newline : []))
    }
    // `<Clients/>` gets an end tag.
    let tail = [UInt8(ascii: ">")] + text + newline + Array("</".utf8) + Array(root.tag.utf8) + [UInt8(ascii: ">")]
    var slash = root.end - 2
    while bytes[slash - 1].isXMLSpace { slash -= 1 }
    return Replacement(range: slash..<root.end, bytes: tail)
  }

  /// The range of an element, with its line if nothing else is on it.
  private func extent(of index: Int) -> Range<Int> {
    let element = scan.elements[index]
    var start = element.start
    var end = element.end
    while start > 0, bytes[start - 1] == 0x20 || bytes[start - 1] == 0x09 { start -= 1 }
    while end < bytes.count, bytes[end] == 0x20 || bytes[end] == 0x09 || bytes[end] == 0x0D { end += 1 }
    let isAlone = start > 0 && bytes[start - 1] == 0x0A && end < bytes.count && bytes[end] == 0x0A
    return isAlone ? start..<end + 1 : element.start..<element.end
  }

  private func spaceBefore(_ index: Int) -> [UInt8] { Self.space(before: index, in: bytes) }

  /// White space from the last line's end up to `index`.
  static func space(before index: Int, in bytes: [UInt8]) -> [UInt8] {
    var start = index
    while start > 0, bytes[start - 1] == 0x20 || bytes[start - 1] == 0x09 { start -= 1 }
    if start > 0, bytes[start - 1] == 0x0A {
      start -= 1
      if start > 0, bytes[start - 1] == 0x0D { start -= 1 }
    }
    return Array(bytes[start..<index])
  }

  /// Whether two elements are equal.
  package static func isSame(_ a: Element, _ b: Element) -> Bool {
    a.tag == b.tag && a.attributes.count == b.attributes.count && a.children.count == b.children.count
      && a.attributes.allSatisfy { b[$0.name] == $0.value } && (a.text ?? "").isSameText(b.text ?? "")
      && zip(a.children, b.children).allSatisfy { isSame($0, $1) }
  }

  /// A value, escaped for these quotes.
  private static func quoted(_ value: String, in quote: UInt8) -> [UInt8] {
    var out = XMLEscape.escaped(value, as: .attribute, encoding: .utf8)
    if quote == UInt8(ascii: "'") {
      out = out.flatMap { $0 == quote ? Array("&apos;".utf8) : [$0] }
    }
    return out
  }
}

extension String {
  fileprivate var isBlank: Bool { utf8.allSatisfy(\.isXMLSpace) }

  /// Equal, or both blank: adding or removing a child turns blank text into layout and back.
  fileprivate func isSameText(_ other: String) -> Bool { self == other || (isBlank && other.isBlank) }
}
