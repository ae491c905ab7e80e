/// HTTP version of a message. Minor versions above 1 are read as 1.1 (RFC 9110 section 2.5).
public enum HTTPVersion: Sendable, Equatable {
  case http10
  case http11
}

/// One header line: a name and a value.
public struct HTTPField: Sendable, Equatable {
  /// The name as it was sent or is to be sent.
  public var name: String
  /// The value without surrounding blanks. Octets that are not UTF-8 have become U+FFFD.
  public var value: String

  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }

  /// Whether the name is `other`, in ASCII without regard to case.
  public func isNamed(_ other: String) -> Bool {
    ASCII.equalIgnoringCase(name, other)
  }
}

/// Everything of a request before its body: complete, checked, and enough to authenticate.
public struct HTTPRequestHead: Sendable, Equatable {
  /// How the end of the body is found (RFC 9112 section 6.3).
  public enum BodyFraming: Sendable, Equatable {
    /// No Content-Length and no Transfer-Encoding: no body.
    case none
    /// Content-Length, in bytes; not above `HTTPLimits.bodyBytes`.
    case length(Int)
    /// Transfer-Encoding: chunked.
    case chunked
  }

  /// Case-sensitive, as sent: `POST`.
  public var method: String
  /// Request target as sent: visible ASCII only.
  public var target: String
  public var version: HTTPVersion
  /// In the order in which they came.
  public var headers: [HTTPField] {
    get { lines.fields }
    set { lines = .fields(newValue) }
  }
  private var lines: HeaderLines
  public var framing: BodyFraming
  /// The client waits for `100 Continue` before it sends the body. Never set for HTTP/1.0 (RFC 9110 section 10.1.1).
  public var expectsContinue: Bool
  /// Whether the connection may stay open after the answer (RFC 9112 section 9.3).
  public var keepAlive: Bool

  public init(
    method: String, target: String, version: HTTPVersion = .http11, headers: [HTTPField] = [],
    framing: BodyFraming = .none, expectsContinue: Bool = false, keepAlive: Bool = true
  ) {
    self.method = method
    self.target = target
    self.version = version
    lines = .fields(headers)
    self.framing = framing
    self.expectsContinue = expectsContinue
    self.keepAlive = keepAlive
  }

  /// A head of HTTP/1.1 whose header lines were checked and are kept as they came, for few are ever asked for.
  ///
  /// - Parameters:
  ///   - lines: without the empty line.
  ///   - authorization: where in `lines` the value of the Authorization header is.
  init(
    method: String, target: String, lines: [UInt8], authorization: Range<Int>?, framing: BodyFraming, keepAlive: Bool
  ) {
    self.method = method
    self.target = target
    version = .http11
    self.lines = .bytes(lines, authorization: authorization)
    self.framing = framing
    expectsContinue = false
    self.keepAlive = keepAlive
  }

  /// Value of the Authorization header, as it came; a request has one at most.
  public var authorization: ArraySlice<UInt8>? {
    switch lines {
    case .fields: first("Authorization").map { Array($0.utf8)[...] }
    case .bytes(let bytes, let range): range.map { bytes[$0] }
    }
  }

  /// Value of the first header of this name, compared without regard to case.
  public func first(_ name: String) -> String? {
    headers.first { $0.isNamed(name) }?.value
  }

  /// Values of all headers of this name, in order.
  public func all(_ name: String) -> [String] {
    headers.filter { $0.isNamed(name) }.map(\.value)
  }
}

extension HTTPRequestHead {
  public static func == (left: HTTPRequestHead, right: HTTPRequestHead) -> Bool {
    left.method == right.method && left.target == right.target && left.version == right.version
      && left.headers == right.headers && left.framing == right.framing
      && left.expectsContinue == right.expectsContinue && left.keepAlive == right.keepAlive
  }
}

/// Header lines, taken apart or as they came.
private enum HeaderLines: Sendable {
  case fields([HTTPField])
  /// Checked, each with its CRLF.
  case bytes([UInt8], authorization: Range<Int>?)

  var fields: [HTTPField] {
    switch self {
    case .fields(let fields): return fields
    case .bytes(let bytes, _):
      return bytes.split(separator: ASCII.lineFeed).compactMap { line in
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let value = ASCII.trimmed(line[(colon + 1)...].dropLast(), where: ASCII.isBlank)
        return HTTPField(String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self))
      }
    }
  }
}

/// A whole request.
public struct HTTPRequest: Sendable, Equatable {
  public var head: HTTPRequestHead
  /// The body with any chunking removed.
  public var body: [UInt8]

  public init(head: HTTPRequestHead, body: [UInt8]) {
    self.head = head
    self.body = body
  }
}
