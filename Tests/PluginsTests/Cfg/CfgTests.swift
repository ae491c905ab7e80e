import Core
import CoreSupport
import EventLoop
import Formats
import Glibc
import Repository
import ServerSettings
import Support
import Templates
import Testing
import XMLRPC

@testable import Plugins

@Test func nameOfACfgFileSaysWhatItIs() {
  let table: [(String, CfgFileName, CfgFileName?)] = [
    // Name, kind with 1.4, and kind with 1.3 if it differs.
    ("motd", .plain(.all), nil),
    ("motd.H_a.example.com", .plain(.host("a.example.com")), nil),
    ("motd.G07_web", .plain(.group("web", priority: 7)), nil),
    ("motd.G100_a.b", .plain(.group("a.b", priority: 100)), nil),
    ("motd.G99999999999999999999_web", .plain(.group("web", priority: .max)), nil),
    ("motd.G10_", .unknown, nil), ("motd.H_", .unknown, nil), ("motd.G_web", .unknown, nil),
    ("motd.H_a b", .unknown, nil), ("motd~", .unknown, nil), ("motdx", .unknown, nil), ("other", .unknown, nil),
    ("motd.crypt", .encrypted(.all), nil),
    ("motd.H_a.crypt", .encrypted(.host("a")), nil),
    ("motd.genshi", .template(.all, kind: .genshi, isEncrypted: false), nil),
    ("motd.G10_web.crypt.cheetah", .template(.group("web", priority: 10), kind: .cheetah, isEncrypted: true), nil),
    ("motd.jinja2.crypt", .template(.all, kind: .jinja2, isEncrypted: true), .unknown),
    ("part.genshi_include", .ignored, nil),
    ("info.xml", .infoXML, nil),
    (":test", .test(.all), nil), (":test.G10_web", .test(.group("web", priority: 10)), nil),
    ("authorizedkeys.xml", .authorizedKeys, nil), ("authorized_keys.xml", .authorizedKeys, nil),
    ("privkey.xml", .privateKey, nil), ("pubkey.xml", .publicKey, nil),
    ("sslkey.xml", .sslKey, .unknown), ("sslcert.xml", .sslCertificate, .unknown),
    (":info", .unknown, .legacyInfo), ("info", .unknown, .legacyInfo),
    ("motd.cat", .unknown, .cat(.all)), ("motd.H_a.diff", .plain(.host("a.diff")), .diff(.host("a"))),
  ]
  for (name, kind, old) in table {
    #expect(CfgFileName(name, base: "motd", handlers: CfgHandler.all(.v1_4)) == kind, "\(name)")
    #expect(CfgFileName(name, base: "motd", handlers: CfgHandler.all(.v1_3)) == old ?? kind, "\(name)")
  }
  #expect(CfgFileName("info", base: "info", handlers: CfgHandler.all(.v1_4)) == .plain(.all))
  #expect(CfgFileName("x.genshi", base: "x.genshi", handlers: CfgHandler.all(.v1_4)) == .plain(.all))
}

@Test func mostSpecificFileWins() async throws {
  let fixture = try RepositoryFixture(
    cfg: [
      "etc/motd/motd": "all", "etc/motd/motd.G10_linux": "linux", "etc/motd/motd.G9_base": "base",
      "etc/motd/motd.G50_web": "web", "etc/motd/motd.H_one.example.com": "host", "etc/none/none.H_two": "two",
      "etc/tie/tie.G10_b": "b", "etc/tie/tie.G10_a": "a",
    ], on: try Reactor())
  let table: [(ClientMetadata, String)] = [
    (clientMetadata(), "host"), (clientMetadata("two"), "all"), (clientMetadata("two", groups: ["base"]), "base"),
    (clientMetadata("two", groups: ["base", "linux"]), "linux"),
    (clientMetadata("two", groups: ["linux", "web"]), "web"),
  ]
  for (metadata, text) in table { #expect(await fixture.contents("/etc/motd", metadata) == text) }
  #expect(await fixture.contents("/etc/tie", clientMetadata("x", groups: ["a", "b"])) == "a")
  #expect(await fixture.contents("/etc/none").hasPrefix("failed: No matching entries available for"))
  #expect(fixture.cfg.binder(tag: "Path", name: "/etc/absent") == nil)
  #expect(fixture.cfg.binder(tag: "Package", name: "/etc/motd") == nil)
  #expect(fixture.cfg.entryNames(tag: "Path") == ["/etc/motd", "/etc/none", "/etc/tie"])
}

@Test func cfgKnowsWhetherAnEntryHasATemplate() throws {
  let fixture = try RepositoryFixture(cfg: ["etc/motd/motd": "text"], on: try Reactor())
  #expect(!fixture.cfg.hasTemplates)
  fixture.edit("Cfg/etc/motd/motd.G10_web.genshi", "${name}")
  fixture.edit("Cfg/etc/issue/issue.cheetah", "$name")
  #expect(fixture.cfg.hasTemplates)
  fixture.remove("Cfg/etc/motd/motd.G10_web.genshi")
  #expect(fixture.cfg.hasTemplates)
  fixture.remove("Cfg/etc/issue/issue.cheetah")
  #expect(!fixture.cfg.hasTemplates)
  fixture.edit("Cfg/etc/issue/issue.cheetah", "$name")
  #expect(fixture.cfg.hasTemplates)
  // Deleting the whole folder has the same effect.
  #expect(rename(fixture.repository.file("Cfg/etc/issue"), fixture.repository.file("issue.away")) == 0)
  fixture.core.fileMonitor.processPending()
  #expect(!fixture.cfg.hasTemplates)
}

@Test func contentsAreSentAsTextOrBase64OrRefused() async throws {
  let fixture = try RepositoryFixture(
    cfg: ["b/empty/empty": "", "b/markup/markup": "<a> & \r\n ]]>", "b/base/base": "text\n", "b/zero/zero": ""],
    on: try Reactor())
  for folder in ["b/base", "b/zero", "b/nul64"] {
    fixture.edit("Cfg/\(folder)/info.xml", "<FileInfo><Info encoding='base64'/></FileInfo>")
  }
  try fixture.edit("Cfg/b/latin/latin", bytes: [0x63, 0xE9])
  try fixture.edit("Cfg/b/nul/nul", bytes: [0x61, 0x00])
  try fixture.edit("Cfg/b/nul64/nul64", bytes: [0x00, 0x01, 0xFF])
  #expect(await fixture.contents("/b/markup") == "<a> & \r\n ]]>")
  #expect(await fixture.contents("/b/base") == "dGV4dAo=")
  #expect(await fixture.contents("/b/nul64") == "AAH/")
  for name in ["/b/empty", "/b/zero"] {
    let entry = try await fixture.bind(name)
    #expect(entry["empty"] == "true" && entry.text == nil)
  }
  #expect(await fixture.contents("/b/latin") == "failed: Failed to decode /b/latin: byte 1 is not UTF-8")
  #expect(
    await fixture.contents("/b/nul")
      == "failed: Error in specification for /b/nul: byte 1 is a character that XML cannot carry")
}

@Test func equalContentsAreHeldOnce() async throws {
  let fixture = try RepositoryFixture(cfg: ["a/a": "text"], on: try Reactor())
  let entries = [try await fixture.bind("/a"), try await fixture.bind("/a", clientMetadata("two"))]
  guard case .shared(let first) = entries[0].content, case .shared(let second) = entries[1].content else {
    Issue.record("contents are not shared")
    return
  }
  #expect(first === second)
}

@Test func encodingOfTheRepositoryIsDecoded() throws {
  let table: [(String, [UInt8], [UInt8]?)] = [
    ("UTF-8", [0xC3, 0xA9], [0xC3, 0xA9]), ("latin-1", [0xE9, 0x41], [0xC3, 0xA9, 0x41]),
    ("iso8859-15", [0xA4], [0xE2, 0x82, 0xAC]), ("cp1252", [0x80], [0xE2, 0x82, 0xAC]),
    ("ascii", [0xE9], nil), ("no-such-encoding", [0x41], nil),
    ("utf-16le", [0xE9, 0x00], [0xC3, 0xA9]),
    ("iso2022_jp", [0x1B, 0x24, 0x42, 0x46, 0x7C, 0x1B, 0x28, 0x42], Array("日".utf8)),
  ]
  for (name, bytes, text) in table {
    let encoding = TextEncoding(name)
    if let text {
      #expect(try encoding.decode(bytes) == text, "\(name)")
      #expect(try encoding.encode(text) == bytes, "\(name)")
    } else {
      #expect((try? encoding.decode(bytes)) == nil, "\(name)")
    }
  }
  let long = [UInt8](repeating: 0xA4, count: 200_000)
  #expect(try TextEncoding("iso8859-15").decode(long).count == 600_000)
}

@Test func infoXMLSetsAttributesOverTheDefaults() async throws {
  let conf = "[mdata]\nowner = bin\nmode = 0600\n"
  let fixture = try RepositoryFixture(
    cfg: [
      "a/a": "a",
      "a/info.xml": """
      <FileInfo><Group name='web'><Info owner='www'><ACL type='access'/></Info></Group>
      <Client name='two'><Path name='/a'><Info mode='0640' encoding='ascii'/></Path></Client></FileInfo>
      """,
    ], conf: conf, on: try Reactor())
  let web = try await fixture.bind("/a", clientMetadata(groups: ["web"]))
  #expect(web["owner"] == "www" && web["mode"] == "0600" && web["group"] == "root" && web["type"] == "file")
  #expect(web.children.isEmpty)
  let two = try await fixture.bind("/a", clientMetadata("two"))
  #expect(two["owner"] == "bin" && two["mode"] == "0640")
  let failing = Element("Path", ["name": "/a"])
  await #expect(throws: PluginExecutionError.self) { try await fixture.core.bind(failing, clientMetadata()) }
  #expect(failing["owner"] == "bin" && failing["type"] == nil)
}

@Test func oldInfoFilesCountWithCompatibility13Only() async throws {
  let files = [
    "a/a": "a\n", "a/:info": "owner: alice\ngroup:bob  trailing\nmode: 640\nperms: 0600\n  paranoid: false\nmtime: 7\n",
    "b/b": "b\n",
    "b/info.xml":
      "<FileInfo><Info mode='inherit'><ACL/></Info><Info owner='last' mode='inherit'><ACL/></Info></FileInfo>",
  ]
  let old = try RepositoryFixture(cfg: files, conf: "[server]\ncompatibility = 1.3\n", on: try Reactor())
  let a = try await old.bind("/a")
  #expect(a["owner"] == "alice" && a["group"] == "bob" && a["mode"] == "0640" && a["mtime"] == "7")
  #expect(a["paranoid"] == "true")
  old.edit("Cfg/b/b", "b2\n", mode: 0o750)
  let b = try await old.bind("/b")
  #expect(b["mode"] == "0750" && b["owner"] == "last" && b.children.map(\.tag) == ["ACL"])
  let new = try RepositoryFixture(cfg: files, on: try Reactor())
  #expect(try await new.bind("/a")["owner"] == "root")
  #expect(try await new.bind("/b")["mode"] == "inherit")
}

@Test func deepestInfoWinsWithCompatibility13() async throws {
  let info = """
    <FileInfo><Group name='web'><Group name='deep'><Info owner='deep'/></Group><Info owner='web'/></Group>
    <Info owner='all' group='all'/></FileInfo>
    """
  let table: [(NameSet, String)] = [([], "all"), (["web"], "web"), (["web", "deep"], "deep")]
  let old = try RepositoryFixture(
    cfg: ["a/a": "a", "a/info.xml": info], conf: "[server]\ncompatibility = 1.3\n", on: try Reactor())
  let new = try RepositoryFixture(cfg: ["a/a": "a", "a/info.xml": info], on: try Reactor())
  for (groups, owner) in table {
    let entry = try await old.bind("/a", clientMetadata(groups: groups))
    #expect(entry["owner"] == owner && entry["group"] == (owner == "all" ? "all" : "root"))
    // 1.4 uses the first one of the file.
    #expect(try await new.bind("/a", clientMetadata(groups: groups))["owner"] == owner)
  }
}

@Test func editsAreServed() async throws {
  let fixture = try RepositoryFixture(cfg: ["f/one/one": "first\n"], on: try Reactor())
  #expect(await fixture.contents("/f/one") == "first\n")
  fixture.edit("Cfg/f/one/one", "changed\n")
  #expect(await fixture.contents("/f/one") == "changed\n")
  fixture.edit("Cfg/f/one/one.H_one.example.com", "host\n")
  #expect(await fixture.contents("/f/one") == "host\n")
  fixture.remove("Cfg/f/one/one.H_one.example.com")
  #expect(await fixture.contents("/f/one") == "changed\n")
  fixture.edit("Cfg/f/one/info.xml", "<FileInfo><Info mode='0601'/></FileInfo>")
  #expect(try await fixture.bind("/f/one")["mode"] == "0601")
  fixture.edit("Cfg/f/one/info.xml", "<FileInfo><Info mode='0602'")
  #expect(try await fixture.bind("/f/one")["mode"] == "0601")
  fixture.remove("Cfg/f/one/info.xml")
  #expect(try await fixture.bind("/f/one")["mode"] == "644")
  fixture.remove("Cfg/f/one/one")
  #expect(await fixture.contents("/f/one").hasPrefix("failed: No matching entries"))
  fixture.edit("Cfg/f/one/one", "back\n")
  #expect(await fixture.contents("/f/one") == "back\n")
  fixture.remove("Cfg/f/one/one")
  fixture.remove("Cfg/f/one")
  #expect(fixture.cfg.binder(tag: "Path", name: "/f/one") == nil)
  fixture.edit("Cfg/g/two/two", "new\n")
  #expect(await fixture.contents("/g/two") == "new\n")
}

@Test func handlersThatAreNotListedAreNotKnown() async throws {
  let fixture = try RepositoryFixture(
    cfg: [
      "a/a": "a", "a/:test": "no program", "a/a.H_x.genshi": "template",
      "a/info.xml": "<FileInfo><Info mode='0600'/></FileInfo>",
    ],
    conf: "[cfg]\nhandlers = CfgPlaintextGenerator, Bcfg2.Server.Plugins.Cfg.CfgInfoXML, CfgNoSuch\n",
    on: try Reactor())
  #expect(await fixture.contents("/a") == "a")
  #expect(await fixture.contents("/a", clientMetadata("x.genshi")) == "template")
  #expect(try await fixture.bind("/a")["mode"] == "0600")
}

@Test func changedSettingsReadTheFilesAgain() async throws {
  let fixture = try RepositoryFixture(
    cfg: ["a/a": "a\n", "a/a.G10_web.cat": "+b\n", "a/:info": "mode: 0600\n"], on: try Reactor())
  try fixture.edit("Cfg/l/l", bytes: [0xE9])
  #expect(await fixture.contents("/l").hasPrefix("failed: Failed to decode /l"))
  #expect(try await fixture.bind("/a")["mode"] == "644")
  var settings = fixture.core.settings
  settings.encoding = "ISO-8859-1"
  settings.compatibility = .v1_3
  fixture.core.settingsChanged(settings)
  #expect(await fixture.contents("/l") == "é")
  #expect(try await fixture.bind("/a")["mode"] == "0600")
  #expect(await fixture.contents("/a", clientMetadata(groups: ["web"])) == "a\nb\n")
}

@Test func fileOverTheLimitFailsItsEntryAlone() async throws {
  let fixture = try RepositoryFixture(
    cfg: ["a/a": "12345678", "b/b": "123456789"], conf: "[cfg]\nmax_file_size = 8\n", on: try Reactor())
  #expect(await fixture.contents("/a") == "12345678")
  #expect(await fixture.contents("/b").hasSuffix("is larger than the limit of [cfg] max_file_size, 8 bytes"))
  fixture.edit("Cfg/b/b", "short")
  #expect(await fixture.contents("/b") == "short")
}

@Test func pulledVersionBecomesAFile() async throws {
  try await LoopDriver.withLoop { (loop: Reactor) async throws in
    let fixture = try RepositoryFixture(cfg: ["a/a": "plain"], on: loop)
    let entry = Element("Path", ["name": "/a"])
    let choices = try fixture.cfg.acceptChoices(entry, clientMetadata())
    let folder = fixture.repository.file("Cfg/a")
    #expect(choices == ["\(folder)/a", "\(folder)/a.H_one.example.com"])
    entry.text = "pulled\n"
    entry["mode"] = "0600"
    entry["owner"] = "<&>"
    try await fixture.cfg.acceptPullData(specificTo: choices[1], entry)
    let bound = try await fixture.bind("/a")
    #expect(bound.text == "pulled\n" && bound["mode"] == "0600" && bound["owner"] == "<&>")
    #expect(await fixture.contents("/a", clientMetadata("two")) == "plain")
    await #expect(throws: PluginExecutionError.self) {
      try await fixture.cfg.acceptPullData(specificTo: "/etc/passwd", entry)
    }
  }
}

@Test func pulledVersionIsNotWrittenThroughLinks() async throws {
  try await LoopDriver.withLoop { (loop: Reactor) async throws in
    let outside = TemporaryDirectory()
    outside.write("precious", to: "file")
    let fixture = try RepositoryFixture(cfg: ["a/a": "plain", "b/b": "plain"], on: loop)
    let entry = Element("Path", ["name": "/a"])
    let choices = try fixture.cfg.acceptChoices(entry, clientMetadata())
    entry.text = "pulled"
    #expect(symlink(outside.file("file"), choices[1]) == 0)
    await #expect(throws: FileWriteError.self) {
      try await fixture.cfg.acceptPullData(specificTo: choices[1], entry)
    }
    // The folder itself.
    let other = Element("Path", ["name": "/b"])
    let folder = fixture.repository.file("Cfg/b")
    #expect(rename(folder, outside.file("b")) == 0 && symlink(outside.file("b"), folder) == 0)
    other.text = "pulled"
    await #expect(throws: PluginExecutionError.self) {
      try await fixture.cfg.acceptPullData(specificTo: "\(folder)/b", other)
    }
    #expect(try outside.text("file") == "precious" && outside.text("b/b") == "plain")
  }
}

@Test func pulledVersionOfAnEncryptedFileIsNotStored() async throws {
  try await LoopDriver.withLoop { (loop: Reactor) async throws in
    let fixture = try RepositoryFixture(cfg: ["a/a.crypt": "U2FsdGVkX18="], on: loop)
    let entry = Element("Path", ["name": "/a"])
    #expect(try fixture.cfg.acceptChoices(entry, clientMetadata()).count == 2)
    entry.text = "pulled\n"
    #expect(throws: PluginExecutionError.self) { try fixture.cfg.acceptChoices(entry, clientMetadata()) }
    let file = fixture.repository.file("Cfg/a/a")
    await #expect(throws: PluginExecutionError.self) {
      try await fixture.cfg.acceptPullData(specificTo: file, entry)
    }
    #expect(!fileExists(file))
  }
}
