/// Reads the head of an ordinary request, such as all usual clients send, in one pass.
///
/// It recognises and never refuses: whatever is unusual (a method without a body length, a list in `Connection`, chunks,
/// an expectation, HTTP/1.0, a header that may come once and comes twice, a limit in sight, anything malformed) is left
/// to `HTTPRequestParser`, line by line, which alone decides. What both read they read alike.
struct HTTPHeadScan {
  /// The head, and the bytes that it takes with its empty line.
  let head: HTTPRequestHead
  let byteCount: Int

  /// - Parameter bytes: from the first byte of a request on.
  /// - Returns: nil where the head is not complete, or not ordinary.
  init?(_ bytes: UnsafeRawBufferPointer, limits: HTTPLimits) {
    var scan = Scan(bytes: bytes)
    guard let start = scan.requestLine(limits) else { return nil }
    let firstLine = scan.index
    var fields = Fields()
    while true {
      switch scan.headerLine(&fields, limits) {
      case .field: continue
      case .unusual: return nil
      case .end:
        guard fields.hasHost, fields.length != nil || start.method != "POST" else { return nil }
        let section = bytes[firstLine..<(scan.index - 2)]
        head = HTTPRequestHead(
          method: start.method, target: start.target, lines: [UInt8](section),
          authorization: fields.authorization.map { ($0.lowerBound - firstLine)..<($0.upperBound - firstLine) },
          framing: fields.length.map { .length($0) } ?? .none, keepAlive: !fields.closes)
        byteCount = scan.index
        return
      }
    }
  }

  /// What the header lines have said so far.
  private struct Fields {
    var count = 0
    var hasHost = false
    var hasConnection = false
    var closes = false
    var length: Int?
    var authorization: Range<Int>?
  }

  private enum Line {
    case field, end, unusual
  }

  private struct Scan {
    let bytes: UnsafeRawBufferPointer
    var index = 0

    /// `method SP /path SP HTTP/1.1`.
    mutating func requestLine(_ limits: HTTPLimits) -> (method: String, target: String)? {
      while index < bytes.count, ASCII.isTokenByte(bytes[index]) { index += 1 }
      let method = 0..<index
      guard !method.isEmpty, method.count <= limits.methodBytes, index < bytes.count, bytes[index] == ASCII.space else {
        return nil
      }
      index += 1
      let start = index
      while index < bytes.count, bytes[index] > ASCII.space, bytes[index] < 0x7F { index += 1 }
      let target = start..<index
      guard !target.isEmpty, bytes[start] == UInt8(ascii: "/"), text(method) != "CONNECT", skip(" HTTP/1.1\r\n"),
        index - 2 <= limits.requestLineBytes
      else { return nil }
      return (text(method), text(target))
    }

    /// `name ":" OWS value OWS`, or the empty line.
    mutating func headerLine(_ fields: inout Fields, _ limits: HTTPLimits) -> Line {
      let start = index
      while index < bytes.count, ASCII.isTokenByte(bytes[index]) { index += 1 }
      let name = start..<index
      guard index < bytes.count else { return .unusual }
      guard bytes[index] == UInt8(ascii: ":") else { return name.isEmpty && skip("\r\n") ? .end : .unusual }
      guard !name.isEmpty else { return .unusual }
      index += 1
      while index < bytes.count, ASCII.isBlank(bytes[index]) { index += 1 }
      let valueStart = index
      while index < bytes.count {
        let byte = bytes[index]
        if byte < ASCII.space ? byte != ASCII.tab : byte == 0x7F { break }
        index += 1
      }
      var valueEnd = index
      while valueEnd > valueStart, ASCII.isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
      guard skip("\r\n") else { return .unusual }
      fields.count += 1
      guard fields.count <= limits.headerCount else { return .unusual }
      return record(name, valueStart..<valueEnd, &fields, limits) ? .field : .unusual
    }

    /// Records what matters of a header; false for one that needs more than that.
    private func record(_ name: Range<Int>, _ value: Range<Int>, _ fields: inout Fields, _ limits: HTTPLimits) -> Bool {
      switch name.count {
      case 4 where isNamed(name, "host"):
        guard !fields.hasHost, isPlainHost(value) else { return false }
        fields.hasHost = true
      case 6 where isNamed(name, "expect"), 17 where isNamed(name, "transfer-encoding"): return false
      case 10 where isNamed(name, "connection"):
        guard !fields.hasConnection else { return false }
        fields.hasConnection = true
        if isNamed(value, "close") { fields.closes = true } else { return isNamed(value, "keep-alive") }
      case 13 where isNamed(name, "authorization"):
        guard fields.authorization == nil else { return false }
        fields.authorization = value
      case 14 where isNamed(name, "content-length"):
        guard fields.length == nil, let length = number(value), length <= limits.bodyBytes else { return false }
        fields.length = length
      default: break
      }
      return true
    }

    /// Whether the range holds the text, which is in lower case, without regard to case.
    private func isNamed(_ range: Range<Int>, _ text: StaticString) -> Bool {
      guard range.count == text.utf8CodeUnitCount else { return false }
      for offset in 0..<range.count
      where ASCII.lowercased(bytes[range.lowerBound + offset]) != text.utf8Start[offset] { return false }
      return true
    }

    /// A name or an IPv4 address, perhaps with a port.
    private func isPlainHost(_ range: Range<Int>) -> Bool {
      var index = range.lowerBound
      while index < range.upperBound {
        let byte = bytes[index]
        if byte == UInt8(ascii: ":") { break }
        guard ASCII.isLetter(byte) || ASCII.isDigit(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
        else { return false }
        index += 1
      }
      if index < range.upperBound { index += 1 }
      return bytes[index..<range.upperBound].allSatisfy(ASCII.isDigit)
    }

    /// At most 15 digits.
    private func number(_ range: Range<Int>) -> Int? {
      guard !range.isEmpty, range.count <= 15 else { return nil }
      var number = 0
      for index in range {
        guard ASCII.isDigit(bytes[index]) else { return nil }
        number = number * 10 + Int(bytes[index] - UInt8(ascii: "0"))
      }
      return number
    }

    private mutating func skip(_ text: StaticString) -> Bool {
      let count = text.utf8CodeUnitCount
      guard bytes.count - index >= count else { return false }
      for offset in 0..<count where bytes[index + offset] != text.utf8Start[offset] { return false }
      index += count
      return true
    }

    private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
  }
}
