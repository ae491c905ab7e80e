package import EventLoop
import Glibc

/// Indexes the offsets of one tag's elements in an XML file by one attribute. Small changes of the file update it at
/// their own cost, not the file's.
///
/// It takes 12 to 20 bytes an element and does not keep the text. It stores only hashes of values, so the caller reads
/// the element at an offset and checks it.
package struct ElementIndex {
  /// Offset of the `<` of each element's start tag, in document order.
  private var starts: [UInt32] = []
  private var hashes: [UInt32] = []
  /// Positions in `starts` plus one, by hash: open addressing; 0 is free. Equal hashes are found in document order.
  private var slots: [UInt32] = []
  /// The offset for a new last child of the root, and the white space before it.
  package private(set) var end = 0
  package let space: [UInt8]
  /// Bytes of the text.
  package private(set) var textBytes: Int

  /// Number of elements.
  var count: Int { starts.count }

  /// Indexes a text that a parser has read without an error.
  ///
  /// - Returns: nil if offsets do not suffice to find elements: with a document type, a default namespace, an encoding
  ///   other than UTF-8; or if the root has no children to copy the layout from.
  package init?(_ bytes: [UInt8], tag: String, key: String) {
    textBytes = bytes.count
    guard bytes.count < Int(UInt32.max), Self.isPlain(bytes), let layout = Self.layout(of: bytes) else { return nil }
    (end, space) = layout
    let (wantedTag, wantedKey) = (Array(tag.utf8), Array(key.utf8))
    bytes.withUnsafeBufferPointer { text in
      var walk = XMLTagWalk(text)
      while let found = walk.next() {
        guard found.kind != .end, text[found.name].elementsEqual(wantedTag),
          let value = Self.value(
            of: wantedKey, in: UnsafeBufferPointer(rebasing: text[found.name.upperBound..<found.range.upperBound]))
        else { continue }
        starts.append(UInt32(found.range.lowerBound))
        hashes.append(Self.hash(value))
      }
    }
    makeSlots()
  }

  /// Offsets of elements that may have a value, in document order. The first one that really has it counts.
  package func candidates(_ value: String) -> [Int] {
    let hash = Self.hash(Array(value.utf8))
    var found: [Int] = []
    var slot = Int(hash) & (slots.count - 1)
    while slots[slot] != 0 {
      let index = Int(slots[slot]) - 1
      if hashes[index] == hash { found.append(index) }
      slot = (slot + 1) & (slots.count - 1)
    }
    return found
  }

  /// The offset of an element.
  package func start(_ index: Int) -> Int { Int(starts[index]) }

  /// New last children of the root: their text, inserted at `end`, and the offset of each in it.
  package struct Addition {
    package private(set) var bytes: [UInt8] = []
    fileprivate var elements: [(value: String, offset: Int)] = []

    package init() {}

    /// Adds an element with the white space before it.
    package mutating func append(_ element: [UInt8], value: String, space: [UInt8]) {
      bytes += space
      elements.append((value, bytes.count))
      bytes += element
    }
  }

  /// Updates the offsets after changes of the text.
  ///
  /// - Parameter changes: inside start tags, in ascending order.
  package mutating func took(_ changes: [FileWrite.Change], _ addition: Addition) {
    var next = 0
    var moved = 0
    for index in starts.indices {
      let start = Int(starts[index])
      while next < changes.count, changes[next].range.upperBound <= start {
        moved += changes[next].growth
        next += 1
      }
      starts[index] = UInt32(start + moved)
    }
    let growth = changes.reduce(0) { $0 + $1.growth }
    end += growth
    for (value, offset) in addition.elements {
      starts.append(UInt32(end + offset))
      hashes.append(Self.hash(Array(value.utf8)))
      if starts.count * 3 > slots.count * 2 { makeSlots() } else { insert(starts.count - 1) }
    }
    end += addition.bytes.count
    textBytes += growth + addition.bytes.count
  }

  // MARK: Hashes

  private mutating func makeSlots() {
    var size = 16
    while size < starts.count * 2 { size *= 2 }
    slots = Array(repeating: 0, count: size)
    for index in starts.indices { insert(index) }
  }

  private mutating func insert(_ index: Int) {
    var slot = Int(hashes[index]) & (slots.count - 1)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = UInt32(index + 1)
  }

  /// Seeded per process: nobody can choose colliding values.
  private static func hash(_ bytes: [UInt8]) -> UInt32 {
    var hasher = Hasher()
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }

  // MARK: The text

  /// Whether tags of the text are tags of the document, byte for byte.
  private static func isPlain(_ bytes: [UInt8]) -> Bool {
    if contains(bytes, "xmlns=") { return false }
    guard contains(Array(bytes.prefix(256)), "encoding") else { return true }
    let declaration = String(decoding: bytes.prefix { $0 != UInt8(ascii: ">") }, as: UTF8.self).lowercased()
    return declaration.contains("\"utf-8\"") || declaration.contains("'utf-8'")
  }

  private static func contains(_ bytes: [UInt8], _ text: StaticString) -> Bool {
    bytes.withUnsafeBufferPointer { bytes in
      let count = text.utf8CodeUnitCount
      guard bytes.count >= count else { return false }
      for start in 0...bytes.count - count where bytes[start] == text.utf8Start[0] {
        if memcmp(bytes.baseAddress! + start, text.utf8Start, count) == 0 { return true }
      }
      return false
    }
  }

  /// The offset and white space for a new last child of the root, laid out as its last sibling, as in
  /// `XMLSourceEditor.appendChild`.
  private static func layout(of bytes: [UInt8]) -> (end: Int, space: [UInt8])? {
    bytes.withUnsafeBufferPointer { text in
      var walk = XMLTagWalk(text)
      var depth = 0
      var lastChild: Int?
      var contentEnd: Int?
      while let tag = walk.next() {
        if tag.kind == .end {
          depth -= 1
          if depth == 0 { contentEnd = tag.range.lowerBound }
        } else {
          if depth == 1 { lastChild = tag.range.lowerBound }
          if tag.kind == .start { depth += 1 }
        }
      }
      guard !walk.hasDocumentType, depth == 0, let lastChild, var end = contentEnd else { return nil }
      while bytes[end - 1].isXMLSpace { end -= 1 }
      return (end, XMLSourceEditor.space(before: lastChild, in: bytes))
    }
  }

  /// The value of an attribute in the rest of a tag.
  private static func value(of key: [UInt8], in tag: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
    var at = 0
    while at < tag.count {
      while at < tag.count, tag[at].isXMLSpace { at += 1 }
      let name = at
      while at < tag.count, !tag[at].isXMLSpace, tag[at] != UInt8(ascii: "=") { at += 1 }
      let isWanted = tag[name..<at].elementsEqual(key)
      while at < tag.count, tag[at] != UInt8(ascii: "\""), tag[at] != UInt8(ascii: "'") { at += 1 }
      guard at < tag.count else { return nil }
      let quote = tag[at]
      let start = at + 1
      at = start
      while at < tag.count, tag[at] != quote { at += 1 }
      if isWanted { return XMLSourceScan.value(tag[start..<min(at, tag.count)]) }
      at += 1
    }
    return nil
  }
}

extension FileWrite.Change {
  /// The number of bytes that the change adds to the file.
  fileprivate var growth: Int { bytes.count - range.count }
}
