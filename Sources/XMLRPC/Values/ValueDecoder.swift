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
  private let budget: RequestBudget
  private var stack: [Value] = []
  private var marks: [Int] = []
  private var text = ValueText()
  /// A `value` has begun and no type came yet: if it ends so, its text is a string.
  private var awaitsValue = false
  private var method: String?
  /// The element that last said what the document is: `params`, `fault` or `methodName`.
  private var kind: Kind?
  private var valueCount = 0

  init(limits: HTTPLimits, budget: RequestBudget) {
    self.limits = limits
    self.budget = budget
  }

  mutating func decode(_ body: [UInt8]) throws(MethodCallError) -> Document {
    var reader = try Self.wrapping { () throws(XMLError) in try XMLReader(body, limits: limits, budget: budget) }
    while let token = try Self.wrapping({ () throws(XMLError) in try reader.next() }) {
      text.offset = reader.offset
      switch token {
      case .start(let name, _): try start(Self.localName(name))
      case .text(let bytes): try append(bytes)
      case .end(let name): try end(Self.localName(name))
      }
    }
    guard let kind, marks.isEmpty else { throw .invalid("neither call nor response", offset: text.offset) }
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

  private mutating func start(_ tag: String) throws(MethodCallError) {
    if awaitsValue, !Self.isKnown(tag) { throw text.invalid("unknown element in a value") }
    if tag == "array" || tag == "struct" { marks.append(stack.count) }
    text.bytes = []
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
    guard text.bytes.count + bytes.count <= limits.xmlTextBytes else {
      throw .limit(LimitExceeded("xmlTextBytes", limits.xmlTextBytes))
    }
    try charge(bytes.count)
    if text.bytes.isEmpty { text.bytes = bytes } else { text.bytes.append(contentsOf: bytes) }
  }

  private func charge(_ bytes: Int) throws(MethodCallError) {
    do throws(LimitExceeded) {
      try budget.charge(bytes: bytes)
    } catch {
      throw .limit(error)
    }
  }

  /// What a value takes on the stack and in the array or structure that it goes into.
  private static let valueBytes = 2 * MemoryLayout<Value.Member>.stride

  private mutating func push(_ value: Value) throws(MethodCallError) {
    guard valueCount < limits.callValues else { throw .limit(LimitExceeded("callValues", limits.callValues)) }
    valueCount += 1
    switch value {
    case .string, .bytes, .dateTime, .bigInteger:
      try charge(Self.valueBytes + RequestBudget.heapBytes(ofText: text.bytes.count))
    case .array, .structure, .nil, .bool, .int, .double, .escaped: try charge(Self.valueBytes)
    }
    stack.append(value)
    awaitsValue = false
  }

  private mutating func end(_ tag: String) throws(MethodCallError) {
    switch tag {
    case "value":
      if awaitsValue { try push(.string(text.string)) }
    case "string", "name":
      try push(.string(text.string))
    case "int", "i4", "i8", "i1", "i2", "biginteger":
      try push(text.integer(limits: limits))
    case "boolean":
      try push(.bool(text.boolean()))
    case "double", "float", "bigdecimal":
      try push(.double(text.number()))
    case "nil":
      try push(.nil)
    case "base64":
      try push(.bytes(text.base64()))
    case "dateTime.iso8601":
      try push(.dateTime(String(decoding: text.trimmed, as: UTF8.self)))
    case "array":
      try push(.array(popToMark()))
    case "struct":
      try push(.structure(Self.members(popToMark(), offset: text.offset)))
    case "params":
      kind = .params
    case "fault":
      kind = .fault
    case "methodName":
      guard text.bytes.count <= limits.methodNameBytes else {
        throw .limit(LimitExceeded("methodNameBytes", limits.methodNameBytes))
      }
      method = text.string
      kind = .methodName
    default:
      break
    }
  }

  private mutating func popToMark() throws(MethodCallError) -> [Value] {
    guard let mark = marks.popLast(), mark <= stack.count else { throw text.invalid("array or struct out of place") }
    let values = Array(stack[mark...])
    stack.removeSubrange(mark...)
    return values
  }

  /// Names and values by turns. Of two members of one name the later counts, as in a Python dictionary.
  private static func members(_ items: [Value], offset: Int) throws(MethodCallError) -> [Value.Member] {
    guard items.count.isMultiple(of: 2) else { throw .invalid("struct member without name or value", offset: offset) }
    var members: [Value.Member] = []
    members.reserveCapacity(items.count / 2)
    var positions: [Name: Int] = [:]
    for index in stride(from: 0, to: items.count, by: 2) {
      guard case .string(let name) = items[index] else {
        throw .invalid("name of a struct member is not a string", offset: offset)
      }
      if let position = positions[Name(name)] {
        members[position].value = items[index + 1]
      } else {
        positions[Name(name)] = members.count
        members.append(Value.Member(name, items[index + 1]))
      }
    }
    return members
  }
}

/// The text of the element that ends, as the types that its tag may name.
///
/// A type of its own so that reading it does not copy the decoder, whose stack grows with the call.
private struct ValueText {
  var bytes: [UInt8] = []
  /// Bytes of the document read so far, for errors.
  var offset = 0

  var string: String { String(decoding: bytes, as: UTF8.self) }

  var trimmed: ArraySlice<UInt8> { ASCII.trimmed(bytes[...], where: ASCII.isWhitespace) }

  /// Python's `int(text)`: white space around, a sign, decimal digits.
  func integer(limits: HTTPLimits) throws(MethodCallError) -> Value {
    let text = String(decoding: trimmed, as: UTF8.self)
    if let number = Int64(text) { return .int(number) }
    let isNegative = text.utf8.first == UInt8(ascii: "-")
    let digits = text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
    guard !digits.isEmpty, text.utf8.count - digits.count < 2, digits.allSatisfy(ASCII.isDigit) else {
      throw invalid("not an integer")
    }
    guard digits.count <= limits.argumentBytes else {
      throw .limit(LimitExceeded("argumentBytes", limits.argumentBytes))
    }
    return .bigInteger((isNegative ? "-" : "") + String(Substring(digits.drop { $0 == UInt8(ascii: "0") })))
  }

  func boolean() throws(MethodCallError) -> Bool {
    if bytes == [UInt8(ascii: "1")] { return true }
    if bytes == [UInt8(ascii: "0")] { return false }
    throw invalid("boolean is neither 0 nor 1")
  }

  /// Python's `float(text)`: decimal, `inf`, `infinity`, `nan`; not the hexadecimal forms that Swift reads too.
  func number() throws(MethodCallError) -> Double {
    let text = trimmed
    let isHexadecimal = text.contains { $0 | 0x20 == UInt8(ascii: "x") }
    let hasPayload = text.contains(UInt8(ascii: "("))
    guard !isHexadecimal, !hasPayload, let number = Double(String(decoding: text, as: UTF8.self)) else {
      throw invalid("not a number")
    }
    return number
  }

  func base64() throws(MethodCallError) -> [UInt8] {
    guard let decoded = Base64.decode(bytes) else { throw invalid("incorrect padding in base64") }
    return decoded
  }

  func invalid(_ reason: String) -> MethodCallError {
    .invalid(reason, offset: offset)
  }
}
