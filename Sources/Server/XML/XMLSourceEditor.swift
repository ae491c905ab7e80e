import XMLRPC

/// Edits an XML file's text in place: comments, layout, order and quoting of what is not touched stay byte for byte.
///
/// For clients.xml and groups.xml, which administrators write and the server updates. Every edit is also made on the
/// parsed tree; `contents()` parses the text and compares, so that a file is never replaced by one that says something
/// else. UTF-8 only.
public struct XMLSourceEditor {
  private let path: String
  private var bytes: [UInt8]
  private var scan: XMLSourceScan
  /// What the text has to say after the edits.
  private let expected: Element

  /// - Throws: the file is not well-formed, not UTF-8, or has markup in entities.
  public init(_ source: [UInt8], path: String) throws(XMLFileError) {
    self.path = path
    bytes = source
    expected = try RepositoryXML.parse(source, path: path).root
    scan = try XMLSourceScan(source, path: path)
    guard scan.elements.count == Self.count(expected) else {
      throw XMLFileError(path: path, line: 0, message: "has elements that are not in its text, cannot be edited")
    }
  }

  private static func count(_ element: Element) -> Int {
    element.children.reduce(1) { $0 + count($1) }
  }

  /// The edited text, parsed again and compared with what it has to say.
  ///
  /// - Throws: it does not say that; nothing is to be written then.
  public func contents() throws(XMLFileError) -> [UInt8] {
    let result = try RepositoryXML.parse(bytes, path: path).root
    guard Self.isSame(result, expected) else {
      throw XMLFileError(path: path, line: 0, message: "cannot be edited without changing other parts of it")
    }
    return bytes
  }

  private static func isSame(_ a: Element, _ b: Element) -> Bool {
    a.tag == b.tag && a.attributes.count == b.attributes.count && a.children.count == b.children.count
      && a.attributes.allSatisfy { b[$0.name] == $0.value } && (a.text ?? "").isSameText(b.text ?? "")
      && zip(a.children, b.children).allSatisfy { isSame($0, $1) }
  }

  /// How many elements of a tag have this value of an attribute.
  public func count(tag: String, where attribute: String, is value: String) -> Int {
    scan.elements.count { $0.tag == tag && $0.value(attribute) == value }
  }

  private func find(_ tag: String, _ attribute: String, _ value: String) -> Int? {
    scan.elements.firstIndex { $0.tag == tag && $0.value(attribute) == value }
  }

  /// Sets an attribute of the first element of a tag that has `value` as its `key`, nil removes it.
  ///
  /// - Returns: false where there is no such element.
  @discardableResult
  public mutating func setAttribute(
    _ name: String, to newValue: String?, of tag: String, where key: String, is value: String
  ) throws(XMLFileError) -> Bool {
    guard let index = find(tag, key, value) else { return false }
    let element = scan.elements[index]
    let known = element.attributes.first { $0.name == name }
    switch (known, newValue) {
    case (nil, nil): return true
    case (let known?, let new?):
      bytes.replaceSubrange(known.value, with: Self.quoted(new, in: known.quote))
    case (let known?, nil):
      bytes.removeSubrange(known.space.lowerBound..<known.value.upperBound + 1)
    case (nil, let new?):
      let end = element.attributes.last.map { $0.value.upperBound + 1 } ?? element.nameEnd
      let quote = element.attributes.last?.quote ?? UInt8(ascii: "\"")
      bytes.insert(contentsOf: Array(" \(name)=".utf8) + [quote] + Self.quoted(new, in: quote) + [quote], at: end)
    }
    Self.element(at: index, in: expected)?[name] = newValue
    scan = try XMLSourceScan(bytes, path: path)
    return true
  }

  /// Adds a child at the end of the root element, laid out as its last sibling.
  public mutating func appendChild(_ child: Element) throws(XMLFileError) {
    let root = scan.elements[0]
    let newline: [UInt8] = bytes.contains(UInt8(ascii: "\r")) ? [0x0D, 0x0A] : [0x0A]
    let text = WireWriter.xml(child)
    if let start = root.contentEnd {
      var before = start
      while before > root.contentStart, bytes[before - 1].isXMLSpace { before -= 1 }
      let lastChild = scan.elements.last { $0.parent == 0 }
      let indent = lastChild.map { spaceBefore($0.start) } ?? newline + [0x20, 0x20]
      let isNewLine = lastChild == nil && before == start
      bytes.insert(contentsOf: indent + text + (isNewLine ? newline : []), at: before)
    } else {
      // `<Clients/>` gets an end tag.
      let name = Array(root.tag.utf8)
      let tail = [UInt8(ascii: ">")] + newline + [0x20, 0x20] + text + newline + Array("</".utf8) + name
      var slash = root.end - 2
      while bytes[slash - 1].isXMLSpace { slash -= 1 }
      bytes.replaceSubrange(slash..<root.end, with: tail + [UInt8(ascii: ">")])
    }
    expected.children.append(child.deepCopy())
    if root.contentEnd == nil || expected.children.count == 1, (expected.text ?? "").isBlank { expected.text = nil }
    scan = try XMLSourceScan(bytes, path: path)
  }

  /// White space from the last line's end up to `index`.
  private func spaceBefore(_ index: Int) -> [UInt8] {
    var start = index
    while start > 0, bytes[start - 1] == 0x20 || bytes[start - 1] == 0x09 { start -= 1 }
    if start > 0, bytes[start - 1] == 0x0A {
      start -= 1
      if start > 0, bytes[start - 1] == 0x0D { start -= 1 }
    }
    return Array(bytes[start..<index])
  }

  /// Removes the first element of a tag that has `value` as its `key`, with its line where it stands alone on it.
  ///
  /// - Returns: false where there is no such element below the root.
  @discardableResult
  public mutating func removeElement(_ tag: String, where key: String, is value: String) throws(XMLFileError) -> Bool {
    guard let index = find(tag, key, value), let parent = scan.elements[index].parent else { return false }
    let element = scan.elements[index]
    var start = element.start
    var end = element.end
    while start > 0, bytes[start - 1] == 0x20 || bytes[start - 1] == 0x09 { start -= 1 }
    while end < bytes.count, bytes[end] == 0x20 || bytes[end] == 0x09 || bytes[end] == 0x0D { end += 1 }
    let isAlone = start > 0 && bytes[start - 1] == 0x0A && end < bytes.count && bytes[end] == 0x0A
    if isAlone { end += 1 } else { (start, end) = (element.start, element.end) }
    guard let target = Self.element(at: index, in: expected), let owner = Self.element(at: parent, in: expected) else {
      return false
    }
    bytes.removeSubrange(start..<end)
    owner.remove(target)
    scan = try XMLSourceScan(bytes, path: path)
    return true
  }

  /// The element at a position of document order.
  private static func element(at index: Int, in root: Element) -> Element? {
    var left = index
    func walk(_ element: Element) -> Element? {
      if left == 0 { return element }
      left -= 1
      for child in element.children { if let found = walk(child) { return found } }
      return nil
    }
    return walk(root)
  }

  /// A value as it stands between these quotes.
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

  /// Equal, or both blank: where a child comes or goes, blank text becomes layout and the reverse.
  fileprivate func isSameText(_ other: String) -> Bool { self == other || (isBlank && other.isBlank) }
}
