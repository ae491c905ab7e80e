import Testing
import XMLRPC

private let post = "POST /RPC2 HTTP/1.1\r\nHost: server:6789\r\n"

@Test func pythonClientsRequestIsRead() throws {
  let text =
    "POST /RPC2 HTTP/1.1\r\nHost: localhost:6789\r\nAccept-Encoding: gzip\r\n"
    + "User-Agent: xmlrpclib.py/1.0.1 (by www.pythonware.com)\r\nAuthorization: Basic cm9vdDpwdw==\r\n"
    + "Content-Type: text/xml\r\nContent-Length: 5\r\n\r\nhello"
  let outcome = try #require(outcomeOfEverySplit(text))
  let request = try #require(outcome.requests.first)
  #expect(outcome.requests.count == 1 && outcome.status == nil)
  #expect(request.body == latin1("hello"))
  #expect(request.head.method == "POST" && request.head.target == "/RPC2" && request.head.version == .http11)
  #expect(request.head.framing == .length(5))
  #expect(request.head.keepAlive && !request.head.expectsContinue)
  #expect(request.head.first("authorization") == "Basic cm9vdDpwdw==")
  #expect(request.head.headers.count == 6)
}

/// A head that comes in one piece is read in one pass where it is ordinary, and line by line where it is not: the same
/// must come of it as of a head in pieces.
@Test func headsAreReadAlikeInOnePieceAndInMany() throws {
  var random = HeadNumbers(state: 11)
  let lines = [
    "Host: a.example.com:6789", "host:b", "HOST: [::1]", "Host: a b", "Host:", "Content-Length: 3",
    "content-length:\t3 ",
    "Content-Length: 003", "Content-Length: 3,3", "Content-Length: x", "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked", "Expect: 100-continue", "Connection: close", "connection: Keep-Alive",
    "Connection: close, x", "Connection: upgrade", "Authorization: Basic cm9vdDpwdw==", "authorization: x", "X: \u{1}",
    "X y: 1", "X : 1", ": 1", "X", " folded", "X: \u{E9}\u{FF}", "X: a\rb", "Accept: */*", "X:", "X: \t",
  ]
  let starts = [
    "POST /RPC2 HTTP/1.1", "GET / HTTP/1.1", "POST /RPC2 HTTP/1.0", "POST /RPC2 HTTP/1.2", "POST /RPC2 HTTP/2.0",
    "POST  /RPC2 HTTP/1.1", "POST RPC2 HTTP/1.1", "CONNECT / HTTP/1.1", "P(ST / HTTP/1.1", "POST /\u{E9} HTTP/1.1",
    "POST http://a/b HTTP/1.1", "post / HTTP/1.1", "POST / HTTP/1.1 ",
  ]
  var accepted = 0
  for _ in 0..<4000 {
    var text = starts[Int.random(in: 0..<3, using: &random) < 2 ? 0 : Int.random(in: 0..<starts.count, using: &random)]
    text += "\r\n"
    if Bool.random(using: &random) { text += "Host: a\r\nContent-Length: 3\r\n" }
    for _ in 0..<Int.random(in: 0..<4, using: &random) {
      text += lines[Int.random(in: 0..<lines.count, using: &random)]
      text += Int.random(in: 0..<40, using: &random) == 0 ? "\n" : "\r\n"
    }
    let bytes = latin1(text + "\r\nabc")
    var limits = HTTPLimits()
    if Int.random(in: 0..<4, using: &random) == 0 { limits.headerCount = 3 }
    if Int.random(in: 0..<4, using: &random) == 0 { limits.headerBytes = 60 }
    if Int.random(in: 0..<8, using: &random) == 0 { limits.requestLineBytes = 18 }
    let whole = consumeAll([bytes], limits: limits)
    let pieces = consumeAll(bytes.map { [$0] }, limits: limits)
    #expect(whole == pieces, "\(text.debugDescription)")
    for (one, other) in zip(whole.requests, pieces.requests) {
      #expect(one.head.authorization.map(Array.init) == other.head.authorization.map(Array.init))
      #expect(one.head.first("authorization") == other.head.first("Authorization"))
    }
    accepted += whole.requests.count
  }
  #expect(accepted > 400 && accepted < 3600)
}

/// The same numbers each time.
private struct HeadNumbers: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ (state >> 29)
  }
}

@Test func acceptedFormsGiveTheirBody() throws {
  let forms: [(String, [String])] = [
    // RFC 9112 section 2.2: empty lines before the request line.
    ("\r\n\r\n" + post + "Content-Length: 2\r\n\r\nab", ["ab"]),
    // Section 9.3.2: pipelined requests.
    (
      post + "Content-Length: 2\r\n\r\nab" + post + "Content-Length: 0\r\n\r\n" + post + "Content-Length: 1\r\n\r\nc",
      ["ab", "", "c"]
    ),
    // Section 5.1: optional white space around the value; names in any case.
    (post + "cOnTeNt-LeNgTh:\t 2 \t\r\n\r\nab", ["ab"]),
    (post + "Content-Length: 0002\r\n\r\nab", ["ab"]),
    (post + "X:\r\nContent-Length: 1\r\n\r\na", ["a"]),
    // Section 7.1: chunks, extensions, trailers.
    (post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", ["abc0123456789"]),
    (post + "Transfer-Encoding: Chunked\r\n\r\n003;a=b;c=\"d e\"\r\nabc\r\n00\r\nX-Sum: 1\r\nY: 2\r\n\r\n", ["abc"]),
    (post + "Transfer-Encoding: , chunked,\r\n\r\n1 ;x\r\na\r\n0\t;y\r\n\r\n", ["a"]),
    (post + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + post + "Content-Length: 1\r\n\r\nz", ["", "z"]),
    (post + "Transfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n", ["\r\n"]),
    // Section 6.3: neither length nor coding is no body.
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", [""]),
    ("POST http://server/RPC2 HTTP/1.1\r\nHost: [::1]:6789\r\nContent-Length: 1\r\n\r\na", ["a"]),
    ("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\na", ["a"]),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", [""]),
    // RFC 9110 section 2.5: a higher minor version is read as ours.
    ("POST / HTTP/1.9\r\nHost: a\r\nContent-Length: 1\r\n\r\na", ["a"]),
  ]
  for (text, bodies) in forms {
    let outcome = try #require(outcomeOfEverySplit(text), "\(text.debugDescription)")
    #expect(outcome.status == nil, "\(text.debugDescription): \(outcome)")
    #expect(outcome.requests.map(\.body) == bodies.map(latin1), "\(text.debugDescription)")
  }
}

@Test func refusedFormsAreRefusedForTheirReason() throws {
  let length = "Content-Length: 1\r\n\r\na"
  let chunked = post + "Transfer-Encoding: chunked\r\n\r\n"
  let forms: [(section: String, text: String, status: Int)] = [
    // Line ends.
    ("9112 2.2 bare LF", "POST / HTTP/1.1\nHost: a\r\n" + length, 400),
    ("9112 2.2 bare LF in headers", post + "X: y\n" + length, 400),
    ("9112 2.2 bare LF ends the head", post + "Content-Length: 1\n\na", 400),
    ("9112 2.2 bare CR", post + "X: y\rContent-Length: 2\r\n" + length, 400),
    ("9112 2.2 bare CR in the request line", "POST /\r HTTP/1.1\r\nHost: a\r\n" + length, 400),
    ("9112 2.2 space before the first header", "POST / HTTP/1.1\r\n Host: a\r\n" + length, 400),
    ("9112 2.2 too many empty lines", "\r\n\r\n\r\n\r\n\r\n" + post + length, 400),
    // Request line.
    ("9112 3 two spaces", "POST  / HTTP/1.1\r\nHost: a\r\n" + length, 400),
    ("9112 3 tab", "POST\t/ HTTP/1.1\r\nHost: a\r\n" + length, 400),
    ("9112 3 leading space", " POST / HTTP/1.1\r\nHost: a\r\n" + length, 400),
    ("9112 3 trailing space", "POST / HTTP/1.1 \r\nHost: a\r\n" + length, 400),
    ("9112 3 space in target", "POST /a b HTTP/1.1\r\nHost: a\r\n" + length, 400),
    ("9112 3 HTTP/0.9", "GET /\r\n", 400),
    ("9112 3.1 method", "PO(ST / HTTP/1.1\r\nHost: a\r\n" + length, 400),
    ("9112 3 method longer than any", String(repeating: "M", count: 33) + " / HTTP/1.1\r\n", 501),
    ("9112 3.2 target", "POST RPC2 HTTP/1.1\r\nHost: a\r\n" + length, 400),
    ("9112 3.2 NUL in target", "POST /\0 HTTP/1.1\r\nHost: a\r\n" + length, 400),
    ("9112 3.2 non-ASCII target", "POST /\u{E9} HTTP/1.1\r\nHost: a\r\n" + length, 400),
    ("9112 3.2.4 asterisk", "POST * HTTP/1.1\r\nHost: a\r\n" + length, 400),
    ("9112 2.3 version", "POST / HTTP/1.10\r\nHost: a\r\n" + length, 400),
    ("9112 2.3 version in lower case", "POST / http/1.1\r\nHost: a\r\n" + length, 400),
    ("9110 15.6.6 HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("9110 15.6.6 HTTP/0.9 spelt out", "POST / HTTP/0.9\r\nHost: a\r\n" + length, 505),
    ("TLS to a plain port", "\u{16}\u{3}\u{1}\u{2}\0\n", 400),
    // Header lines.
    ("9112 5.1 space before colon", post + "Content-Length : 1\r\n\r\na", 400),
    ("9112 5.1 tab before colon", post + "Content-Length\t: 1\r\n\r\na", 400),
    ("9112 5.2 obs-fold", post + "X: y\r\n z\r\n" + length, 400),
    ("9112 5.2 obs-fold with tab", post + "X: y\r\n\tContent-Length: 5\r\n" + length, 400),
    ("9112 5 no colon", post + "Content-Length 1\r\n" + length, 400),
    ("9112 5 empty name", post + ": x\r\n" + length, 400),
    ("9110 5.1 name", post + "Content\u{0B}Length: 1\r\n" + length, 400),
    ("9110 5.5 NUL in value", post + "X: a\0b\r\n" + length, 400),
    ("9110 5.5 DEL in value", post + "X: a\u{7F}b\r\n" + length, 400),
    ("9110 5.5 vertical tab around a length", post + "Content-Length: \u{0B}1\r\n\r\na", 400),
    // Host.
    ("9112 3.2 no Host", "POST / HTTP/1.1\r\n" + length, 400),
    ("9112 3.2 two Hosts", post + "Host: b\r\n" + length, 400),
    ("9112 3.2 two Hosts in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nHost: a\r\n" + length, 400),
    ("9112 3.2 Host with space", "POST / HTTP/1.1\r\nHost: a b\r\n" + length, 400),
    ("9112 3.2 Host with user", "POST / HTTP/1.1\r\nHost: u@a\r\n" + length, 400),
    ("9112 3.2 Host with path", "POST / HTTP/1.1\r\nHost: a/b\r\n" + length, 400),
    ("9112 3.2 Host with bad port", "POST / HTTP/1.1\r\nHost: a:b\r\n" + length, 400),
    ("9112 3.2 Host with open bracket", "POST / HTTP/1.1\r\nHost: [::1\r\n" + length, 400),
    // Authorization.
    (
      "9110 11.6.2 two Authorizations", post + "Authorization: Basic YTpi\r\nAuthorization: Basic YTpi\r\n" + length,
      400
    ),
    ("9110 11.6.2 another spelling", post + "Authorization: Basic YTpi\r\nX: y\r\nauthorization:\r\n" + length, 400),
    ("9110 11.6.2 in 1.0", "POST / HTTP/1.0\r\nAuthorization: a\r\nAuthorization: b\r\n" + length, 400),
    // Content-Length.
    ("9112 6.3 two lengths", post + "Content-Length: 1\r\n" + length, 400),
    ("9112 6.3 two different lengths", post + "Content-Length: 2\r\n" + length, 400),
    ("9110 8.6 list of lengths", post + "Content-Length: 1, 1\r\n\r\na", 400),
    ("9110 8.6 plus", post + "Content-Length: +1\r\n\r\na", 400),
    ("9110 8.6 minus", post + "Content-Length: -1\r\n\r\na", 400),
    ("9110 8.6 hexadecimal", post + "Content-Length: 0x1\r\n\r\na", 400),
    ("9110 8.6 fraction", post + "Content-Length: 1.0\r\n\r\na", 400),
    ("9110 8.6 empty", post + "Content-Length:\r\n\r\na", 400),
    ("9110 8.6 space inside", post + "Content-Length: 1 1\r\n\r\na", 400),
    ("9110 8.6 other digits", post + "Content-Length: \u{B2}\r\n\r\na", 400),
    ("9110 8.6 beyond 63 bits", post + "Content-Length: 9223372036854775808\r\n\r\na", 413),
    ("9110 8.6 beyond 64 bits", post + "Content-Length: 18446744073709551617\r\n\r\na", 413),
    ("9112 6.3 POST without length", post + "\r\n", 411),
    // Transfer-Encoding.
    ("9112 6.1 with Content-Length", post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("9112 6.1 before Content-Length", post + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400),
    ("9112 6.1 in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("9112 6.1 chunked twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ("9112 6.1 two lines of chunked", chunked.dropLast(2) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("9112 6.1 a line of nothing", chunked.dropLast(2) + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", 400),
    ("9112 6.3 chunked not last", post + "Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    ("9112 6.3 not chunked", post + "Transfer-Encoding: gzip\r\n\r\n", 400),
    ("9112 6.3 identity", post + "Transfer-Encoding: identity\r\n" + length, 400),
    ("9112 6.3 empty", post + "Transfer-Encoding:\r\n\r\n", 400),
    ("9112 6.1 another coding first", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("9112 7 parameter", post + "Transfer-Encoding: chunked;q=1\r\n\r\n", 400),
    ("9112 6.1 control in the coding", post + "Transfer-Encoding: \u{0B}chunked\r\n\r\n", 400),
    ("9112 6.1 quoted", post + "Transfer-Encoding: \"chunked\"\r\n\r\n", 400),
    // Chunks.
    ("9112 7.1 empty size", chunked + "\r\n", 400),
    ("9112 7.1 no hexadecimal", chunked + "g\r\n", 400),
    ("9112 7.1 0x", chunked + "0x1\r\na\r\n0\r\n\r\n", 400),
    ("9112 7.1 minus", chunked + "-1\r\n", 400),
    ("9112 7.1 plus", chunked + "+1\r\na\r\n0\r\n\r\n", 400),
    ("9112 7.1 leading space", chunked + " 1\r\na\r\n0\r\n\r\n", 400),
    ("9112 7.1 trailing space", chunked + "1 \r\na\r\n0\r\n\r\n", 400),
    ("9112 7.1 text after size", chunked + "1 a\r\na\r\n0\r\n\r\n", 400),
    ("9112 7.1 bare LF after size", chunked + "1\na\r\n0\r\n\r\n", 400),
    ("9112 7.1 bare LF after data", chunked + "1\r\na\n0\r\n\r\n", 400),
    ("9112 7.1 data longer than size", chunked + "1\r\nab\r\n0\r\n\r\n", 400),
    ("9112 7.1 bare CR after data", chunked + "1\r\na\rx\r\n", 400),
    ("9112 7.1 beyond 64 bits", chunked + "10000000000000001\r\n", 413),
    ("9112 7.1.1 NUL in extension", chunked + "1;a\0\r\na\r\n0\r\n\r\n", 400),
    ("9112 7.1.1 bare CR in extension", chunked + "1;a\rb\r\na\r\n0\r\n\r\n", 400),
    ("9112 7.1.2 trailer without colon", chunked + "0\r\nabc\r\n\r\n", 400),
    ("9112 7.1.2 folded trailer", chunked + "0\r\nA: b\r\n c\r\n\r\n", 400),
    // Expectation.
    ("9110 10.1.1 unknown expectation", post + "Expect: miracles\r\n" + length, 417),
  ]
  for (section, text, status) in forms {
    let outcome = try #require(outcomeOfEverySplit(text), "\(section)")
    #expect(outcome.status == status, "\(section): \(outcome)")
    #expect(outcome.requests.isEmpty, "\(section): \(outcome)")
  }
}

@Test func limitsPassExactlyAndRefuseOneMore() throws {
  var limits = HTTPLimits()
  limits.requestLineBytes = 20
  limits.headerBytes = 64
  limits.headerCount = 4
  limits.bodyBytes = 10
  limits.chunkLineBytes = 8
  limits.chunkExtensionBytes = 12
  limits.trailerBytes = 16
  let start = "POST / HTTP/1.1\r\nHost: a\r\n"
  let chunked = start + "Transfer-Encoding: chunked\r\n\r\n"
  func padding(_ count: Int) -> String { String(repeating: "x", count: count) }
  // "Host: a" and "Content-Length: 0" take 9 and 19 bytes with their CRLFs, "X: " and CRLF 5.
  let cases: [(fits: String, exceeds: String, status: Int, reason: String)] = [
    (
      "POST /12345 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "POST /123456 HTTP/1.1\r\n", 414,
      "requestLineBytes"
    ),
    (
      start + "Content-Length: 0\r\nX: \(padding(31))\r\n\r\n",
      start + "Content-Length: 0\r\nX: \(padding(32))\r\n\r\n", 431, "headerBytes"
    ),
    (
      start + "Content-Length: 0\r\nX:\r\nY:\r\n\r\n", start + "Content-Length: 0\r\nX:\r\nY:\r\nZ:\r\n\r\n", 431,
      "headerCount"
    ),
    (start + "Content-Length: 10\r\n\r\n0123456789", start + "Content-Length: 11\r\n\r\n0123456789a", 413, "bodyBytes"),
    (
      chunked + "5\r\n01234\r\n5\r\n01234\r\n0\r\n\r\n", chunked + "5\r\n01234\r\n6\r\n012345\r\n0\r\n\r\n", 413,
      "bodyBytes"
    ),
    (chunked + "1;abcdef\r\nx\r\n0\r\n\r\n", chunked + "1;abcdefg\r\nx\r\n0\r\n\r\n", 400, "chunkLineBytes"),
    (
      chunked + "1;abcde\r\nx\r\n0;abcde\r\n\r\n", chunked + "1;abcde\r\nx\r\n0;abcdef\r\n\r\n", 400,
      "chunkExtensionBytes"
    ),
    (chunked + "0\r\nX: \(padding(11))\r\n\r\n", chunked + "0\r\nX: \(padding(12))\r\n\r\n", 431, "trailerBytes"),
    (
      chunked + "0\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n", chunked + "0\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\n\r\n", 431,
      "trailerBytes"
    ),
  ]
  for (fits, exceeds, status, reason) in cases {
    let passed = try #require(outcomeOfEverySplit(fits, limits: limits), "\(reason)")
    #expect(passed.requests.count == 1 && passed.status == nil, "\(reason): \(passed)")
    let refused = try #require(outcomeOfEverySplit(exceeds, limits: limits), "\(reason)")
    #expect(refused.status == status && refused.reason == reason, "\(reason): \(refused)")
  }
}

@Test func endlessLineIsRefusedBeforeItEnds() {
  var parser = HTTPRequestParser()
  let piece = [UInt8](repeating: UInt8(ascii: "A"), count: 1024)
  var steps: [HTTPRequestParser.Step] = []
  for _ in 0..<9 { steps.append(piece.withUnsafeBytes { parser.consume($0).step }) }
  #expect(steps[7] == .needMore)
  #expect(steps[8] == .reject(status: 414, reason: "requestLineBytes"))
  // A refused connection stays refused.
  #expect(latin1(post).withUnsafeBytes { parser.consume($0).step } == steps[8])
}

@Test func nothingOfTheBodyIsTakenBeforeItIsAccepted() {
  var parser = HTTPRequestParser()
  let head = latin1(post + "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n")
  #expect(parser.isIdle)
  let first = (head + latin1("abcPOST")).withUnsafeBytes { parser.consume($0) }
  #expect(first.consumed == head.count)
  guard case .head(let told) = first.step else { return #expect(Bool(false), "no head: \(first.step)") }
  #expect(told.expectsContinue)
  #expect(parser.awaitsDecision && !parser.isIdle)
  let waiting = latin1("abcPOST").withUnsafeBytes { parser.consume($0) }
  #expect(waiting.consumed == 0 && waiting.step == .needMore)
  #expect(parser.acceptBody() == .needMore)
  let second = latin1("abcPOST").withUnsafeBytes { parser.consume($0) }
  #expect(second.consumed == 3)
  #expect(second.step == .request(HTTPRequest(head: told, body: latin1("abc"))))
  #expect(parser.isIdle)
}

@Test func feedBoundsWhatItKeepsForAnUndecidedCaller() {
  var limits = HTTPLimits()
  limits.unreadBytes = 8
  var parser = HTTPRequestParser(limits: limits)
  let head = latin1(post + "Content-Length: 100\r\n\r\n").withUnsafeBytes { parser.feed($0) }
  guard case .head = head else { return #expect(Bool(false), "no head: \(head)") }
  #expect(latin1("12345678").withUnsafeBytes { parser.feed($0) } == .needMore)
  #expect(latin1("9").withUnsafeBytes { parser.feed($0) } == .reject(status: 413, reason: "unreadBytes"))
}

@Test func connectionPersistsAsVersionAndHeaderSay() throws {
  let cases: [(version: String, connection: String?, keepsAlive: Bool)] = [
    ("1.1", nil, true), ("1.1", "close", false), ("1.1", "Keep-Alive", true), ("1.1", "TE, Close", false),
    ("1.0", nil, false), ("1.0", "keep-alive", true), ("1.0", "Keep-Alive, close", false),
  ]
  for (version, connection, keepsAlive) in cases {
    let header = connection.map { "Connection: \($0)\r\n" } ?? ""
    let text = "POST / HTTP/\(version)\r\nHost: a\r\n\(header)Content-Length: 0\r\n\r\n"
    let head = try #require(consumeAll([latin1(text)]).requests.first?.head)
    #expect(head.keepAlive == keepsAlive, "\(version) \(connection ?? "-")")
  }
}

@Test func continueIsExpectedOnlyForABodyOfHTTP11() throws {
  let cases: [(text: String, expects: Bool)] = [
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", true),
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", false),
    ("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", false),
  ]
  for (text, expects) in cases {
    #expect(try #require(consumeAll([latin1(text)]).requests.first).head.expectsContinue == expects, "\(text)")
  }
}

@Test func headersAreFoundInAnyCaseAndInOrder() {
  let head = HTTPRequestHead(
    method: "POST", target: "/", headers: [HTTPField("X-One", "1"), HTTPField("Y", "2"), HTTPField("x-one", "3")])
  #expect(head.first("X-ONE") == "1")
  #expect(head.all("x-One") == ["1", "3"])
  #expect(head.first("X-On") == nil)
}
