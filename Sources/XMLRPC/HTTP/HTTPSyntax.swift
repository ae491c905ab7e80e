/// A request refused: the status to answer, and the limit's name or the broken rule.
struct HTTPRejection: Error, Sendable, Equatable {
  let status: Int
  let reason: String

  init(_ status: Int, _ reason: String) {
    self.status = status
    self.reason = reason
  }
}

/// `method SP request-target SP HTTP-version` (RFC 9112 section 3).
struct HTTPRequestLine {
  let method: String
  let target: String
  let version: HTTPVersion

  init(_ line: ArraySlice<UInt8>, limits: HTTPLimits) throws(HTTPRejection) {
    let parts = line.split(separator: ASCII.space, omittingEmptySubsequences: false)
    guard let first = parts.first, !first.isEmpty, first.allSatisfy(ASCII.isTokenByte) else {
      throw HTTPRejection(400, "malformed method")
    }
    guard first.count <= limits.methodBytes else { throw HTTPRejection(501, "methodBytes") }
    guard parts.count == 3 else { throw HTTPRejection(400, "malformed request line") }
    method = String(decoding: first, as: UTF8.self)
    version = try Self.version(parts[2])
    guard Self.isTarget(parts[1], method: method) else { throw HTTPRejection(400, "malformed request target") }
    target = String(decoding: parts[1], as: UTF8.self)
  }

  private static func version(_ bytes: ArraySlice<UInt8>) throws(HTTPRejection) -> HTTPVersion {
    let text = Array(bytes)
    guard text.count == 8, text.starts(with: "HTTP/".utf8), ASCII.isDigit(text[5]), text[6] == UInt8(ascii: "."),
      ASCII.isDigit(text[7])
    else { throw HTTPRejection(400, "malformed HTTP version") }
    guard text[5] == UInt8(ascii: "1") else { throw HTTPRejection(505, "HTTP version is not 1.x") }
    return text[7] == UInt8(ascii: "0") ? .http10 : .http11
  }

  /// One of the four forms of RFC 9112 section 3.2, in visible ASCII.
  private static func isTarget(_ bytes: ArraySlice<UInt8>, method: String) -> Bool {
    guard let first = bytes.first, bytes.allSatisfy({ $0 > ASCII.space && $0 < 0x7F }) else { return false }
    if method == "CONNECT" { return first != UInt8(ascii: "/") }
    if first == UInt8(ascii: "/") { return true }
    if bytes.elementsEqual("*".utf8) { return method == "OPTIONS" || method == "PRI" }
    guard ASCII.isLetter(first), let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { return false }
    return bytes[colon...].starts(with: "://".utf8)
      && bytes.count > bytes.distance(from: bytes.startIndex, to: colon) + 3
  }
}

extension HTTPField {
  /// Reads `name ":" OWS value OWS` (RFC 9112 section 5).
  ///
  /// Refuses a continuation line (section 5.2), white space before the colon (section 5.1) and control characters
  /// (RFC 9110 section 5.5).
  init(line: ArraySlice<UInt8>) throws(HTTPRejection) {
    if let first = line.first, ASCII.isBlank(first) { throw HTTPRejection(400, "folded header line") }
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
      throw HTTPRejection(400, "header line without colon")
    }
    let name = line[..<colon]
    guard !name.isEmpty, name.allSatisfy(ASCII.isTokenByte) else { throw HTTPRejection(400, "malformed header name") }
    let value = ASCII.trimmed(line[(colon + 1)...], where: ASCII.isBlank)
    guard value.allSatisfy({ ($0 >= ASCII.space && $0 != 0x7F) || $0 == ASCII.tab }) else {
      throw HTTPRejection(400, "control character in header value")
    }
    self.init(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
  }
}

/// `chunk-size [ chunk-ext ]` (RFC 9112 section 7.1).
enum HTTPChunkSize {
  /// Size in bytes, nil if it needs more than 60 bits; and the length of the extensions, bytes.
  static func parse(_ line: ArraySlice<UInt8>) throws(HTTPRejection) -> (size: Int?, extensionBytes: Int) {
    let digits = line.prefix { ASCII.hexadecimalValue($0) != nil }
    guard !digits.isEmpty else { throw HTTPRejection(400, "malformed chunk size") }
    let extensions = ASCII.trimmed(line[digits.endIndex...], where: ASCII.isBlank)
    if let first = extensions.first {
      guard first == UInt8(ascii: ";"),
        extensions.allSatisfy({ ($0 >= ASCII.space && $0 != 0x7F) || $0 == ASCII.tab })
      else { throw HTTPRejection(400, "malformed chunk extension") }
    } else if digits.endIndex != line.endIndex {
      throw HTTPRejection(400, "white space after chunk size")
    }
    let significant = digits.drop { $0 == UInt8(ascii: "0") }
    guard significant.count <= 15 else { return (nil, extensions.count) }
    return (significant.reduce(0) { $0 << 4 | (ASCII.hexadecimalValue($1) ?? 0) }, extensions.count)
  }
}

extension HTTPRequestHead {
  /// Checks what the header lines say together: host, framing, expectation, persistence, and that what names the client comes once.
  init(
    method: String, target: String, version: HTTPVersion, checking fields: [HTTPField], limits: HTTPLimits
  ) throws(HTTPRejection) {
    self.init(method: method, target: target, version: version, headers: fields)
    try checkHost()
    // A proxy in front may have checked the other one.
    guard all("Authorization").count <= 1 else { throw HTTPRejection(400, "more than one Authorization header") }
    framing = try checkedFraming(limits)
    if framing == .none, method == "POST" { throw HTTPRejection(411, "POST without Content-Length") }
    try checkExpectation()
    let options = all("Connection").flatMap(Self.listElements)
    let closes = options.contains { ASCII.equalIgnoringCase($0, "close") }
    let persists = version == .http11 || options.contains { ASCII.equalIgnoringCase($0, "keep-alive") }
    keepAlive = persists && !closes
  }

  /// Exactly one Host in HTTP/1.1, at most one in 1.0, and a valid one (RFC 9112 section 3.2).
  private func checkHost() throws(HTTPRejection) {
    let hosts = all("Host")
    guard hosts.count <= 1 else { throw HTTPRejection(400, "more than one Host header") }
    guard let host = hosts.first else {
      if version == .http11 { throw HTTPRejection(400, "no Host header") }
      return
    }
    guard Self.isHost(host) else { throw HTTPRejection(400, "malformed Host header") }
  }

  /// `uri-host [ ":" port ]`: a name or address in the characters of RFC 3986, not parsed further.
  private static func isHost(_ text: String) -> Bool {
    var bytes = Array(text.utf8)[...]
    if bytes.first == UInt8(ascii: "[") {
      guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return false }
      let address = bytes[1..<end]
      let isAddressByte = { (byte: UInt8) in
        ASCII.isTokenByte(byte) || byte == UInt8(ascii: ":")
      }
      guard !address.isEmpty, address.allSatisfy(isAddressByte) else { return false }
      bytes = bytes[(end + 1)...]
      guard bytes.isEmpty || bytes.first == UInt8(ascii: ":") else { return false }
    }
    let parts = bytes.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
    let others = Array("()*,;=~".utf8)
    let isNameByte = { (byte: UInt8) in
      others.contains(byte) || (ASCII.isTokenByte(byte) && !"#^`|".utf8.contains(byte))
    }
    guard let name = parts.first, name.allSatisfy(isNameByte) else { return false }
    return parts.count == 1 || parts[1].allSatisfy(ASCII.isDigit)
  }

  /// RFC 9112 section 6: one Content-Length or one Transfer-Encoding of `chunked`, never both.
  private func checkedFraming(_ limits: HTTPLimits) throws(HTTPRejection) -> BodyFraming {
    let lengths = all("Content-Length")
    let codings = all("Transfer-Encoding")
    if !codings.isEmpty {
      guard lengths.isEmpty else { throw HTTPRejection(400, "Content-Length with Transfer-Encoding") }
      guard version == .http11 else { throw HTTPRejection(400, "Transfer-Encoding in HTTP/1.0") }
      guard codings.count == 1 else { throw HTTPRejection(400, "more than one Transfer-Encoding header") }
      let list = codings.flatMap(Self.listElements)
      let chunked = list.filter { ASCII.equalIgnoringCase($0, "chunked") }
      guard let last = list.last, ASCII.equalIgnoringCase(last, "chunked"), chunked.count == 1 else {
        throw HTTPRejection(400, "Transfer-Encoding does not end in one chunked")
      }
      guard list.count == 1 else { throw HTTPRejection(501, "Transfer-Encoding other than chunked") }
      return .chunked
    }
    guard let length = lengths.first else { return .none }
    guard lengths.count == 1 else { throw HTTPRejection(400, "more than one Content-Length") }
    let digits = length.utf8
    guard !digits.isEmpty, digits.allSatisfy(ASCII.isDigit) else {
      throw HTTPRejection(400, "malformed Content-Length")
    }
    // All digits: what does not fit an Int is a number too large, not a malformed one.
    guard let count = Int(length), count <= limits.bodyBytes else { throw HTTPRejection(413, "bodyBytes") }
    return .length(count)
  }

  /// Only `100-continue` is known (RFC 9110 section 10.1.1).
  private mutating func checkExpectation() throws(HTTPRejection) {
    let expectations = all("Expect").flatMap(Self.listElements)
    guard expectations.allSatisfy({ ASCII.equalIgnoringCase($0, "100-continue") }) else {
      throw HTTPRejection(417, "unknown expectation")
    }
    let hasBody = framing != .none && framing != .length(0)
    expectsContinue = !expectations.isEmpty && version == .http11 && hasBody
  }

  /// Elements of a comma-separated list, empty ones left out (RFC 9110 section 5.6.1.2).
  private static func listElements(_ value: String) -> [String] {
    Array(value.utf8).split(separator: UInt8(ascii: ","))
      .map { String(decoding: ASCII.trimmed($0, where: ASCII.isBlank), as: UTF8.self) }
      .filter { !$0.isEmpty }
  }
}
