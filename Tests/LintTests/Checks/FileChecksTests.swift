import Support
import Testing

@testable import Lint

/// Checks that need no server.
struct FileChecksTests {
  @Test func whatIsMarkedAsEncryptedIs() throws {
    let fixture = LintFixture([
      "Cfg/etc/a/a.crypt": "plain\n", "Cfg/etc/b/b.crypt": "U2FsdGVkX1+4f2L8mV5bWkZm0pDq3o9oY1i7yT8k0Zs=\n",
      "Cfg/etc/c/c": "plain\n",
      "Properties/p.xml":
        "<Properties>\n<a encrypted='n'>plain</a>\n<b encrypted='n'/>\n<c encrypted='n'>U2FsdGVkX1+4f2L8mV5bWkZm0pDq3o9o</c>\n</Properties>",
      "Properties/broken.xml": "<Properties>",
    ])
    #expect(
      try fixture.lines([.crypto]) == [
        "unencrypted-cfg Cfg/etc/a/a.crypt:0", "unencrypted-properties Properties/p.xml:2",
        "empty-encrypted-properties Properties/p.xml:3",
      ])
    #expect(
      try fixture.lines([.crypto], conf: "[errors]\nunencrypted-cfg = silent", only: ["Cfg/etc/a/a.crypt"])
        == ["unencrypted-cfg Cfg/etc/a/a.crypt:0"])
  }

  @Test func listedPackagesDifferInNameOrCondition() throws {
    let fixture = LintFixture([
      "Pkgmgr/one.xml": """
      <PackageList type='deb' priority='1'>
        <Package name='a'/><Package name='b'/>
        <Group name='g'><Package name='a'/><Group name='h'><Package name='a'/></Group></Group>
        <Group name='g' negate='true'><Package name='a'/></Group>
      </PackageList>
      """,
      "Pkgmgr/two.xml": "<PackageList type='deb' priority='2'><Package name='a'/></PackageList>",
      "Pkgmgr/twin.xml":
        "<PackageList type='deb' priority='1'>\n<Package name='b'/>\n<Group name='g'><Package name='a'/></Group></PackageList>",
    ])
    #expect(
      try fixture.lines([.pkgmgr]) == ["duplicate-packages Pkgmgr/twin.xml:2", "duplicate-packages Pkgmgr/twin.xml:3"])
  }

  @Test func patternsForTagsAreCompiled() throws {
    let fixture = LintFixture([
      "AWSTags/config.xml": """
      <AWSTags>
        <Tag name='('><Group>a</Group></Tag>
        <Tag name='a' value='['><Group>a</Group></Tag>
        <Tag name='a' value='b'><Group>a</Group></Tag>
      </AWSTags>
      """
    ])
    let expected = [2, 3].map { "pattern-fails-to-initialize AWSTags/config.xml:\($0)" }
    #expect(try fixture.lines([.awsTags]) == expected)
    let found = try #require(try fixture.findings([.awsTags]).first)
    let place = "\(fixture.folder.file("repo"))/AWSTags/config.xml:2"
    #expect(found.message.hasSuffix("unbalanced parenthesis\n    \(place): ("), "\(found)")
    // The schema knows the same file.
    #expect(try fixture.lines([.validate]) == [])
  }

  @Test func whatTheServerDoesNotSeeIsNotChecked() throws {
    let fixture = LintFixture([
      ".bcfg2-ignore": "*.orig.json\n/Properties/drafts/\n/Metadata/more/two.xml\n",
      "Properties/a.orig.json": "{", "Properties/drafts/b.json": "{", "Properties/c.json": "{",
      "Metadata/groups.xml":
        "<Groups xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='more/*.xml'/></Groups>",
      "Metadata/more/one.xml": "<Groups>\n<Group porfile='true' name='a'/></Groups>",
      "Metadata/more/two.xml": "<Groups>\n<Group porfile='true' name='a'/></Groups>",
    ])
    #expect(try fixture.lines([.validateJSON]) == ["json-failed-to-parse Properties/c.json:1"])
    #expect(
      try fixture.findings([.validate]).compactMap { $0.place?.path }.allSatisfy { $0.hasSuffix("one.xml") })
  }

  @Test func filesOfJSONParse() throws {
    let fixture = LintFixture([
      "Properties/good.json": "{\"a\": [1, 2.5, null]}", "Properties/bad.json": "{\n\"a\": }", "Ohai/h.json": "",
      "Properties/other.yaml": "{",
    ])
    #expect(
      try fixture.findings([.validateJSON]).map { "\($0.name) \($0.place?.line ?? -1)" } == [
        "json-failed-to-parse 2", "json-failed-to-parse 1",
      ])
  }

  @Test func filesFitTheirSchemas() throws {
    let fixture = LintFixture([
      "Metadata/groups.xml":
        "<Groups xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='more/*.xml'/><xi:include href='none.xml'/></Groups>",
      "Metadata/more/one.xml": "<Groups>\n<Group name='a' porfile='true'/>\n</Groups>",
      "Metadata/clients.xml": "<Clients>",
      "Bundler/good.xml": "<Bundle><Group name='g'><Path name='/a'/></Group></Bundle>",
      "Bundler/template.xml":
        "<Bundle xmlns:py='http://genshi.edgewall.org/'>${f()}<py:if test='x'><Path name='/${a}'/></py:if></Bundle>",
      "Bundler/bad.xml": "<Bundle>\n<Nonsense/>\n<Path nam='x'/>\n</Bundle>",
      "Cfg/a/b/info.xml": "<FileInfo><Info owner='root' nonsense='1'/></FileInfo>",
      "Properties/none.xml": "<Properties/>",
      "Properties/own.xml": "<Properties>\n<B/></Properties>",
      "Properties/own.xsd":
        "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='Properties' type='xs:integer'/></xs:schema>",
    ])
    #expect(
      try fixture.lines([.validate]) == [
        "xinclude-does-not-exist Metadata/groups.xml:1", "xml-failed-to-verify Metadata/more/one.xml:2",
        "xml-failed-to-parse Metadata/clients.xml:1", "xml-failed-to-verify Cfg/a/b/info.xml:1",
        "xml-failed-to-verify Bundler/bad.xml:2", "properties-schema-not-found Properties/none.xml:0",
        "xml-failed-to-verify Properties/own.xml:1",
      ])
    #expect(try fixture.lines([.validate], only: ["Bundler/good.xml", fixture.folder.file("repo/Rules/no.xml")]) == [])
  }

  @Test func schemasThatCannotBeUsedAreNamed() throws {
    let fixture = LintFixture(["Properties/p.xml": "<Properties/>", "Properties/p.xsd": "<nonsense/>"])
    let findings = try fixture.findings([.validate])
    #expect(findings.map(\.name) == ["schema-failed-to-parse"] && findings[0].severity == .warning, "\(findings)")
  }
}
