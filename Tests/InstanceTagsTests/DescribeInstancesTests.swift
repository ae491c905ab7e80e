import Testing
import XMLRPC

@testable import InstanceTags

@Suite struct DescribeInstancesTests {
  private func tagSet(_ tags: [(String, String)]) -> String {
    let items = tags.map { "<item><key>\($0.0)</key><value>\($0.1)</value></item>" }.joined()
    return "<tagSet>\(items)</tagSet>"
  }

  private func document(_ reservations: [[String]], more: String = "") -> [UInt8] {
    let items = reservations.map { instances in
      let all = instances.map {
        """
        <item><instanceId>i-1</instanceId><privateDnsName>a</privateDnsName>\($0)
        <networkInterfaceSet><item><tagSet><item><key>other</key><value>x</value></item></tagSet></item></networkInterfaceSet>
        </item>
        """
      }
      return "<item><reservationId>r-1</reservationId><instancesSet>\(all.joined())</instancesSet></item>"
    }
    return Array(
      """
      <?xml version="1.0" encoding="UTF-8"?>
      <DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>
      <reservationSet>\(items.joined())</reservationSet>\(more)</DescribeInstancesResponse>
      """.utf8)
  }

  @Test func theFirstInstanceOfTheFirstReservationCounts() throws {
    let one = tagSet([("Name", "web1"), ("role", "a &amp; b"), ("empty", "")])
    let other = tagSet([("Name", "no")])
    #expect(
      try DescribeInstances.page(document([[one, other], [other]]))
        == .tags([InstanceTag("Name", "web1"), InstanceTag("role", "a & b"), InstanceTag("empty", "")], others: 2))
    #expect(try DescribeInstances.page(document([[""], [other]])) == .tags([], others: 1))
    // A reservation without an instance decides as well, as in Bcfg2.
    #expect(try DescribeInstances.page(document([[], [other]])) == .tags(nil, others: 1))
    #expect(try DescribeInstances.page(document([])) == .tags(nil))
  }

  @Test func anEmptyAnswerMayGoOn() throws {
    #expect(
      try DescribeInstances.page(document([], more: "<nextToken>abc=</nextToken>")) == .more(token: "abc="))
    #expect(try DescribeInstances.page(document([], more: "<nextToken/>")) == .tags(nil))
    let tags = tagSet([("a", "b")])
    #expect(
      try DescribeInstances.page(document([[tags]], more: "<nextToken>abc</nextToken>"))
        == .tags([InstanceTag("a", "b")]))
    #expect(
      String(decoding: DescribeInstances.form(host: "h", token: "a=/"), as: UTF8.self).hasSuffix("&NextToken=a%3D%2F"))
  }

  @Test func boundsHold() throws {
    let limit = DescribeInstances.tagLimit
    func tags(_ count: Int, _ bytes: Int = 1) -> [UInt8] {
      document([[tagSet((0..<count).map { ("k\($0)", String(repeating: "v", count: bytes)) })]])
    }
    #expect(throws: Never.self) { try DescribeInstances.page(tags(limit)) }
    #expect(throws: XMLError.self) { try DescribeInstances.page(tags(limit + 1)) }
    #expect(throws: XMLError.self) { try DescribeInstances.page(tags(2, DescribeInstances.tagBytes / 2)) }
    #expect(throws: XMLError.self) {
      try DescribeInstances.page(Array("<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>".utf8))
    }
    #expect(throws: XMLError.self) { try DescribeInstances.page(Array("<html>".utf8)) }
    let whole = document([[tagSet([("a", "b")])]])
    for end in whole.indices { _ = try? DescribeInstances.page(Array(whole[..<end])) }
  }

  /// What a proxy says in EC2's place is not that there is no instance.
  @Test(arguments: ["<html><body>Log in</body></html>", "<Response><Errors/></Response>", "<reservationSet/>"])
  func anotherDocumentIsNoAnswer(_ document: String) {
    #expect(throws: XMLError.self) { try DescribeInstances.page(Array(document.utf8)) }
  }

  @Test func errorsHaveACodeAndAMessage() {
    func failure(_ code: String, _ message: String) -> DescribeInstances.Failure? {
      DescribeInstances.failure(
        Array(
          """
          <Response><Errors><Error><Code>\(code)</Code><Message>\(message)</Message></Error></Errors>
          <RequestID>1</RequestID></Response>
          """.utf8))
    }
    #expect(failure("RequestLimitExceeded", "Request limit exceeded.")?.isTransient == true)
    #expect(failure("AuthFailure", "x")?.isTransient == false)
    #expect(failure("RequestExpired", "x")?.isOfTime == true)
    #expect(failure("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2")?.isOfTime == true)
    #expect(failure("ExpiredToken", "x")?.isOfKeys == true)
    // One line, of a bounded length, that leaves no escapes in a log.
    let long = failure("AuthFailure", "a\u{9b}b\n" + String(repeating: "c", count: 4000))
    #expect(long?.message == "ab")
    #expect(failure("AuthFailure", String(repeating: "c", count: 4000))?.message.count == 300)
    #expect(DescribeInstances.failure(Array("<html>Bad Gateway".utf8)) == nil)
    #expect(DescribeInstances.failure([]) == nil)
  }

  @Test func patternsInNamesAreLiteral() {
    #expect(
      String(decoding: DescribeInstances.form(host: "a*?\\b"), as: UTF8.self).contains("Value.1=a%5C%2A%5C%3F%5C%5Cb&"))
  }

  @Test func keysOfARoleAreRead() throws {
    let document = """
      {"Code": "Success", "LastUpdated": "2026-11-30T12:00:00Z", "Type": "AWS-HMAC", "AccessKeyId": "ASIA",
       "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-11-30T18:05:00Z"}
      """
    let made = try #require(InstanceCredentials(Array(document.utf8)))
    #expect(made.credentials == AWSCredentials(accessKey: "ASIA", secretKey: "s", sessionToken: "t"))
    #expect(made.expiry == 1_796_061_900)
    for broken in [
      "", "[]", "{}", #"{"AccessKeyId": "a"}"#, document.replacing("18:05:00Z", with: "soon"),
      // Keys become headers.
      document.replacing("\"t\"", with: #""t\r\nX-Other: 1""#), document.replacing("ASIA", with: "AS IA"),
    ] {
      #expect(InstanceCredentials(Array(broken.utf8)) == nil)
    }
  }
}
