import Core
import CoreSupport
import Identity
import ServerSettings
import Support
import Testing

@testable import Plugins

@Suite struct ACLTests {
  private static let metadata = [
    "Metadata/groups.xml":
      "<Groups><Group name=\"base\" profile=\"true\"/><Group name=\"web\" profile=\"true\"/></Groups>",
    "Metadata/clients.xml": """
    <Clients><Client name="one" profile="web"/><Client name="two" profile="base"/></Clients>
    """,
  ]
  private static var settings: Settings {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Metadata", "ACL"]
    return settings
  }

  private func run(_ files: [String: String], _ body: (RepositoryFixture, ACLPlugin) async throws -> Void) async throws
  {
    try await RepositoryFixture.run(files: Self.metadata.merging(files) { $1 }, settings: Self.settings) {
      (fixture: RepositoryFixture) async throws in try await body(fixture, fixture.plugin(ACLPlugin.self))
    }
  }

  private func check(_ plugin: ACLPlugin, _ ip: String, _ rmi: String) -> ACLDecision {
    plugin.checkACL(address: ClientAddress(ip: ip, port: 1), rmi: rmi)
  }

  @Test func methodsFitPartByPart() {
    for (rule, rmi, answer) in [
      ("GetConfig", "GetConfig", true), ("*", "GetConfig", true), ("*", "Bundler.set_debug", false),
      ("*.*", "Bundler.set_debug", true), ("Bundler.*", "Bundler.set_debug", true),
      ("*.set_debug", "A.set_debug", true),
      ("Get*", "GetConfig", false), ("GetConfig", "*", false), ("*.x", "A.y", false),
    ] {
      #expect(ACLPlugin.fits(rule, rmi) == answer, "\(rule) \(rmi)")
    }
    #expect(!ACLPlugin.fits(nil, "x"))
  }

  @Test func theFirstAddressRuleThatFitsCounts() async throws {
    let rules = """
      <IPACLs><Allow method="A" address="10.0.0.1"/><Deny method="*" address="10.0.0.1"/>
      <Deny method="A" address="10.1.0.0" netmask="16"/><Defer method="B" address="10.2.0.0" netmask="255.255.128.0"/>
      <Deny method="B" address="10.2.0.0" netmask="16"/><Deny method="A" address="fe80::" netmask="10"/>
      <Deny method="C"/><Deny/></IPACLs>
      """
    try await run(["ACL/ip.xml": rules]) { (_: RepositoryFixture, plugin: ACLPlugin) async throws in
      let cases: [(String, String, ACLDecision)] = [
        ("10.0.0.1", "A", .allow), ("10.0.0.1", "B", .deny), ("10.1.255.255", "A", .deny),
        ("10.2.0.1", "A", .undecided),
        ("10.2.127.1", "B", .undecided), ("10.2.128.1", "B", .deny), ("fe80::1", "A", .deny),
        ("fec0::1", "A", .undecided),
        ("127.0.0.1", "A", .allow), ("127.0.0.1", "C", .deny), ("10.9.9.9", "A", .undecided), ("junk", "A", .undecided),
      ]
      for (ip, rmi, decision) in cases { #expect(check(plugin, ip, rmi) == decision, "\(ip) \(rmi)") }
    }
  }

  @Test func clientsAreAllowedByTheirGroups() async throws {
    let rules = """
      <MetadataACLs><Group name="web"><Allow method="GetConfig"/></Group><Deny method="GetConfig"/>
      <Client name="two"><Allow method="*"/></Client></MetadataACLs>
      """
    try await run(["ACL/metadata.xml": rules]) { (fixture: RepositoryFixture, plugin: ACLPlugin) async throws in
      for (client, rmi, answer): (ClientName, String, Bool) in [
        ("one", "GetConfig", true), ("two", "GetConfig", false), ("two", "GetProbes", true),
        ("one", "GetProbes", false),
      ] {
        let metadata = try await fixture.core.buildMetadata(client)
        #expect(try await plugin.checkACL(metadata: metadata, rmi: rmi) == answer, "\(client) \(rmi)")
      }
      #expect(check(plugin, "10.0.0.1", "GetConfig") == .undecided)
      fixture.edit("ACL/metadata.xml", "<MetadataACLs/>")
      #expect(try await plugin.checkACL(metadata: fixture.core.buildMetadata("one"), rmi: "GetProbes"))
    }
  }

  @Test func rulesOfAnIncludedDocumentAreNone() async throws {
    let rules = """
      <IPACLs xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="more.xml"/><Deny method="B"/></IPACLs>
      """
    try await run(["ACL/ip.xml": rules, "ACL/more.xml": "<IPACLs><Deny method=\"A\"/></IPACLs>"]) {
      (_: RepositoryFixture, plugin: ACLPlugin) async throws in
      #expect(check(plugin, "10.0.0.1", "A") == .undecided)
      #expect(check(plugin, "10.0.0.1", "B") == .deny)
    }
  }

  @Test func aBrokenFileDoesNotOpenTheServer() async throws {
    try await run(["ACL/ip.xml": "<IPACLs><Deny", "ACL/metadata.xml": "<M"]) {
      (fixture: RepositoryFixture, plugin: ACLPlugin) async throws in
      #expect(check(plugin, "10.0.0.1", "GetConfig") == .deny)
      #expect(check(plugin, "127.0.0.1", "GetConfig") == .allow)
      #expect(try await !plugin.checkACL(metadata: fixture.core.buildMetadata("one"), rmi: "GetConfig"))
      fixture.edit("ACL/ip.xml", "<IPACLs><Deny method=\"A\"/></IPACLs>")
      #expect(check(plugin, "10.0.0.1", "A") == .deny)
      #expect(check(plugin, "10.0.0.1", "GetConfig") == .undecided)
      for broken in ["<IPACLs>", "<IPACLs><Dney method=\"A\"/></IPACLs>", "<IPACLs><Deny netmask=\"99\"/></IPACLs>"] {
        fixture.edit("ACL/ip.xml", broken)
        #expect(check(plugin, "10.0.0.1", "A") == .deny, "\(broken)")
      }
    }
  }
}
