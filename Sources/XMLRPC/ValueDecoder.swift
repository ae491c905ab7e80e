/// Builds values from tags, in the manner of Python's unmarshaller: a stack of finished values, marks where arrays and
/// structures began, and the text since the last start tag. The order of elements is judged no further than that.
struct ValueDecoder {
  /// What a document held.
  struct Document {
    var method: String?
    var isFault: Bool
    var values: [Value]
  }

  private enum Kind {
    case params
    case fault
    case methodName
  }

  private let limits: HTTPLimits
  private var stack: [Value] = []
  private var marks: [Int] = []
  private var text: [UInt8] = []
  /// A `value` was begun and has not yet got one: if it ends so, its text is a string.
  private var awaitsValue = false
  private var method: String?
  /// The element that last said what the document is: `params`, `fault` or `methodName`.
  private var kind: Kind?
  private var valueCount = 0
  /// Bytes read so far, for errors.
  private var offset = 0

  init(limits: HTTPLimits) {
    self.limits = limits
  }

  mutating func decode(_ body: [UInt8]) throws(MethodCallError) -> Document {
    var reader = try Self.wrapping { () throws(XMLError) in try XMLReader(body, limits: limits) }
    while let token = try Self.wrapping({ () throws(XMLError) in try reader.next() }) {
      offset = reader.offset
      switch token {
      case .start(let name, _): try start(Self.localName(name))
      case .text(let bytes): try append(bytes)
      case .end(let name): try end(Self.localName(name))
      }
    }
    guard let kind, marks.isEmpty else { throw .invalid("neither call nor response", offset: offset) }
    return Document(method: method, isFault: kind == .fault, values: stack)
  }

  private static func wrapping<Result>(
    _ read: () throws(XMLError) -> Result
  ) throws(MethodCallError) -> Result {
    do throws(XMLError) {
      return try read()
    } catch {
      throw .xml(error)
    }
  }

  /// The name without namespace prefix: Apache's extensions are sent as `ex:nil`, `ex:i8`.
  private static func localName(_ name: String) -> String {
    guard let colon = name.utf8.lastIndex(of: UInt8(ascii: ":")) else { return name }
    return String(name[name.utf8.index(after: colon)...])
  }

  private func invalid(_ reason: String) -> MethodCallError {
    .invalid(reason, offset: offset)
  }

  private mutating func start(_ tag: String) throws(MethodCallError) {
    if awaitsValue, !Self.isKnown(tag) { throw invalid("unknown element in a value") }
    if tag == "array" || tag == "struct" { marks.append(stack.count) }
    text = []
    awaitsValue = tag == "value"
  }

  /// Elements that may begin inside `value`: all that have a meaning at their end.
  private static func isKnown(_ tag: String) -> Bool {
    switch tag {
    case "value", "nil", "boolean", "int", "i1", "i2", "i4", "i8", "biginteger", "double", "float", "bigdecimal",
      "string", "name", "array", "struct", "base64", "dateTime.iso8601", "params", "fault", "methodName":
      true
    default:
      false
    }
  }

  private mutating func append(_ bytes: [UInt8]) throws(MethodCallError) {
    // The reader bounds one piece; comments and CDATA sections cut a text into several.
    guard text.count + bytes.count <= limits.xmlTextBytes else { throw .limit("xmlTextBytes") }
    if text.isEmpty { text = bytes } else { text.append(contentsOf: bytes) }
  }

  private mutating func push(_ value: Value) throws(MethodCallError) {
    guard valueCount < limits.callValues else { throw .limit("callValues") }
    valueCount += 1
    stack.append(value)
    awaitsValue = false
  }

  private mutating func end(_ tag: String) throws(MethodCallError) {
    switch tag {
    case "value":
      if awaitsValue { try push(.string(textAsString)) }
    case "string", "name":
      try push(.string(textAsString))
    case "int", "i4", "i8", "i1", "i2", "biginteger":
      try push(.int(integer()))
    case "boolean":
      try push(.bool(boolean()))
    case "double", "float", "bigdecimal":
      try push(.double(number()))
    case "nil":
      try push(.nil)
    case "base64":
      guard let bytes = Base64.decode(text) else { throw invalid("incorrect padding in base64") }
      try push(.bytes(bytes))
    case "dateTime.iso8601":
      try push(.dateTime(String(decoding: trimmedText, as: UTF8.self)))
    case "array":
      try push(.array(popToMark()))
    case "struct":
      try push(.structure(members(popToMark())))
    case "params":
      kind = .params
    case "fault":
      kind = .fault
    case "methodName":
      guard text.count <= limits.methodNameBytes else { throw .limit("methodNameBytes") }
      method = textAsString
      kind = .methodName
    default:
      break
    }
  }

  private var textAsString: String { String(decoding: text, as: UTF8.self) }

  private var trimmedText: ArraySlice<UInt8> { ASCII.trimmed(text[...], where: ASCII.isWhitespace) }

  /// Python's `int(text)`: white space around, a sign, decimal digits; here within 64 bits.
  private func integer() throws(MethodCallError) -> Int64 {
    guard let number = Int64(String(decoding: trimmedText, as: UTF8.self)) else {
      throw invalid("not a 64-bit integer")
    }
    return number
  }

  private func boolean() throws(MethodCallError) -> Bool {
    if text == [UInt8(ascii: "1")] { return true }
    if text == [UInt8(ascii: "0")] { return false }
    throw invalid("boolean is neither 0 nor 1")
  }

  /// Python's `float(text)`: decimal, `inf`, `infinity`, `nan`; not the hexadecimal forms that Swift reads too.
  private func number() throws(MethodCallError) -> Double {
    let trimmed = trimmedText
    let isHexadecimal = trimmed.contains { $0 | 0x20 == UInt8(ascii: "x") }
    let hasPayload = trimmed.contains(UInt8(ascii: "("))
    guard !isHexadecimal, !hasPayload, let number = Double(String(decoding: trimmed, as: UTF8.self)) else {
      throw invalid("not a number")
    }
    return number
  }

  private mutating func popToMark() throws(MethodCallError) -> [Value] {
    guard let mark = marks.popLast(), mark <= stack.count else { throw invalid("array or struct out of place") }
    let values = Array(stack[mark...])
    stack.removeSubrange(mark...)
    return values
  }

  /// Names and values by turns. Of two members of one name the later counts, as in a Python dictionary.
  private func members(_ items: [Value]) throws(MethodCallError) -> [Value.Member] {
    guard items.count.isMultiple(of: 2) else { throw invalid("struct member without name or value") }
    var members: [Value.Member] = []
    members.reserveCapacity(items.count / 2)
    var positions: [String: Int] = [:]
    for index in stride(from: 0, to: items.count, by: 2) {
      guard case .string(let name) = items[index] else { throw invalid("name of a struct member is not a string") }
      if let position = positions[name] {
        members[position].value = items[index + 1]
      } else {
        positions[name] = members.count
        members.append(Value.Member(name, items[index + 1]))
      }
    }
    return members
  }
}
