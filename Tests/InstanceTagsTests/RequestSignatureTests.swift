import Testing

@testable import InstanceTags

/// Published test vectors of Signature Version 4 (aws-sig-v4-test-suite), and a request of ours signed by botocore.
@Suite struct RequestSignatureTests {
  private static let credentials = AWSCredentials(
    accessKey: "AKIDEXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
  private static let time = "20150830T123600Z"

  private func signature(
    _ method: String, _ path: String = "/", query: [(name: String, value: String)] = [],
    headers: [(name: String, value: String)] = [], body: String = ""
  ) -> String {
    let request = RequestSignature.Request(
      method: method, path: path, query: query,
      headers: [("Host", "example.amazonaws.com"), ("X-Amz-Date", Self.time)] + headers, body: Array(body.utf8))
    return RequestSignature(Self.credentials, region: "us-east-1", service: "service")
      .authorization(request, time: Self.time)
  }

  private static func expected(_ signature: String, signed: String = "host;x-amz-date") -> String {
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=\(signed), "
      + "Signature=\(signature)"
  }

  @Test func getVanilla() {
    #expect(
      signature("GET") == Self.expected("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"))
  }

  @Test func postVanilla() {
    #expect(
      signature("POST") == Self.expected("5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"))
  }

  @Test func postXWWWFormURLEncoded() {
    #expect(
      signature(
        "POST", headers: [("Content-Type", "application/x-www-form-urlencoded")], body: "Param1=value1")
        == Self.expected(
          "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a", signed: "content-type;host;x-amz-date"))
  }

  @Test func getVanillaQueryOrderKeyCase() {
    #expect(
      signature("GET", query: [("Param2", "value2"), ("Param1", "value1")])
        == Self.expected("b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"))
  }

  @Test func getVanillaQueryUnreserved() {
    let text = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    #expect(
      signature("GET", query: [(text, text)])
        == Self.expected("9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"))
  }

  @Test func getUTF8() {
    #expect(
      signature("GET", "/\u{1234}")
        == Self.expected("8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"))
  }

  @Test func headersAreTrimmedAndJoined() {
    let request = RequestSignature.Request(
      method: "GET", path: "/",
      headers: [("My-Header1", " value1 "), ("my-header2", "\"a   b   c\""), ("My-Header1", "value2")])
    let (text, signed) = RequestSignature.canonical(request)
    #expect(signed == "my-header1;my-header2")
    #expect(text.hasPrefix("GET\n/\n\nmy-header1:value1,value2\nmy-header2:\"a b c\"\n\nmy-header1;my-header2\n"))
  }

  /// What botocore makes of the same request.
  @Test func theRequestForTags() throws {
    var credentials = Self.credentials
    credentials.sessionToken = "TOKEN"
    let endpoint = try #require(ServiceEndpoint.ec2(region: "us-east-1"))
    let body = DescribeInstances.form(host: "ip-10-0-0-1.ec2.internal")
    #expect(
      String(decoding: body, as: UTF8.self)
        == "Action=DescribeInstances&Filter.1.Name=private-dns-name&Filter.1.Value.1=ip-10-0-0-1.ec2.internal"
        + "&Version=2016-11-15")
    let headers = DescribeInstances.headers(
      endpoint, RequestSignature(credentials, region: "us-east-1", service: "ec2"), body: body, seconds: 1_796_058_000)
    #expect(headers.map(\.name) == ["Host", "X-Amz-Date", "Content-Type", "X-Amz-Security-Token", "Authorization"])
    #expect(headers[1].value == "20261130T170000Z")
    #expect(
      headers[4].value
        == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261130/us-east-1/ec2/aws4_request, "
        + "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "
        + "Signature=dcf39fb68ea3e70ba7868e281e9cb42704fd5b201a491a4b6d6fc08d9f08e846")
  }

  @Test func secretsAreNotInForeignTexts() {
    var credentials = Self.credentials
    credentials.sessionToken = "a-session-token"
    #expect(
      credentials.removed(from: "sent a-session-token, \(credentials.secretKey) and AKIDEXAMPLE")
        == "sent ***, *** and AKIDEXAMPLE")
  }
}
