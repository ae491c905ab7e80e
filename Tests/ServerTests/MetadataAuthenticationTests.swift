import EventLoop
import Support
import Testing

@testable import Server

/// One attempt to come in.
private nonisolated struct Attempt: CustomTestStringConvertible {
  let name: String
  var certificate: String?
  var user = "root"
  var password = "foobat"
  var ip = "127.0.0.1"
  var mode = "cert+password"
  /// The client that it is; nil where it may not come in.
  let client: String?

  var testDescription: String { name }

  static let all: [Attempt] = [
    Attempt(name: "the address names the client", client: "one"),
    Attempt(name: "wrong password", password: "foobar", client: nil),
    Attempt(name: "empty password", password: "", client: nil),
    Attempt(name: "longer password", password: "foobatfoobat", client: nil),
    Attempt(name: "address of two clients", ip: "127.0.0.2", client: nil),
    Attempt(name: "address of two clients, by name", user: "two", ip: "127.0.0.2", client: "two"),
    Attempt(name: "name service", ip: "127.0.0.8", client: "named"),
    Attempt(name: "name service knows an alias", ip: "127.0.0.9", client: "one"),
    Attempt(name: "address that its client has twice", ip: "127.0.0.12", client: nil),
    Attempt(name: "nobody's address", ip: "127.0.0.99", client: nil),
    Attempt(name: "an unknown client by name", user: "new", ip: "127.0.0.99", client: "new"),
    Attempt(name: "uuid", user: "ffee-01", client: "id"),
    Attempt(name: "uuid and own password", user: "ffee-01", password: "idpass", client: "id"),
    Attempt(name: "another's password", user: "ffee-01", password: "safest", client: nil),
    Attempt(name: "secure, global password", user: "safe", client: nil),
    Attempt(name: "secure, own password", user: "safe", password: "safest", client: "safe"),
    Attempt(name: "secure, global password, another letter case", user: "SAFE", client: nil),
    Attempt(name: "secure, global password, by its alias", user: "vault", client: nil),
    Attempt(name: "secure without a password", user: "void", client: nil),
    Attempt(name: "secure without a password, empty one", user: "void", password: "", client: nil),
    Attempt(name: "auth=cert, password only", user: "cert", client: nil),
    Attempt(name: "auth=cert, by its address", ip: "127.0.0.4", client: nil),
    Attempt(name: "auth=cert, certificate", certificate: "cert", password: "", ip: "127.0.0.4", client: "cert"),
    Attempt(name: "auth=cert, wrong address", certificate: "cert", client: nil),
    Attempt(name: "certificate and password", certificate: "one", client: "one"),
    Attempt(name: "certificate and wrong password", certificate: "one", password: "x", client: nil),
    Attempt(name: "certificate of nobody known", certificate: "other", client: nil),
    Attempt(name: "certificate without a name", certificate: "", client: nil),
    Attempt(name: "floating, anywhere", certificate: "float", password: "x", ip: "127.0.0.77", client: "float"),
    Attempt(name: "bootstrap, password", user: "boot", client: "boot"),
    Attempt(name: "bootstrap, certificate", certificate: "boot", password: "x", ip: "127.0.0.6", client: "boot"),
    Attempt(name: "default cert, password", mode: "cert", client: nil),
    Attempt(name: "default cert, certificate", certificate: "one", password: "x", mode: "cert", client: "one"),
    Attempt(name: "default cert, client says both", user: "both", mode: "cert", client: "both"),
  ]
}

@Suite struct MetadataAuthenticationTests {
  private static let files = [
    "Metadata/groups.xml": "<Groups><Group name=\"base\" profile=\"true\" default=\"true\"/></Groups>",
    "Metadata/clients.xml": """
    <Clients>
      <Client name="one" profile="base" address="127.0.0.1"><Alias name="uno"/></Client>
      <Client name="two" profile="base" address="127.0.0.2"/>
      <Client name="three" profile="base" address="127.0.0.2"/>
      <Client name="twice" profile="base" address="127.0.0.12"><Alias name="again" address="127.0.0.12"/></Client>
      <Client name="cert" profile="base" address="127.0.0.4" auth="cert"/>
      <Client name="both" profile="base" auth="cert+password"/>
      <Client name="boot" profile="base" address="127.0.0.6" auth="bootstrap"/>
      <Client name="float" profile="base" auth="cert" location="floating"/>
      <Client name="id" profile="base" uuid="ffee-01" password="idpass"/>
      <Client name="safe" profile="base" password="safest" secure="TRUE"><Alias name="vault"/></Client>
      <Client name="void" profile="base" secure="true"/>
    </Clients>
    """,
  ]
  private static let names = ["127.0.0.8": "NAMED", "127.0.0.9": "uno", "127.0.0.77": "elsewhere"]

  @Test(arguments: Attempt.all)
  fileprivate func onlyTheRightOnesComeIn(_ attempt: Attempt) async throws {
    var settings = CoreBench.settings
    settings.authentication = attempt.mode
    try await CoreBench.run(files: Self.files, names: Self.names, settings: settings) {
      (bench: CoreBench) async throws in
      let plugin = try bench.plugin(MetadataPlugin.self)
      let address = ClientAddress(ip: attempt.ip, port: 4711)
      let isIn = await plugin.authenticateConnection(
        certificate: attempt.certificate, user: attempt.user, password: attempt.password, address: address)
      #expect(isIn == (attempt.client != nil))
      if isIn {
        let name = try await plugin.resolveClient(address, cleanupCache: true)
        #expect(plugin.canonicalName(name) == attempt.client)
      }
    }
  }

  @Test func withoutAGlobalPasswordNoneFits() async throws {
    var settings = CoreBench.settings
    settings.password = nil
    try await CoreBench.run(files: Self.files, settings: settings) { (bench: CoreBench) async throws in
      let plugin = try bench.plugin(MetadataPlugin.self)
      for password in ["", "foobat", "nil"] {
        let isIn = await plugin.authenticateConnection(
          certificate: nil, user: "one", password: password, address: ClientAddress(ip: "127.0.0.1", port: 1))
        #expect(!isIn)
      }
    }
  }

  @Test func passwordsAreComparedWhole() {
    let cases = [("", "", true), ("a", "", false), ("", "a", false), ("ab", "ab", true), ("ab", "aba", false)]
    for (given, expected, answer) in cases + [("abab", "ab", false), ("ac", "ab", false), ("é", "é", true)] {
      #expect(MetadataPlugin.isEqual(given, expected) == answer, "\(given) \(expected)")
    }
  }

  @Test func sessionsEndAfterNinetySeconds() {
    var cache = SessionCache()
    let start = MonotonicTime(nanoseconds: 1_000_000_000)
    let a = ClientAddress(ip: "127.0.0.1", port: 1)
    let b = ClientAddress(ip: "127.0.0.1", port: 2)
    cache.remember("x", at: a, now: start)
    cache.remember("y", at: b, now: start + .seconds(60))
    #expect(cache.client(at: a, now: start + .seconds(89)) == "x")
    #expect(cache.client(at: a, now: start + .seconds(90)) == nil)
    cache.remember("z", at: b, now: start + .seconds(100))
    #expect(cache.count == 1)
    cache.dropExpired(now: start + .seconds(151))
    #expect(cache.client(at: b, now: start + .seconds(151)) == "z")
    cache.dropExpired(now: start + .seconds(190))
    #expect(cache.count == 0)
    // Thousands of requests on one connection are one entry a second.
    for index in 0..<3000 { cache.remember("x", at: a, now: start + .milliseconds(200_000 + index)) }
    #expect(cache.count == 1 && cache.waiting == 3)
    cache.remember("y", at: a, now: start + .milliseconds(203_000))
    #expect(cache.client(at: a, now: start + .seconds(204)) == "y")
  }

  @Test func aStormOfSessionsIsBounded() {
    var cache = SessionCache()
    let now = MonotonicTime(nanoseconds: 1_000_000_000)
    for index in 0..<SessionCache.limit + 100 {
      cache.remember("x", at: ClientAddress(ip: "127.0.0.\(index % 7)", port: UInt16(index % 65_536)), now: now)
      #expect(cache.waiting <= SessionCache.limit)
    }
    #expect(cache.count == SessionCache.limit)
    // The oldest went, and may come again.
    let first = ClientAddress(ip: "127.0.0.0", port: 0)
    #expect(cache.client(at: first, now: now) == nil)
    cache.remember("x", at: first, now: now)
    #expect(cache.client(at: first, now: now) == "x")
  }
}
