import Testing

@testable import InstanceTags

@Suite struct EndpointTests {
  @Test(arguments: [
    ("https://ec2.eu-west-1.amazonaws.com", "ec2.eu-west-1.amazonaws.com", "/"),
    ("https://ec2.example.com:443/", "ec2.example.com", "/"),
    ("http://127.0.0.1:8773/services/Cloud", "127.0.0.1:8773", "/services/Cloud"),
    ("http://[::1]:80", "[::1]", "/"),
    ("http://[::1]", "[::1]", "/"),
    ("https://EC2.example.com", "ec2.example.com", "/"),
  ])
  func urlsAreRead(_ text: String, _ host: String, _ path: String) throws {
    let endpoint = try #require(ServiceEndpoint(text))
    #expect(endpoint.host == host && endpoint.path == path)
  }

  @Test(arguments: [
    "", "ec2.example.com", "ftp://x", "file:///etc/passwd", "https://", "https:///x", "https://u:p@x", "https://x?y",
    "https://x#y", "https://x/a/../b", "https://x/a b", "https://x/%41", "https://x:port", "https://:80",
    "http://x:70000", "https://x\u{e9}",
  ])
  func othersAreNone(_ text: String) { #expect(ServiceEndpoint(text) == nil) }

  @Test func regionsHaveTheirEndpoints() {
    #expect(ServiceEndpoint.ec2(region: "us-east-1")?.url == "https://ec2.us-east-1.amazonaws.com/")
    #expect(ServiceEndpoint.ec2(region: "cn-north-1")?.url == "https://ec2.cn-north-1.amazonaws.com.cn/")
    for text in ["", "us east", "evil.example.com/", "US-EAST-1"] { #expect(ServiceEndpoint.ec2(region: text) == nil) }
  }
}
