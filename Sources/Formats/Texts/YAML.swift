import CYAML
import XMLRPC

/// The error of a YAML text, with its line.
public nonisolated struct YAMLError: Error, Hashable, CustomStringConvertible {
  /// 1 for the first line.
  public let line: Int
  public let message: String

  public var description: String { "line \(line): \(message)" }
}

/// Limits of a YAML text.
nonisolated enum YAMLLimits {
  /// Most bytes of a text.
  static let textBytes = 16 << 20
  /// Most nested collections.
  static let depth = 128
  /// Most values, counting values of aliases again.
  static let values = 500_000
}

extension JSONValue {
  /// Parses one YAML document as PyYAML's `safe_load` does: YAML 1.1, `yes` is true, `010` is 8, `1:30` is 90.
  ///
  /// Types without a JSON counterpart become text as Python 2's `str` shows it: dates and times, and keys of mappings,
  /// which Python keeps as they are. Integers beyond 64 bits become floating-point numbers. Unknown tags are ignored,
  /// and the last of several anchors with one name counts; PyYAML refuses both.
  ///
  /// An empty document is null.
  public init(yaml text: String) throws(YAMLError) {
    var reader = YAMLReader(text)
    defer { reader.close() }
    self = try reader.document()
  }
}

/// Builds a value from libyaml's events.
struct YAMLReader {
  private typealias Anchored = (value: JSONValue, weight: Int)

  private let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
  private let text: UnsafeMutableBufferPointer<UInt8>
  private let budget: RequestBudget
  private var event = yaml_event_t()
  private var anchors: [Name: Anchored] = [:]
  /// Anchors of collections that are still open.
  private var open: Set<Name> = []
  /// Number of values, counting values of aliases again.
  private var weight = 0

  init(_ text: String) {
    self.text = .allocate(capacity: text.utf8.count)
    _ = self.text.initialize(from: text.utf8)
    budget = RequestBudget.currentOr(bytes: text.utf8.count)
    precondition(yaml_parser_initialize(parser) == 1, "no memory for a YAML parser")
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    yaml_parser_set_input_string(parser, self.text.baseAddress, text.utf8.count)
  }

  /// Frees libyaml's parser. Nothing may be read afterwards.
  mutating func close() {
    yaml_event_delete(&event)
    yaml_parser_delete(parser)
    parser.deallocate()
    text.deallocate()
  }

  // MARK: Events

  private var line: Int { Int(event.start_mark.line) + 1 }

  private func fail(_ message: String) -> YAMLError { YAMLError(line: line, message: message) }

  private mutating func next() throws(YAMLError) {
    yaml_event_delete(&event)
    guard yaml_parser_parse(parser, &event) == 1 else {
      let problem = parser.pointee.problem.map { String(cString: $0) } ?? "cannot be read"
      let context = parser.pointee.context.map { String(cString: $0) + ": " } ?? ""
      let isMarked = parser.pointee.error != YAML_READER_ERROR && parser.pointee.error != YAML_MEMORY_ERROR
      let line = isMarked ? Int(parser.pointee.problem_mark.line) + 1 : lineOfProblem
      throw YAMLError(line: line, message: context + problem)
    }
  }

  /// The line of a byte that libyaml's reader refuses.
  private var lineOfProblem: Int {
    text.prefix(parser.pointee.problem_offset).count { $0 == UInt8(ascii: "\n") } + 1
  }

  mutating func document() throws(YAMLError) -> JSONValue {
    guard text.count <= YAMLLimits.textBytes else {
      throw YAMLError(line: 1, message: "longer than \(YAMLLimits.textBytes) bytes")
    }
    try next()
    try next()
    guard event.type == YAML_DOCUMENT_START_EVENT else { return .null }
    try next()
    let value = try node(depth: 0)
    try next()
    try next()
    guard event.type == YAML_STREAM_END_EVENT else { throw fail("expected a single document in the stream") }
    return value
  }

  // MARK: Nodes

  /// Parses the value whose first event was read.
  private mutating func node(depth: Int) throws(YAMLError) -> JSONValue {
    guard depth <= YAMLLimits.depth else { throw fail("nested too deeply") }
    if event.type == YAML_ALIAS_EVENT { return try alias() }
    let before = weight
    let anchor = property(anchorOf: event)
    try count(1, bytes: MemoryLayout<JSONValue>.stride)
    let value: JSONValue
    switch event.type {
    case YAML_SCALAR_EVENT: value = try scalar()
    case YAML_SEQUENCE_START_EVENT, YAML_MAPPING_START_EVENT:
      if let anchor { open.insert(anchor) }
      value = event.type == YAML_SEQUENCE_START_EVENT ? try sequence(depth: depth) : try mapping(depth: depth)
      if let anchor { open.remove(anchor) }
    default: preconditionFailure("no node begins with event \(event.type.rawValue)")
    }
    if let anchor { anchors[anchor] = (value, weight - before) }
    return value
  }

  private func property(anchorOf event: yaml_event_t) -> Name? {
    let anchor: UnsafeMutablePointer<yaml_char_t>? =
      switch event.type {
      case YAML_SCALAR_EVENT: event.data.scalar.anchor
      case YAML_SEQUENCE_START_EVENT: event.data.sequence_start.anchor
      case YAML_MAPPING_START_EVENT: event.data.mapping_start.anchor
      default: event.data.alias.anchor
      }
    return anchor.map { Name(String(cString: $0)) }
  }

  private mutating func count(_ values: Int, bytes: Int) throws(YAMLError) {
    weight += values
    guard weight <= YAMLLimits.values else { throw fail("more than \(YAMLLimits.values) values") }
    do throws(LimitExceeded) {
      try budget.chargeElement(bytes: bytes)
    } catch {
      throw fail("\(error)")
    }
  }

  private mutating func alias() throws(YAMLError) -> JSONValue {
    let name = property(anchorOf: event) ?? Name("")
    guard !open.contains(name) else { throw fail("found unconstructable recursive node '\(name)'") }
    guard let anchored = anchors[name] else { throw fail("found undefined alias '\(name)'") }
    // The value is shared, but code that walks over it sees it once for each alias.
    try count(anchored.weight, bytes: 0)
    return anchored.value
  }

  private mutating func scalar() throws(YAMLError) -> JSONValue {
    let scalar = event.data.scalar
    let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
    try charge(text)
    let tag = scalar.tag.map { String(cString: $0) }
    do throws(YAMLScalarError) {
      return try YAMLScalar.value(text, tag: tag, isPlain: scalar.plain_implicit != 0)
    } catch {
      throw fail(error.message)
    }
  }

  private func charge(_ text: String) throws(YAMLError) {
    do throws(LimitExceeded) {
      try budget.charge(bytes: RequestBudget.heapBytes(ofText: text.utf8.count))
    } catch {
      throw fail("\(error)")
    }
  }

  private mutating func sequence(depth: Int) throws(YAMLError) -> JSONValue {
    let tag = event.data.sequence_start.tag.map { String(cString: $0) }
    var items: [JSONValue] = []
    try next()
    while event.type != YAML_SEQUENCE_END_EVENT {
      items.append(try node(depth: depth + 1))
      try next()
    }
    guard tag == YAMLScalar.standard("omap") || tag == YAMLScalar.standard("pairs") else { return .array(items) }
    // Pairs as in PyYAML.
    var pairs: [JSONValue] = []
    for item in items {
      guard case .object(let members) = item, let member = members.first, members.count == 1 else {
        throw fail("expected a mapping of length 1 in an ordered map")
      }
      pairs.append(.array([.string(member.name), member.value]))
    }
    return .array(pairs)
  }

  private mutating func mapping(depth: Int) throws(YAMLError) -> JSONValue {
    var members = YAMLMembers()
    try next()
    while event.type != YAML_MAPPING_END_EVENT {
      if isMergeKey {
        try next()
        try merge(try node(depth: depth + 1), into: &members)
      } else {
        let place = line
        let key = try node(depth: depth + 1)
        guard let name = key.nameText else {
          throw YAMLError(line: place, message: "found unhashable key")
        }
        try next()
        members.set(name, try node(depth: depth + 1))
      }
      try next()
    }
    return .object(members.all)
  }

  /// `<<`, unquoted and without a tag.
  private var isMergeKey: Bool {
    guard event.type == YAML_SCALAR_EVENT else { return false }
    let scalar = event.data.scalar
    return scalar.plain_implicit != 0 && scalar.length == 2 && scalar.value[0] == UInt8(ascii: "<")
      && scalar.value[1] == UInt8(ascii: "<")
  }

  private func merge(_ value: JSONValue, into members: inout YAMLMembers) throws(YAMLError) {
    switch value {
    case .object(let merged): members.merge(merged)
    case .array(let items):
      // In a list of mappings the first one with a name counts.
      for item in items.reversed() {
        guard case .object(let merged) = item else { throw fail("expected a mapping for merging") }
        members.merge(merged)
      }
    default: throw fail("expected a mapping or list of mappings for merging")
    }
  }
}

/// Members of a mapping: of duplicate names the last counts, and own members override merged ones.
private nonisolated struct YAMLMembers {
  private var places: [Name: Int] = [:]
  private var own: Set<Name> = []
  private(set) var all: [JSONValue.Member] = []

  mutating func set(_ name: String, _ value: JSONValue) {
    own.insert(Name(name))
    store(name, value)
  }

  mutating func merge(_ members: [JSONValue.Member]) {
    for member in members where !own.contains(Name(member.name)) { store(member.name, member.value) }
  }

  private mutating func store(_ name: String, _ value: JSONValue) {
    if let place = places[Name(name)] {
      all[place] = JSONValue.Member(name, value)
    } else {
      places[Name(name)] = all.count
      all.append(JSONValue.Member(name, value))
    }
  }
}
