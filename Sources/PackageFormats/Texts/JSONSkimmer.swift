/// Walks through one JSON text in place, and gives only what is asked for.
///
/// Nothing is kept but what the caller takes: a catalogue of FreeBSD has 35,000 records of which three fields count.
/// Grammar: RFC 8259.
struct JSONSkimmer {
  private let text: ByteText
  private var index = 0
  private var depth = 0

  /// Most nested arrays and objects.
  static let depthLimit = 64

  /// Why a text is no JSON, in words, with the place.
  struct Failure: Error {
    let message: String
    let offset: Int
  }

  init(_ text: ByteText) { self.text = text }

  /// Calls `member` for each member of the object that comes next; it must read the value, with `skipValue` or others.
  ///
  /// - Parameter member: gets the name, and this reader.
  mutating func object(
    _ member: (ByteText, inout JSONSkimmer) throws(Failure) -> Void
  ) throws(Failure) {
    skipBlanks()
    try begin("{", "an object")
    defer { depth -= 1 }
    skipBlanks()
    if consume("}") { return }
    while true {
      skipBlanks()
      var name: [UInt8] = []
      let plain = try string(&name)
      skipBlanks()
      guard consume(":") else { throw fail("a colon is missing") }
      if let plain {
        try member(plain, &self)
      } else {
        let result = name.withUnsafeBufferPointer { name in
          Result { () throws(Failure) in try member(name, &self) }
        }
        try result.get()
      }
      skipBlanks()
      if consume("}") { return }
      guard consume(",") else { throw fail("a comma is missing") }
    }
  }

  /// Calls `item` for each item of the array that comes next; it must read the value.
  mutating func array(_ item: (inout JSONSkimmer) throws(Failure) -> Void) throws(Failure) {
    skipBlanks()
    try begin("[", "an array")
    defer { depth -= 1 }
    skipBlanks()
    if consume("]") { return }
    while true {
      try item(&self)
      skipBlanks()
      if consume("]") { return }
      guard consume(",") else { throw fail("a comma is missing") }
    }
  }

  /// Reads the string that comes next into `value`.
  mutating func string(into value: inout [UInt8]) throws(Failure) {
    skipBlanks()
    value.removeAll(keepingCapacity: true)
    if let plain = try string(&value) { value += plain }
  }

  /// The first byte of the value that comes next: `{`, `[`, `"` or another; nil at the end.
  mutating func peek() -> UInt8? {
    skipBlanks()
    return index < text.count ? text[index] : nil
  }

  /// Passes over the value that comes next.
  mutating func skipValue() throws(Failure) {
    switch peek() {
    case UInt8(ascii: "{"): try object { _, reader throws(Failure) in try reader.skipValue() }
    case UInt8(ascii: "["): try array { reader throws(Failure) in try reader.skipValue() }
    case UInt8(ascii: "\""): try skipString()
    default:
      let start = index
      while index < text.count {
        switch text[index] {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"),
          UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "E"):
          index += 1
          continue
        default: break
        }
        break
      }
      let word = text.part(start..<index)
      guard let first = word.first else { throw fail("a value is missing") }
      let isNumber = first == UInt8(ascii: "-") || first &- 0x30 < 10
      guard isNumber || word.equals("true") || word.equals("false") || word.equals("null") else {
        index = start
        throw fail("\"\(shown(word))\" is no value")
      }
    }
  }

  /// Checks that nothing but blanks follows.
  mutating func finish() throws(Failure) {
    guard peek() == nil else { throw fail("something follows the value") }
  }

  // MARK: Parts

  private func fail(_ message: String) -> Failure { Failure(message: message, offset: index) }

  private mutating func begin(_ opening: Unicode.Scalar, _ name: StaticString) throws(Failure) {
    guard consume(opening) else { throw fail("\(name) is missing") }
    depth += 1
    guard depth <= Self.depthLimit else { throw fail("more than \(Self.depthLimit) nested values, the limit") }
  }

  private mutating func skipBlanks() {
    while index < text.count, text[index] == 0x20 || text[index] == 0x0A || text[index] == 0x0D || text[index] == 0x09 {
      index += 1
    }
  }

  private mutating func consume(_ character: Unicode.Scalar) -> Bool {
    guard index < text.count, text[index] == UInt8(ascii: character) else { return false }
    index += 1
    return true
  }

  private mutating func skipString() throws(Failure) {
    var value: [UInt8] = []
    _ = try string(&value)
  }

  /// Reads a string.
  ///
  /// - Returns: its bytes in place, if it has no escapes; otherwise nil, and its bytes are in `value`.
  private mutating func string(_ value: inout [UInt8]) throws(Failure) -> ByteText? {
    guard consume("\"") else { throw fail("a string is missing") }
    let start = index
    while index < text.count, text[index] != UInt8(ascii: "\""), text[index] != UInt8(ascii: "\\") { index += 1 }
    guard index < text.count else { throw fail("a string has no end") }
    if text[index] == UInt8(ascii: "\"") {
      index += 1
      return text.part(start..<index - 1)
    }
    value += text.part(start..<index)
    while index < text.count {
      let byte = text[index]
      index += 1
      switch byte {
      case UInt8(ascii: "\""): return nil
      case UInt8(ascii: "\\"): try escape(&value)
      default: value.append(byte)
      }
    }
    throw fail("a string has no end")
  }

  private mutating func escape(_ value: inout [UInt8]) throws(Failure) {
    guard index < text.count else { throw fail("a string has no end") }
    let byte = text[index]
    index += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): value.append(byte)
    case UInt8(ascii: "b"): value.append(0x08)
    case UInt8(ascii: "f"): value.append(0x0C)
    case UInt8(ascii: "n"): value.append(0x0A)
    case UInt8(ascii: "r"): value.append(0x0D)
    case UInt8(ascii: "t"): value.append(0x09)
    case UInt8(ascii: "u"):
      var code = try codeUnit()
      if 0xD800..<0xDC00 ~= code, text.part(from: index).starts(with: "\\u") {
        let back = index
        index += 2
        let low = try codeUnit()
        if 0xDC00..<0xE000 ~= low {
          code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        } else {
          index = back
        }
      }
      // Half of a surrogate pair is no character.
      value += String(Unicode.Scalar(code) ?? "\u{FFFD}").utf8
    default: throw fail("an escape is wrong")
    }
  }

  private mutating func codeUnit() throws(Failure) -> UInt32 {
    guard index + 4 <= text.count, let bytes = hexadecimalBytes(text.part(index..<index + 4)) else {
      throw fail("an escape is wrong")
    }
    index += 4
    return UInt32(bytes[0]) << 8 | UInt32(bytes[1])
  }
}
