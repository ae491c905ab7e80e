import Testing
import XMLRPC

private func head(_ response: HTTPResponse, keepAlive: Bool, version: HTTPVersion, date: String? = nil) -> String {
  String(decoding: response.encodeHead(keepAlive: keepAlive, version: version, date: date), as: UTF8.self)
}

@Test func answerHeadsAreWrittenForEachVersion() {
  let answer = HTTPResponse.xml(ByteSegments("h\u{E9}llo"))
  #expect(
    head(answer, keepAlive: true, version: .http11, date: "Sun, 06 Nov 1994 08:49:37 GMT")
      == "HTTP/1.1 200 OK\r\nServer: bcfg2-swift\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
      + "Content-Type: text/xml\r\nContent-Length: 6\r\n\r\n")
  #expect(head(answer, keepAlive: false, version: .http11).contains("\r\nConnection: close\r\n"))
  #expect(head(answer, keepAlive: true, version: .http10).contains("\r\nConnection: keep-alive\r\n"))
}

@Test func unauthorizedNamesNoScheme() {
  let response = HTTPResponse.error(status: 401)
  #expect(
    head(response, keepAlive: false, version: .http11)
      == "HTTP/1.1 401 Unauthorized\r\nServer: bcfg2-swift\r\nConnection: close\r\nContent-Type: text/plain\r\n"
      + "Content-Length: 17\r\n\r\n")
  #expect(response.body.bytes() == Array("401 Unauthorized\n".utf8))
  let internalError = String(
    decoding: HTTPResponse.internalError.encode(keepAlive: true, version: .http11).bytes(), as: UTF8.self)
  #expect(
    internalError == "HTTP/1.1 500 Internal Server Error\r\nServer: bcfg2-swift\r\nContent-Length: 0\r\n\r\n")
}

@Test func everyStatusOfTheParserHasAPhrase() {
  for status in [400, 411, 413, 414, 417, 431, 501, 505] {
    #expect(HTTPResponse.reasonPhrase(status) != "Unknown", "\(status)")
  }
}

@Test func datesAreThoseOfTheCalendar() {
  // From Python: email.utils.formatdate(seconds, usegmt=True).
  let dates: [(Int64, String)] = [
    (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
    (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
    (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 GMT"),
  ]
  for (seconds, text) in dates { #expect(HTTPDate.format(secondsSince1970: seconds) == text) }
  #expect(HTTPDate.format(secondsSince1970: -1) == dates[0].1)
}

@Test func segmentsAreSharedAndCounted() {
  var common = ByteSegments([1, 2])
  common.append([])
  common.append([3])
  var answer = ByteSegments([0])
  answer.append(contentsOf: common)
  #expect(answer.count == 4)
  #expect(answer.segments == [[0], [1, 2], [3]])
  #expect(answer.bytes() == [0, 1, 2, 3])
  #expect(answer == ByteSegments([0, 1, 2, 3]))
  #expect(answer != ByteSegments([0, 1, 2, 4]))
  #expect(ByteSegments().isEmpty && ByteSegments([]).segments.isEmpty)
  let shared = zip(
    common.segments[0].withUnsafeBufferPointer { [$0.baseAddress] },
    answer.segments[1].withUnsafeBufferPointer { [$0.baseAddress] })
  #expect(shared.allSatisfy { $0 == $1 })
}
