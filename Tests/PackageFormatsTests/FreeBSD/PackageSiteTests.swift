import Testing

@testable import PackageFormats

private func site(_ text: String, name: String = "packagesite.yaml", pieces: Int = 1 << 20) throws -> [String] {
  var tar = TarFixture()
  tar.add("meta", "version = 2")
  tar.add(name, text)
  tar.end()
  return try dump { builder in
    var parser = PackageSite(file: "packagesite.txz")
    try forEachPiece(of: tar.bytes, size: pieces) { try parser.write($0, into: &builder) }
    try parser.finish(into: &builder)
  }
}

@Suite struct PackageSiteTests {
  @Test(arguments: pieceSizes) func packagesAreRead(_ pieces: Int) throws {
    let text = """
      {"name":"app","origin":"x/app","version":"1.0_2,1","abi":"FreeBSD:14:amd64","deps":{"liba":{"origin":"d/liba","version":"2"},"lib\\u00e9\\n":{}},"provides":["p",1],"desc":"{ \\"name\\": \\"no\\" }","x":[true,false,null,-1.5e3,{"name":"no"}]}

      { "deps" : null , "name" : "b\\/\\\\\\"" , "version" : 1 }
      """
    #expect(
      try site(text, pieces: pieces) == [
        "app 1.0_2,1 FreeBSD:14:amd64", "  depends liba", "  depends lib\u{e9}\n", "  provides p", "b/\\\"  ",
      ])
  }

  @Test(arguments: [
    ("x", "\"x\" is no value"), ("[]", "an object is missing"), ("{", "a string is missing"),
    ("{\"name\"}", "a colon is missing"), ("{\"name\":}", "a value is missing"),
    ("{\"name\":\"a\"", "a comma is missing"), ("{\"name\":\"a", "a string has no end"),
    ("{\"name\":\"a\\", "a string has no end"), ("{\"name\":\"\\x\"}", "an escape is wrong"),
    ("{\"name\":\"\\u12\"}", "an escape is wrong"), ("{\"a\":tru}", "\"tru\" is no value"),
    ("{\"a\":1}x", "something follows the value"), ("{\"a\":[1 2]}", "a comma is missing"),
    ("{\"a\":\(String(repeating: "[", count: 100_000))", "more than 64 nested values, the limit"),
  ])
  func whatIsNoJSONIsNamedWithItsLine(_ text: String, _ message: String) {
    let error = errorText { _ = try site("{\"name\":\"a\"}\n" + text) }
    let isRoot = text == "x"
    #expect(
      error.hasPrefix("packagesite.txz:2: is no JSON: \(isRoot ? "an object is missing" : message) (at character "),
      "\(error)")
  }

  @Test func whatIsWrongIsNamed() {
    #expect(errorText { _ = try site("{}") } == "packagesite.txz:1: a package has no name")
    #expect(
      errorText { _ = try site("", name: "data") } == "packagesite.txz: the archive has no packagesite.yaml")
  }
}
