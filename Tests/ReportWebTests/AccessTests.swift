import Databases
import Support
import Synchronization
import Testing

@testable import ReportWeb

#if Web
  import HTTPTypes
#endif

@Suite struct AccessTests {
  /// Of `openssl passwd -6 -salt saltsalt secret`.
  private static let hash =
    "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"

  @Test func passwordsAreThoseOfTheFile() throws {
    let file = try PasswordFile(text: "# users\n\nann:\(Self.hash):more\n", path: "users")
    #expect(try file.matches(user: "ann", password: "secret"))
    #expect(try !file.matches(user: "ann", password: "secrets"))
    #expect(try !file.matches(user: "ann", password: ""))
    #expect(try !file.matches(user: "bob", password: "secret"))
    #expect(try !PasswordFile(text: "", path: "users").matches(user: "ann", password: "secret"))
  }

  @Test func linesMayEndWithCarriageReturns() throws {
    let file = try PasswordFile(text: "# users\r\n\r\nann:\(Self.hash)\r\nbob:\(Self.hash)\r\n", path: "users")
    for user in ["ann", "bob"] { #expect(try file.matches(user: user, password: "secret")) }
  }

  @Test(arguments: [
    "ann:secret", "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "ann:$apr1$a$b", "ann", ":\(AccessTests.hash)", "ann:$1$a$b",
  ])
  func weakHashesAreRefused(line: String) {
    #expect(throws: PasswordFile.Failure.self) { try PasswordFile(text: line, path: "users") }
  }

  #if Web
    @Test func aWrongPasswordIsAnsweredLater() async throws {
      let folder = TemporaryDirectory()
      folder.write("ann:\(Self.hash)\n", to: "users")
      let pauses = Mutex(0)
      let authenticator = Authenticator(.basic(usersFile: folder.file("users")), tokens: FormTokens()) {
        pauses.withLock { $0 += 1 }
      }
      // ann:secret, ann:secreT, nothing.
      for (header, isKnown, count) in [
        ("Basic YW5uOnNlY3JldA==", true, 0), ("Basic YW5uOnNlY3JlVA==", false, 1), (nil, false, 1),
      ] {
        var headers = HTTPFields()
        headers[.authorization] = header
        let caller = try await authenticator.caller(headers, address: "127.0.0.1")
        if case .user("ann") = caller { #expect(isKnown) } else { #expect(!isKnown) }
        #expect(pauses.withLock { $0 } == count)
      }
      try await authenticator.shutDown()
    }

    @Test func whatBcfg2WebMayNotWriteIsSaid() throws {
      var error = DatabaseError(.unavailable, "")
      #expect(error.whyNotWritten == nil)
      error.isReadOnly = true
      #expect(error.whyNotWritten != nil && DatabaseError(.denied, "").whyNotWritten != nil)
    }

    @Test func namesAndPasswordsAreDecoded() throws {
      let pair = try #require(Basic.decode("basic YW5uOnM6ZWNyZXTDqQ=="))
      #expect(pair.user == "ann")
      #expect(pair.password == "s:ecreté")
      for wrong in [
        "Basic", "Bearer YW5uOnM=", "Basic YW5u", "Basic OnM=", "Basic YW5uOnM", "Basic /w==", "Basic YQA6YQ==",
      ] {
        #expect(Basic.decode(wrong) == nil)
      }
    }
  #endif

  @Test func tokensAreOfOneBrowserAndUser() {
    let tokens = FormTokens()
    let token = tokens.token(browser: "b", user: "u")
    #expect(tokens.isValid(token, browser: "b", user: "u"))
    #expect(!tokens.isValid(token, browser: "c", user: "u"))
    #expect(!tokens.isValid(token, browser: "b", user: "v"))
    #expect(!tokens.isValid("", browser: "b", user: "u"))
    #expect(!FormTokens().isValid(token, browser: "b", user: "u"))
    #expect(FormTokens.identifier() != FormTokens.identifier())
  }

  @Test func addressesOfProxiesAreWrittenAsPeersAre() {
    for (text, address) in [
      ("10.0.0.1", "10.0.0.1"), ("0:0:0:0:0:0:0:1", "::1"), ("2001:DB8::A", "2001:db8::a"), ("proxy", nil),
      ("10.0.0.0/8", nil),
      ("", nil), ("10.1", nil),
    ] {
      #expect(WebSettings.address(text) == address)
    }
  }

  @Test func placesToListenAreRead() throws {
    for (text, address, port) in [
      ("127.0.0.1:8080", "127.0.0.1", 8080), ("8081", "127.0.0.1", 8081), ("[::1]:80", "::1", 80),
      ("localhost:1", "127.0.0.1", 1),
      ("0.0.0.0:0", "0.0.0.0", 0),
    ] {
      let place = try #require(WebSettings.listen(text))
      #expect(place.address == address)
      #expect(place.port == port)
    }
    for wrong in ["", "x:80", "::1:80", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:-1", ":80"] {
      #expect(WebSettings.listen(wrong) == nil)
    }
  }

  @Test(arguments: [
    ("", ""), ("/", ""), ("/reports", "/reports"), ("reports/", "/reports"), ("https://h.example.com/a/b/", "/a/b"),
    ("http://h", ""),
  ])
  func prefixesArePaths(text: String, path: String) { #expect(WebSettings.prefix(text) == path) }
}
