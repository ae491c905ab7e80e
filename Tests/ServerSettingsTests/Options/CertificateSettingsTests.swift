import EventLoop
import Support
import Testing

@testable import ServerSettings

/// Options of certificates and proxies.
struct CertificateSettingsTests {
  private let folder = TemporaryDirectory()

  private func settings(_ text: String) throws -> Settings {
    var options = CommandLineOptions()
    options.configurationFile = folder.write(text, to: "bcfg2.conf")
    return try Settings.load(options, registry: .server) { _ in nil }
  }

  @Test func theyAreOffUnlessTheyAreSet() throws {
    let read = try settings("[communication]\npassword = x\n")
    #expect(read.acceptsPasswords && read.revocationLists == nil && read.statusResponse == nil)
    #expect(!read.readsProxyHeader && read.trustedProxies == nil && read.forwardedHeader == .no)
    #expect(read.warnings.isEmpty)
  }

  @Test func proxiesAreAddressesAndNetworks() throws {
    let text =
      "[communication]\npassword = x\n[server]\nproxy_protocol = yes\nforwarded = x-forwarded-for\n"
      + "trusted_proxies = 127.0.0.1, 10.0.0.0/8,::1\n"
    let read = try settings(text)
    #expect(read.trustedProxies?.map(\.description) == ["127.0.0.1", "10.0.0.0/8", "::1"] && read.readsProxyHeader)
    #expect(read.forwardedHeader == .listOfAddresses && read.warnings.isEmpty)
    #expect(try settings("[server]\nforwarded = yes\ntrusted_proxies = ::1\n").forwardedHeader == .yes)
    for value in ["proxy.example.com", "10.0.0.1/8", "127.0.0.1,", "127.0.0.1 ::1"] {
      let error = #expect(throws: SettingsError.self) { try settings("[server]\ntrusted_proxies = \(value)\n") }
      #expect(error.map { "\($0)".contains("such as 127.0.0.1, 10.0.0.0/8, 2001:db8::/32") } == true, "\(value)")
    }
    #expect(throws: SettingsError.self) { try settings("[server]\nforwarded = maybe\n") }
  }

  @Test func whatHasNoEffectIsAWarning() throws {
    for (text, warning) in [
      ("[server]\nproxy_protocol = yes\n", "[server] proxy_protocol has no effect without trusted_proxies"),
      ("[server]\nforwarded = yes\n", "[server] forwarded has no effect without trusted_proxies"),
      (
        "[communication]\npassword = x\ncrl = /x\n",
        "[communication] crl has no effect without ca: no client is asked for a certificate"
      ),
      (
        "[communication]\npasswords = no\n",
        "[communication] passwords = no without ca: no client has a certificate that counts"
      ),
    ] {
      #expect(try settings(text).warnings.map(\.text).contains(warning), "\(text)")
    }
    // A password that nobody may use need not be set.
    #expect(try settings("[communication]\npasswords = no\nca = /x\ncrl = /y\n").warnings.isEmpty)
  }
}
