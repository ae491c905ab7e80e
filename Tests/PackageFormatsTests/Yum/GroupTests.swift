import Testing

@testable import PackageFormats

@Suite struct GroupTests {
  @Test(arguments: pieceSizes) func groupsOfCompsAreRead(_ pieces: Int) throws {
    let comps = """
      <?xml version="1.0" encoding="UTF-8"?>
      <!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
      <comps>
        <group>
          <id>base</id>
          <name>Base</name>
          <name xml:lang="de">Grundlage</name>
          <description>Words</description>
          <default>false</default>
          <packagelist>
            <packagereq type="mandatory">m</packagereq>
            <packagereq type="default">d</packagereq>
            <packagereq type="optional"> o </packagereq>
            <packagereq type="conditional" requires="m">c</packagereq>
            <packagereq>u</packagereq>
            <packagereq type="odd"></packagereq>
          </packagelist>
        </group>
        <group><name>nameless</name><packagelist><packagereq>x</packagereq></packagelist></group>
        <environment><id>env</id><grouplist><groupid>base</groupid></grouplist></environment>
        <group><id>empty</id></group>
      </comps>
      """
    #expect(
      try yum("<metadata/>", comps: comps, pieces: pieces) == [
        "@base Base", "  mandatory m", "  default d", "  optional o", "  conditional c if m", "  unknown u", "@empty ",
      ])
  }

  @Test func whatIsNoCompsIsNamed() {
    #expect(
      errorText { _ = try yum("<metadata/>", comps: "<groups/>") }
        == "comps.xml:1: the root element is no <comps> of groups")
  }

  static func package(_ name: String, _ version: String) -> String {
    "<package><name>\(name)</name><arch>x86_64</arch><version epoch='0' ver='\(version)' rel='1'/></package>"
  }

  static let modules = """
    ---
    document: modulemd
    version: 2
    data:
      name: nodejs
      stream: 10
      dependencies:
      - requires: {platform: [el8]}
      artifacts:
        rpms:
        - nodejs-0:10-1.x86_64
        - npm-0:10-1.x86_64
        - shared-0:1-1.x86_64
    ...
    ---
    document: modulemd
    version: 2
    data:
      name: "nodejs"
      stream: "12"
      artifacts:
        rpms: [nodejs-0:12-1.x86_64, shared-0:1-1.x86_64]
    ---
    document: modulemd
    data:
      name: perl
      stream: 5
      artifacts: {rpms: [perl-0:5-1.x86_64]}
    ---
    document: modulemd-defaults
    version: 1
    data: {module: nodejs, stream: "12", profiles: {12: [common]}}
    ---
    document: modulemd-defaults
    data:
      module: perl
    ...
    """

  @Test(arguments: pieceSizes) func packagesOfOtherStreamsAreHidden(_ pieces: Int) throws {
    let packages = [
      ("nodejs", "10"), ("nodejs", "12"), ("nodejs", "14"), ("npm", "10"), ("shared", "1"), ("perl", "5"),
    ]
    let primary = "<metadata>\(packages.map { Self.package($0.0, $0.1) }.joined())</metadata>"
    #expect(
      try yum(primary, modules: Self.modules, pieces: pieces) == [
        "nodejs 0:10-1 x86_64 hidden", "nodejs 0:12-1 x86_64", "nodejs 0:14-1 x86_64", "npm 0:10-1 x86_64 hidden",
        "shared 0:1-1 x86_64", "perl 0:5-1 x86_64 hidden",
      ])
  }

  @Test(arguments: [
    ("--- [a", "modules.yaml:2: is no YAML: "),
    ("---\na: b\n---\na: [", "modules.yaml:5: is no YAML: "),
    ("--- " + String(repeating: "[", count: 40), "modules.yaml:1: more than 32 nested collections, the limit"),
  ])
  func whatIsWrongIsNamed(_ text: String, _ message: String) {
    let error = errorText { _ = try yum("<metadata/>", modules: text) }
    #expect(error.hasPrefix(message), "\(error)")
  }

  @Test func documentsOfOtherKindsAndAliasesDoNotCount() throws {
    let modules = """
      --- text
      --- [a, {document: modulemd}]
      --- {document: modulemd-obsoletes, data: {module: a, stream: b}}
      --- {document: modulemd, data: {name: &n a, stream: *n, artifacts: {rpms: [[a-0:1-1.x86_64], {b: c}]}}}
      --- {? [a] : b, document: modulemd, data: [{artifacts: {rpms: [a-0:1-1.x86_64]}}]}
      """
    let primary = "<metadata>\(Self.package("a", "1"))</metadata>"
    #expect(try yum(primary, modules: modules) == ["a 0:1-1 x86_64"])
  }
}
