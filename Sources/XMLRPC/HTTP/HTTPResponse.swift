/// A response: status, headers and a body in shared segments.
public struct HTTPResponse: Sendable, Equatable {
  public var status: Int
  /// Without Server, Date, Connection and Content-Length, which `encodeHead` writes.
  public var headers: [HTTPField]
  public var body: ByteSegments

  public init(status: Int, headers: [HTTPField] = [], body: ByteSegments = ByteSegments()) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// Value of the Server header.
  public static let serverName = "bcfg2-swift"

  /// What a client that sent `Expect: 100-continue` waits for before it sends the body.
  public static let continueBytes = [UInt8]("HTTP/1.1 100 Continue\r\n\r\n".utf8)

  /// 200 with the answer of a method, or with a fault: XML-RPC tells faults in the body.
  public static func xml(_ body: ByteSegments) -> HTTPResponse {
    HTTPResponse(status: 200, headers: xmlHeaders, body: body)
  }

  private static let xmlHeaders = [HTTPField("Content-Type", "text/xml")]

  /// An error with a short text that repeats its status.
  ///
  /// A 401 carries no WWW-Authenticate, against RFC 9110 section 11.6.1: Bcfg2's server sends none
  /// (`send_error(401)` in Bcfg2/bcfg2: src/lib/Bcfg2/Server/SSLServer.py), and clients would react to one by
  /// asking for a password.
  public static func error(status: Int) -> HTTPResponse {
    HTTPResponse(
      status: status, headers: [HTTPField("Content-Type", "text/plain")],
      body: ByteSegments("\(status) \(reasonPhrase(status))\n"))
  }

  /// 500 without a body: what Bcfg2's server answers to a body that is not a call, and to an error outside of a method.
  public static let internalError = HTTPResponse(status: 500)

  /// Status line and headers with the empty line; the body follows as it is.
  ///
  /// - Parameters:
  ///   - keepAlive: whether the connection stays open. Without it `Connection: close` is written; with it
  ///     `Connection: keep-alive` for HTTP/1.0, whose default is to close.
  ///   - version: the request's. The status line says HTTP/1.1 always (RFC 9110 section 2.5).
  ///   - date: `HTTPDate.format` of now, or nil for none.
  public func encodeHead(keepAlive: Bool, version: HTTPVersion, date: String? = nil) -> [UInt8] {
    var head: [UInt8] = []
    head.reserveCapacity(256)
    if status == 200 {
      Self.append("HTTP/1.1 200 OK\r\nServer: bcfg2-swift\r\n", to: &head)
    } else {
      head.append(contentsOf: "HTTP/1.1 \(status) \(Self.reasonPhrase(status))\r\n".utf8)
      Self.append("Server", Self.serverName, to: &head)
    }
    if let date { Self.append("Date", date, to: &head) }
    if !keepAlive {
      Self.append("Connection: close\r\n", to: &head)
    } else if version == .http10 {
      Self.append("Connection: keep-alive\r\n", to: &head)
    }
    for field in headers { Self.append(field.name, field.value, to: &head) }
    Self.append("Content-Length: ", to: &head)
    head.append(contentsOf: String(body.count).utf8)
    Self.append("\r\n\r\n", to: &head)
    return head
  }

  /// Head and body, each body segment shared with the response.
  public func encode(keepAlive: Bool, version: HTTPVersion, date: String? = nil) -> ByteSegments {
    var segments = ByteSegments()
    segments.reserveCapacity(body.parts.count + 1)
    segments.append(encodeHead(keepAlive: keepAlive, version: version, date: date))
    segments.append(contentsOf: body)
    return segments
  }

  private static func append(_ text: StaticString, to head: inout [UInt8]) {
    head.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  private static func append(_ name: String, _ value: String, to head: inout [UInt8]) {
    head.append(contentsOf: name.utf8)
    head.append(contentsOf: ": ".utf8)
    head.append(contentsOf: value.utf8)
    head.append(contentsOf: "\r\n".utf8)
  }

  /// Reason phrase of RFC 9110 section 15 for the statuses that a Bcfg2 server sends.
  public static func reasonPhrase(_ status: Int) -> String {
    switch status {
    case 100: "Continue"
    case 200: "OK"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 411: "Length Required"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 417: "Expectation Failed"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    default: "Unknown"
    }
  }
}

/// The date of HTTP headers.
public enum HTTPDate {
  private static let dayNames = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
  private static let monthNames = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// IMF-fixdate (RFC 9110 section 5.6.7) of a time in seconds since 1970-01-01 UTC; times before are taken as that.
  public static func format(secondsSince1970 seconds: Int64) -> String {
    let seconds = max(0, seconds)
    let days = Int(seconds / 86400)
    let second = Int(seconds % 86400)
    // Civil date from days, with years that begin in March so that the leap day comes last.
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let time = "\(twoDigits(second / 3600)):\(twoDigits(second / 60 % 60)):\(twoDigits(second % 60))"
    return "\(dayNames[days % 7]), \(twoDigits(day)) \(monthNames[month - 1]) \(year) \(time) GMT"
  }

  private static func twoDigits(_ number: Int) -> String {
    number < 10 ? "0\(number)" : String(number)
  }
}
