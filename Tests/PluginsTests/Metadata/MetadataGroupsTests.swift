import Core
import CoreSupport
import Repository
import Support
import Testing
import XMLRPC

@testable import Plugins

/// The groups of a client of one profile, by groups.xml.
private nonisolated struct Resolution: CustomTestStringConvertible {
  let name: String
  let groupsXML: String
  var profile: String? = "base"
  let groups: NameSet
  var categories: NameTable<String> = [:]
  var bundles: [String] = []
  var found: String? = "base"

  var testDescription: String { name }

  static let all: [Resolution] = [
    Resolution(
      name: "nested groups are conditions, leaves are memberships",
      groupsXML: """
        <Group name="base" profile="true"><Bundle name="b1"/><Group name="in"><Group name="both"/></Group>
        <Group name="in"/><Group name="out"><Group name="never"/></Group></Group>
        """,
      groups: ["base", "in", "both"], bundles: ["b1"]),
    Resolution(
      name: "forward references reach a fixed point",
      groupsXML: """
        <Group name="c"><Group name="d"/></Group><Group name="b"><Group name="c"/></Group>
        <Group name="base" profile="true"><Group name="b"/></Group>
        """,
      groups: ["base", "b", "c", "d"]),
    Resolution(
      name: "Client conditions, negated ones in any letter case",
      groupsXML: """
        <Group name="base" profile="true"/><Group name="mine"/><Group name="others"/><Group name="both"/>
        <Client name="one.example.com"><Group name="mine"/></Client>
        <Client name="one.example.com" negate="TRUE"><Group name="others"/></Client>
        <Client name="two.example.com" negate="true"><Group name="both"/></Client>
        """,
      groups: ["base", "mine", "both"]),
    Resolution(
      name: "a negated leaf takes a group away, what hung on it stays",
      groupsXML: """
        <Group name="base" profile="true"><Group name="web"/><Group name="quiet"/></Group>
        <Group name="quiet"><Group name="web" negate="true"/></Group><Group name="web"><Group name="had-web"/></Group>
        """,
      groups: ["base", "quiet"]),
    Resolution(
      name: "the first group of a category suppresses later ones",
      groupsXML: """
        <Group name="base" profile="true"><Group name="red"/><Group name="green"/></Group>
        <Group name="red" category="colour"><Bundle name="r"/></Group>
        <Group name="green" category="colour"><Bundle name="g"/></Group>
        """,
      groups: ["base", "red"], categories: ["colour": "red"], bundles: ["r"]),
    Resolution(
      name: "the first declaration of a group counts",
      groupsXML: """
        <Group name="base" profile="true"><Group name="once"><Bundle name="nested"/><Group name="x"/></Group>
        <Group name="once"/></Group><Group name="once"><Bundle name="first"/></Group>
        <Group name="once"><Bundle name="second"/></Group>
        """,
      groups: ["base", "once", "x"], bundles: ["first"]),
    Resolution(
      name: "a comment is a child: no leaf, no membership",
      groupsXML: """
        <Group name="base" profile="true"><Group name="a"><!-- why --></Group><Group name="b"><?pi?></Group>
        <!-- <Group name="c"/> --><Group name="d"> </Group></Group>
        """,
      groups: ["base", "d"]),
    Resolution(
      name: "a client without a profile does not get the default one",
      groupsXML: "<Group name=\"base\" profile=\"true\" default=\"true\"/>", profile: nil, groups: [], found: nil),
    Resolution(
      name: "an undeclared profile is a group, but no profile",
      groupsXML: "<Group name=\"base\" profile=\"true\"/><Group name=\"x\"><Group name=\"y\"/></Group>",
      profile: "ghost", groups: ["ghost"], found: nil),
    Resolution(
      name: "a profile that a Client element gives is found",
      groupsXML: """
        <Group name="base" profile="true"/><Client name="one.example.com"><Group name="base"/></Client>
        """,
      profile: nil, groups: ["base"]),
    Resolution(
      name: "two groups that need each other's absence",
      groupsXML: """
        <Group name="base" profile="true"/><Group name="o"><Group name="heads" negate="true"><Group name="tails"/></Group>
        <Group name="tails" negate="true"><Group name="heads"/></Group></Group><Group name="base"><Group name="o"/></Group>
        """,
      groups: ["base", "o", "heads", "tails"]),
  ]
}

@Suite struct MetadataGroupsTests {
  @Test(arguments: Resolution.all)
  fileprivate func groupsAreThoseOfGroupsXML(_ expected: Resolution) async throws {
    let profile = expected.profile.map { " profile=\"\($0)\"" } ?? ""
    try await RepositoryFixture.run(files: [
      "Metadata/groups.xml": "<Groups>\(expected.groupsXML)</Groups>",
      "Metadata/clients.xml": "<Clients><Client name=\"one.example.com\"\(profile)/></Clients>",
    ]) { (fixture: RepositoryFixture) async throws in
      let metadata = try await fixture.core.buildMetadata("ONE.example.com")
      #expect(metadata.hostname == "one.example.com")
      #expect(metadata.groups == expected.groups)
      #expect(metadata.categories == expected.categories)
      #expect(metadata.bundles.map(\.text) == expected.bundles)
      #expect(metadata.profile == expected.found)
    }
  }

  @Test func groupsThatNeverSettleEndAnyway() async throws {
    // A adds C; C removes A and B, and without A it is not added.
    let groups = """
      <Groups><Group name="base" profile="true">
      <Group name="C" negate="true"><Group name="A"/><Group name="B"/></Group>
      <Group name="A"><Group name="C"/></Group>
      <Group name="C"><Group name="A" negate="true"/><Group name="B" negate="true"/></Group>
      <Group name="A" negate="true"><Group name="C" negate="true"/></Group></Group></Groups>
      """
    try await RepositoryFixture.run(files: [
      "Metadata/groups.xml": groups,
      "Metadata/clients.xml": "<Clients><Client name=\"a\" profile=\"base\"/></Clients>",
    ]) { (fixture: RepositoryFixture) async throws in
      #expect(try await fixture.core.buildMetadata("a").groups.contains("base"))
    }
  }

  @Test func rulesOfOtherClientsAreNotTried() {
    let root = Element("Groups")
    for number in 0..<20_000 {
      root.append("Client", ["name": "c\(number)"]).append("Group", ["name": "g\(number % 7)"])
    }
    root.append("Group", ["name": "base"]).append("Group", ["name": "all"])
    let rules = GroupRules(root: root) { _, _ in }
    #expect(rules.memberships.rules.count == 20_001)
    #expect(rules.memberships.candidates("c3", ["base"]).map { rules.memberships.rules[$0].group } == ["all", "g3"])
  }

  @Test func connectorsGroupsBringTheirBundlesCategoriesAndProfile() async throws {
    try await RepositoryFixture.run(files: [
      "Metadata/groups.xml": """
      <Groups><Group name="red" category="colour" profile="true"><Bundle name="r"/><Group name="warm"/></Group>
      <Group name="blue" category="colour"><Bundle name="b"/></Group></Groups>
      """,
      "Metadata/clients.xml": "<Clients><Client name=\"a\"/></Clients>",
    ]) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let metadata = try await plugin.initialMetadata("a")
      plugin.mergeAdditionalGroups(metadata, ["red", "blue", "new"])
      #expect(metadata.groups == ["red", "warm", "new"])
      #expect(metadata.categories == ["colour": "red"])
      #expect(Array(metadata.bundles) == ["r"])
      #expect(metadata.profile == "red")
      #expect(plugin.query.group(of: metadata, inCategory: "colour") == "red")
    }
  }

  @Test func aBrokenFileKeepsTheLastGoodVersion() async throws {
    try await RepositoryFixture.run(files: [
      "Metadata/groups.xml": "<Groups><Group name=\"base\" profile=\"true\"><Group name=\"x\"/></Group></Groups>",
      "Metadata/clients.xml": "<Clients><Client name=\"a\" profile=\"base\"/></Clients>",
    ]) { (fixture: RepositoryFixture) async throws in
      fixture.edit("Metadata/groups.xml", "<Groups><Group name=\"base\">")
      fixture.edit("Metadata/clients.xml", "<Clients><Client name=\"b\"")
      #expect(try await fixture.core.buildMetadata("a").groups == ["base", "x"])
      fixture.edit("Metadata/groups.xml", "<Groups><Group name=\"base\"><Group name=\"y\"/></Group></Groups>")
      #expect(try await fixture.core.buildMetadata("a").groups == ["base", "y"])
    }
  }

  @Test func includedFilesCountWhenTheyChangeComeAndGo() async throws {
    try await RepositoryFixture.run(files: [
      "Metadata/groups.xml": """
      <Groups xmlns:xi="http://www.w3.org/2001/XInclude"><Group name="base" profile="true"/>
      <xi:include href="parts/*.xml"/></Groups>
      """,
      "Metadata/parts/a.xml": "<Groups><Group name=\"base\"><Group name=\"a\"/></Group></Groups>",
      "Metadata/clients.xml": "<Clients><Client name=\"c\" profile=\"base\"/></Clients>",
    ]) { (fixture: RepositoryFixture) async throws in
      #expect(try await fixture.core.buildMetadata("c").groups == ["base", "a"])
      fixture.edit("Metadata/parts/a.xml", "<Groups><Group name=\"base\"><Group name=\"a2\"/></Group></Groups>")
      #expect(try await fixture.core.buildMetadata("c").groups == ["base", "a2"])
      fixture.edit("Metadata/parts/b.xml", "<Groups><Group name=\"base\"><Group name=\"b\"/></Group></Groups>")
      #expect(try await fixture.core.buildMetadata("c").groups == ["base", "a2", "b"])
    }
  }
}
