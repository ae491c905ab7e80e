/// Iterates over the tags of a well-formed XML text: their ranges and names only.
///
/// It finds elements in texts of megabytes without allocating.
package struct XMLTagWalk {
  package struct Tag {
    package enum Kind {
      /// `<x>`, `<x/>`, `</x>`.
      case start, empty, end
    }

    package let kind: Kind
    /// From its `<` to after its `>`.
    package let range: Range<Int>
    /// Without `<` and `</`.
    let name: Range<Int>
  }

  private let bytes: UnsafeBufferPointer<UInt8>
  private var at = 0
  /// Whether a document type was passed: it may declare entities and default attributes.
  private(set) var hasDocumentType = false

  /// - Parameter bytes: a text in UTF-8, which must outlive the walk.
  package init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  /// The next tag; nil at the end, or if the text ends inside markup.
  package mutating func next() -> Tag? {
    while at < bytes.count {
      guard bytes[at] == UInt8(ascii: "<") else {
        at += 1
        continue
      }
      if isAt("<!--") {
        skip(to: "-->", from: 4)
      } else if isAt("<![CDATA[") {
        skip(to: "]]>", from: 9)
      } else if isAt("<?") {
        skip(to: "?>", from: 2)
      } else if isAt("<!") {
        hasDocumentType = true
        return nil
      } else {
        return tag()
      }
    }
    return nil
  }

  private mutating func tag() -> Tag? {
    let start = at
    let isEnd = isAt("</")
    at += isEnd ? 2 : 1
    let nameStart = at
    while at < bytes.count, !bytes[at].isXMLSpace, bytes[at] != UInt8(ascii: ">"), bytes[at] != UInt8(ascii: "/") {
      at += 1
    }
    let name = nameStart..<at
    while at < bytes.count, bytes[at] != UInt8(ascii: ">") {
      let quote = bytes[at]
      at += 1
      guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else { continue }
      while at < bytes.count, bytes[at] != quote { at += 1 }
      at += 1
    }
    guard at < bytes.count else { return nil }
    at += 1
    let isEmpty = bytes[at - 2] == UInt8(ascii: "/")
    return Tag(kind: isEnd ? .end : isEmpty ? .empty : .start, range: start..<at, name: name)
  }

  private func isAt(_ text: StaticString) -> Bool {
    guard bytes.count - at >= text.utf8CodeUnitCount else { return false }
    for index in 0..<text.utf8CodeUnitCount where bytes[at + index] != text.utf8Start[index] { return false }
    return true
  }

  private mutating func skip(to end: StaticString, from start: Int) {
    at += start
    while at < bytes.count, !isAt(end) { at += 1 }
    at += end.utf8CodeUnitCount
  }
}
