/// What is wrong with a YAML text, and where.
public nonisolated struct YAMLError: Error, Hashable, CustomStringConvertible {
  /// 1 for the first line.
  public let line: Int
  public let message: String

  public var description: String { "line \(line): \(message)" }
}

nonisolated extension JSONValue {
  /// Reads one YAML document, as programs write it: block and flow collections, plain, quoted and block scalars,
  /// comments, anchors, aliases and merge keys. Tags are skipped. Plain scalars are resolved as YAML 1.1 has it (`yes`
  /// is true), but dates and numbers to the base of 60 stay text. Keys are text. Explicit keys (`? `) are refused.
  ///
  /// An empty document is null.
  public init(yaml text: String) throws(YAMLError) {
    var reader = YAMLReader(text)
    self = try reader.document()
  }
}

/// Block structure; what stands within a line is `YAMLFlow`'s.
nonisolated struct YAMLReader {
  struct Line {
    /// Columns before the content.
    var indent: Int
    var content: [UInt8]
    /// 1 for the first line of the document.
    let number: Int

    var isBlank: Bool { content.isEmpty || content[0] == UInt8(ascii: "#") }
    var isItem: Bool { content.first == UInt8(ascii: "-") && (content.count == 1 || content[1].isYAMLSpace) }
  }

  /// How deep collections may nest.
  static let depthLimit = 128

  private(set) var lines: [Line]
  private var next = 0
  private var anchors: [String: JSONValue] = [:]

  init(_ text: String) {
    lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated().map {
      number, bytes in
      var content = Array(bytes)
      while let last = content.last, last.isYAMLSpace || last == 0x0D { content.removeLast() }
      let indent = content.prefix { $0 == 0x20 }.count
      return Line(indent: indent, content: Array(content[indent...]), number: number + 1)
    }
  }

  mutating func document() throws(YAMLError) -> JSONValue {
    try takeMarkers()
    guard skipBlank() else { return .null }
    // A tag or an anchor of the whole document may stand on a line of its own.
    let hasProperty = lines[next].content[0] == UInt8(ascii: "!") || lines[next].content[0] == UInt8(ascii: "&")
    let value =
      hasProperty
      ? try entry(parentIndent: -1, allowsItems: false, depth: 0)
      : try node(indent: lines[next].indent, parentIndent: -1, depth: 0)
    if skipBlank() { throw fail("something stands behind the document", at: next) }
    return value
  }

  /// Cuts the document out of directives and markers.
  private mutating func takeMarkers() throws(YAMLError) {
    if let bom = lines.first, bom.content.starts(with: [0xEF, 0xBB, 0xBF]) { lines[0].content.removeFirst(3) }
    while next < lines.count, lines[next].isBlank || lines[next].content[0] == UInt8(ascii: "%") { next += 1 }
    var start = next
    if next < lines.count, isMarker(lines[next], "---") {
      let content = lines[next].content
      let rest = content.dropFirst(3).drop(while: \.isYAMLSpace)
      lines[next].indent = content.count - rest.count
      lines[next].content = Array(rest)
      start += 1
    }
    if let end = lines[start...].firstIndex(where: { isMarker($0, "---") || isMarker($0, "...") }) {
      if let more = lines[end...].first(where: { !$0.isBlank && !isMarker($0, "---") && !isMarker($0, "...") }) {
        throw YAMLError(line: more.number, message: "expected a single document in the stream")
      }
      lines.removeSubrange(end...)
    }
  }

  private func isMarker(_ line: Line, _ marker: String) -> Bool {
    line.indent == 0 && line.content.starts(with: marker.utf8)
      && (line.content.count == 3 || line.content[3].isYAMLSpace)
  }

  /// Goes to the next line with something on it; false at the end.
  private mutating func skipBlank() -> Bool {
    while next < lines.count, lines[next].isBlank { next += 1 }
    return next < lines.count
  }

  private func fail(_ message: String, at index: Int) -> YAMLError {
    YAMLError(line: lines[min(index, lines.count - 1)].number, message: message)
  }

  /// The node whose first line is the next one.
  /// - Parameter parentIndent: lines of a scalar are indented more than this.
  private mutating func node(indent: Int, parentIndent: Int, depth: Int) throws(YAMLError) -> JSONValue {
    guard depth < Self.depthLimit else { throw fail("nested too deeply", at: next) }
    if lines[next].content.contains(UInt8(ascii: "\t")), lines[next].content[0] == UInt8(ascii: "\t") {
      throw fail("a tab cannot indent", at: next)
    }
    if lines[next].isItem { return try sequence(indent: indent, depth: depth) }
    var flow = YAMLFlow(lines: lines, line: next, anchors: anchors)
    if try flow.key() != nil { return try mapping(indent: indent, depth: depth) }
    return try inline(parentIndent: parentIndent, depth: depth)
  }

  private mutating func sequence(indent: Int, depth: Int) throws(YAMLError) -> JSONValue {
    var items: [JSONValue] = []
    while skipBlank(), lines[next].indent == indent, lines[next].isItem {
      let content = lines[next].content
      let rest = content.dropFirst().drop(while: \.isYAMLSpace)
      lines[next].indent += content.count - rest.count
      lines[next].content = Array(rest)
      items.append(try entry(parentIndent: indent, allowsItems: false, depth: depth + 1))
    }
    try expectEnd(of: "sequence", indent: indent)
    return .array(items)
  }

  private mutating func mapping(indent: Int, depth: Int) throws(YAMLError) -> JSONValue {
    var members: [JSONValue.Member] = []
    var merged: [JSONValue.Member] = []
    while skipBlank(), lines[next].indent == indent, !lines[next].isItem {
      var flow = YAMLFlow(lines: lines, line: next, anchors: anchors)
      guard let key = try flow.key() else { throw fail("could not find expected ':'", at: next) }
      let content = lines[next].content
      let rest = content[flow.column...].drop(while: \.isYAMLSpace)
      lines[next].indent += content.count - rest.count
      lines[next].content = Array(rest)
      let value = try entry(parentIndent: indent, allowsItems: true, depth: depth + 1)
      if key == "<<" {
        switch value {
        case .object(let others): merged = others + merged
        case .array(let many): for case .object(let others) in many { merged = others + merged }
        default: throw fail("a merge key needs a mapping", at: next - 1)
        }
      } else {
        members.append(JSONValue.Member(key, value))
      }
    }
    try expectEnd(of: "mapping", indent: indent)
    return .object(merged.filter { other in !members.contains { $0.name == other.name } } + members)
  }

  private mutating func expectEnd(of kind: String, indent: Int) throws(YAMLError) {
    if skipBlank(), lines[next].indent > indent { throw fail("unexpected indentation in a block \(kind)", at: next) }
  }

  /// What stands behind `- ` or `key:`, which were cut off the next line.
  private mutating func entry(parentIndent: Int, allowsItems: Bool, depth: Int) throws(YAMLError) -> JSONValue {
    var anchor: String?
    while let first = lines[next].content.first, first == UInt8(ascii: "!") || first == UInt8(ascii: "&") {
      let content = lines[next].content
      let word = content.prefix { !$0.isYAMLSpace }
      if first == UInt8(ascii: "&") { anchor = String(decoding: word.dropFirst(), as: UTF8.self) }
      let rest = content[word.count...].drop(while: \.isYAMLSpace)
      lines[next].indent += content.count - rest.count
      lines[next].content = Array(rest)
    }
    let value = try plainEntry(parentIndent: parentIndent, allowsItems: allowsItems, depth: depth)
    if let anchor { anchors[anchor] = value }
    return value
  }

  private mutating func plainEntry(parentIndent: Int, allowsItems: Bool, depth: Int) throws(YAMLError) -> JSONValue {
    guard lines[next].isBlank else {
      // A mapping or a sequence may begin behind `- `, but not behind `key:`.
      if allowsItems { return try inline(parentIndent: parentIndent, depth: depth) }
      return try node(indent: lines[next].indent, parentIndent: parentIndent, depth: depth)
    }
    next += 1
    guard skipBlank() else { return .null }
    let line = lines[next]
    if line.indent > parentIndent || (allowsItems && line.indent == parentIndent && line.isItem) {
      if let first = line.content.first, first == UInt8(ascii: "!") || first == UInt8(ascii: "&") {
        return try entry(parentIndent: parentIndent, allowsItems: false, depth: depth)
      }
      return try node(indent: line.indent, parentIndent: parentIndent, depth: depth)
    }
    return .null
  }

  /// A scalar or a flow collection that begins on the next line.
  private mutating func inline(parentIndent: Int, depth: Int) throws(YAMLError) -> JSONValue {
    switch lines[next].content[0] {
    case UInt8(ascii: "|"), UInt8(ascii: ">"): return try blockScalar(parentIndent: parentIndent)
    case UInt8(ascii: "!"), UInt8(ascii: "&"):
      return try entry(parentIndent: parentIndent, allowsItems: false, depth: depth)
    default: break
    }
    var flow = YAMLFlow(lines: lines, line: next, anchors: anchors)
    let value = try flow.blockValue(parentIndent: parentIndent, depth: depth)
    next = flow.line + 1
    return value
  }

  /// `|` and `>` with their lines, which are indented more than the parent.
  private mutating func blockScalar(parentIndent: Int) throws(YAMLError) -> JSONValue {
    let header = lines[next].content
    let isFolded = header[0] == UInt8(ascii: ">")
    var chomping: UInt8?
    var indent: Int?
    for byte in header.dropFirst().prefix(while: { !$0.isYAMLSpace }) {
      switch byte {
      case UInt8(ascii: "-"), UInt8(ascii: "+"): chomping = byte
      case UInt8(ascii: "1")...UInt8(ascii: "9"): indent = max(parentIndent, 0) + Int(byte - 0x30)
      default: throw fail("wrong block scalar header", at: next)
      }
    }
    next += 1
    var text: [[UInt8]] = []
    while next < lines.count {
      let line = lines[next]
      if !line.content.isEmpty {
        if indent == nil, line.indent > parentIndent { indent = line.indent }
        guard let indent, line.indent >= indent else { break }
      }
      let extra = max(line.indent - (indent ?? line.indent), 0)
      text.append(line.content.isEmpty ? [] : [UInt8](repeating: 0x20, count: extra) + line.content)
      next += 1
    }
    let trailing = text.reversed().prefix { $0.isEmpty }.count
    let kept = text.dropLast(trailing)
    var joined = isFolded ? Self.folded(Array(kept)) : Array(kept.joined(separator: [0x0A]))
    if !kept.isEmpty, chomping != UInt8(ascii: "-") { joined.append(0x0A) }
    if chomping == UInt8(ascii: "+") { joined += [UInt8](repeating: 0x0A, count: trailing) }
    return .string(String(decoding: joined, as: UTF8.self))
  }

  /// Lines joined by blanks; empty lines are line feeds, more indented lines keep theirs.
  private static func folded(_ lines: [[UInt8]]) -> [UInt8] {
    var text: [UInt8] = []
    var pendingBreaks = 0
    var wasIndented = false
    for (index, line) in lines.enumerated() {
      if line.isEmpty {
        pendingBreaks += 1
        continue
      }
      let isIndented = line[0].isYAMLSpace
      if index > 0 {
        if isIndented || wasIndented { pendingBreaks += 1 }
        text += pendingBreaks == 0 ? [0x20] : [UInt8](repeating: 0x0A, count: pendingBreaks)
      }
      text += line
      pendingBreaks = 0
      wasIndented = isIndented
    }
    return text
  }
}

nonisolated extension UInt8 {
  /// What separates words in YAML.
  var isYAMLSpace: Bool { self == 0x20 || self == 0x09 }
}
