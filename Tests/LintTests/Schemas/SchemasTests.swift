import EventLoop
import Glibc
import Repository
import Support
import Testing

@testable import Lint

/// The files of `schemas/`.
struct SchemasTests {
  private static let folder = "\(Project.root)/schemas"

  private func problems(_ schema: String, _ text: String) throws -> [String] {
    let document = try #require(SourceDocument(Array(text.utf8), path: "test.xml"))
    return try XMLSchema(path: "\(Self.folder)/\(schema).xsd").problems(in: document).map { "\($0.line)" }
  }

  /// Packages install below /usr, administrators below /usr/local.
  @Test(arguments: ["usr", "usr/local"]) func installedOnesAreFound(_ prefix: String) {
    let root = TemporaryDirectory()
    let schemas = "\(root.path)/\(prefix)/share/bcfg2-swift/schemas"
    #expect(SchemaFolder.standard(beside: "\(root.path)/\(prefix)/sbin/bcfg2-lint").path != schemas)
    root.write("", to: "\(prefix)/share/bcfg2-swift/schemas/common.xsd")
    #expect(SchemaFolder.standard(beside: "\(root.path)/\(prefix)/sbin/bcfg2-lint").path == schemas)
  }

  @Test func allPatternsHaveOne() throws {
    let names = Set(ValidateCheck.patterns.map(\.value))
    #expect(ValidateCheck.patterns.count == 26)
    for name in names { _ = try XMLSchema(path: "\(Self.folder)/\(name).xsd") }
    let files = Set(
      RepositoryPath.glob(Self.folder + "/*.xsd").map { RepositoryPath.name(of: $0).dropLast(4) }.map(String.init))
    #expect(files == names.union(["common", "entries"]))
  }

  /// Documents that the server takes and that say nothing wrong; all roots of the files that the patterns name.
  @Test(arguments: [
    (
      "metadata",
      "<Groups><Group name='a' profile='TRUE'><Bundle name='b'/><Client name='c'/></Group><Groups/></Groups>"
    ),
    (
      "clients",
      "<Clients><Client name='a' profile='b' auth='cert+password'><Alias name='x' address='1'/></Client></Clients>"
    ),
    (
      "info",
      "<FileInfo><Path name='/a' negate='true'><Info mode='0644'><ACL type='access' perms='rx'/></Info></Path></FileInfo>"
    ),
    (
      "privkey",
      "<PrivateKey perhost='true'><Params bits='2048' type='rsa'/><Passphrase encrypted='n'>x</Passphrase></PrivateKey>"
    ),
    ("pubkey", "<PublicKey/>"),
    (
      "authorizedkeys",
      "<AuthorizedKeys><Group name='g'><Allow from='/a' host='h'><Option name='o' value='v'/></Allow></Group><Allow>ssh-rsa AAAA</Allow></AuthorizedKeys>"
    ),
    ("sslca-cert", "<CertInfo><subjectAltName>a</subjectAltName><Cert key='/k' days='3' c='US'/></CertInfo>"),
    ("sslca-key", "<KeyInfo><Group name='g'><Key type='rsa' bits='4096'/></Group></KeyInfo>"),
    (
      "bundle",
      "<Bundle xmlns:py='http://genshi.edgewall.org/'><RequiredBundle name='a' inherit_modification='true'/><py:for each='x in y'><Service name='${x}' restart='${x}'/></py:for><BoundPath name='/a' type='file' owner='root'>text<ACL type='access' scope='user' user='a' perms='rw'/></BoundPath><Bundle><Package group='g'/></Bundle></Bundle>"
    ),
    (
      "pkglist",
      "<PackageList priority='0' type='rpm' uri='http://x'><Package name='a' type='rpm'><Instance arch='x86_64' version='1'><Ignore name='/a'/></Instance></Package><Group name='g'><Package name='a' type='rpm' simplefile='x'/></Group></PackageList>"
    ),
    (
      "rules",
      "<Rules priority='-1'><Client name='c' negate='false'><POSIXUser name='u'><MemberOf>g</MemberOf></POSIXUser></Client><Path name='/a' type='augeas'><Set path='p' value='v'/></Path></Rules>"
    ),
    ("defaults", "<Defaults priority='1'><Service name='.*' type='systemd'/></Defaults>"),
    (
      "deps",
      "<Dependencies priority='0'><Group name='g'><Package name='a'><Package name='b'/><Service name='s'/></Package></Group></Dependencies>"
    ),
    ("decisions", "<Decisions><Group name='g'><Decision type='Path' name='*'/></Group></Decisions>"),
    (
      "packages",
      "<Sources><Group name='g'><Source type='apt' url='http://x/' version='v' debsrc='true'><Component>main</Component><Arch>amd64</Arch><Blacklist>a</Blacklist><Options trusted='yes'/></Source></Group></Sources>"
    ),
    (
      "grouppatterns",
      "<GroupPatterns><GroupPattern><NameRange>a[[1-3]]</NameRange><Group>g</Group></GroupPattern></GroupPatterns>"
    ),
    ("awstags", "<AWSTags><Tag name='^a$' value='b'><Group>g</Group></Tag></AWSTags>"),
    ("nagiosgen", "<NagiosGen><Group name='g'><Option name='use'>x</Option></Group></NagiosGen>"),
    ("fileprobes", "<FileProbes><Client name='c'><FileProbe name='/etc/x' update='true'/></Client></FileProbes>"),
    ("grouplogic", "<GroupLogic><Group name='a'><Group name='b' category='c'/></Group></GroupLogic>"),
    (
      "report-configuration",
      "<Reports><Report name='r'><Delivery mechanism='mail'><Destination address='a'/></Delivery><Machine name='.*'/></Report></Reports>"
    ),
  ])
  func goodDocumentsFit(_ schema: String, _ text: String) throws {
    #expect(try problems(schema, text) == [])
    // None fits another root element.
    #expect(try problems(schema, "<Nonsense/>") == ["1"])
  }

  @Test(arguments: [
    ("bundle", "<Bundle>\n<Nonsense/></Bundle>"), ("bundle", "<Bundle>\n<Group><Path name='/a'/></Group></Bundle>"),
    ("bundle", "<Bundle>\n<Action name='a' timing='never'/></Bundle>"),
    ("rules", "<Rules priority='1'>\n<BoundPath name='/a'/></Rules>"),
    ("metadata", "<Groups>\n<Group name='a' profile='yes'/></Groups>"),
    ("clients", "<Clients>\n<Client profile='a'/></Clients>"),
    ("clients", "<Clients>\n<Client name='a' profile='b' location='here'/></Clients>"),
    ("info", "<FileInfo>\n<Info ownr='root'/></FileInfo>"),
    ("packages", "<Sources>\n<Source type='apt'><Comp>main</Comp></Source></Sources>"),
    ("decisions", "<Decisions>\n<Decision type='Path'/></Decisions>"),
    // What Bcfg2's schemas ask for.
    ("rules", "\n<Rules/>"), ("defaults", "\n<Defaults/>"), ("pkglist", "\n<PackageList/>"),
    ("clients", "<Clients>\n<Client name='a'/></Clients>"),
    ("rules", "<Rules priority='1'>\n<Package name='a'/></Rules>"),
    ("rules", "<Rules priority='1'>\n<Package name='a' type='nosuch'/></Rules>"),
    ("rules", "<Rules priority='1'>\n<Path name='/a' type='nosuch'/></Rules>"),
    ("rules", "<Rules priority='1'>\n<Path name='/a' type='file' mode='rwx'/></Rules>"),
    ("rules", "<Rules priority='1'>\n<Path type='file'/></Rules>"),
    ("rules", "<Rules priority='1'>\n<Service name='a' type='nosuch'/></Rules>"),
    ("rules", "<Rules priority='1'>\n<Service name='a' status='maybe'/></Rules>"),
    ("rules", "<Rules priority='1'>\n<Action name='a'/></Rules>"),
    ("rules", "<Rules priority='1'>\n<POSIXUser name='a' uid='x'/></Rules>"),
    ("rules", "<Rules priority='1'>\n<SEBoolean name='a'/></Rules>"),
    ("rules", "<Rules priority='1'>\n<SEUser name='a' roles='r'/></Rules>"),
    ("bundle", "<Bundle>\n<BoundPackage name='a'/></Bundle>"),
    ("bundle", "<Bundle>\n<Path name='/a' type='file'/></Bundle>"),
    ("bundle", "<Bundle>\n<Package name='a' version='1'/></Bundle>"),
    ("info", "<FileInfo><Info>\n<ACL type='access'/></Info></FileInfo>"),
    ("packages", "<Sources>\n<Source url='http://x/'/></Sources>"),
    ("packages", "<Sources>\n<Source type='zypper'/></Sources>"),
    ("sslca-cert", "<CertInfo>\n<Cert key='/k' days='many'/></CertInfo>"),
    ("sslca-key", "<KeyInfo>\n<Key bits='many'/></KeyInfo>"),
  ])
  func mistakesDoNot(_ schema: String, _ text: String) throws {
    #expect(try problems(schema, text) == ["2"])
  }

  @Test func linesBeyondSixteenBitsAreKept() throws {
    let text = "<Bundle>" + String(repeating: "\n", count: 70_000) + "<Nonsense/></Bundle>"
    #expect(try problems("bundle", text) == ["70001"])
  }

  private static func schema(_ head: String = "", _ body: String) -> String {
    """
    \(head)<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">\(body)</xs:schema>
    """
  }

  /// A schema of a repository reads what is in its folder, and nothing else.
  @Test func aSchemaNamesOnlyFilesOfItsFolder() throws {
    let folder = TemporaryDirectory()
    let part = Self.schema("", #"<xs:element name="A" type="xs:string"/>"#)
    folder.write(part, to: "Properties/parts/a b.xsd")
    folder.write(part, to: "outside.xsd")
    symlink(folder.file("outside.xsd"), folder.file("Properties/link.xsd"))
    func includes(_ location: String) -> XMLSchema? {
      folder.write(Self.schema("", #"<xs:include schemaLocation="\#(location)"/>"#), to: "Properties/x.xsd")
      return try? XMLSchema(path: folder.file("Properties/x.xsd"))
    }
    #expect(includes("parts/a%20b.xsd") != nil)
    for location in ["../outside.xsd", folder.file("outside.xsd"), "file://\(folder.file("outside.xsd"))", "link.xsd"] {
      #expect(includes(location) == nil, "\(location)")
    }
    // An entity of a file outside would make this a schema with an element A.
    folder.write(#"<xs:element xmlns:xs="http://www.w3.org/2001/XMLSchema" name="A" type="xs:string"/>"#, to: "entity")
    folder.write(
      Self.schema("<!DOCTYPE x [<!ENTITY e SYSTEM '\(folder.file("entity"))'>]>", "&e;"), to: "Properties/e.xsd")
    let document = try #require(SourceDocument(Array("<A/>".utf8), path: "a.xml"))
    #expect((try? XMLSchema(path: folder.file("Properties/e.xsd")))?.problems(in: document).isEmpty != true)
  }
}
