import Core
import CoreSupport
import EventLoop
import Glibc
import Repository
import Support
import Testing
import XMLRPC

@testable import Plugins

private let compatibility13 = "[server]\ncompatibility = 1.3\n"

@Test func catFilterAppendsAndRemovesLines() {
  let table: [(String, String, String)] = [
    ("alpha\nbeta\ngamma\n", "-beta\n+delta\n", "alpha\ngamma\ndelta\n"), ("\n\nalpha\n\n", "+end", "alpha\nend\n"),
    ("a\na\n", "-a\n-absent\nnoise\n", "a\n"), ("", "+only\n", "\nonly\n"), ("a", "+  spaced", "a\n  spaced\n"),
  ]
  for (text, changes, result) in table {
    #expect(String(decoding: CfgCatFilter.apply(Array(changes.utf8), to: Array(text.utf8)), as: UTF8.self) == result)
  }
}

@Test func filtersAreAppliedWhereTheyAreSpecificEnough() async throws {
  try await LoopDriver.withLoop { loop in
    let diff = "--- a\n+++ b\n@@ -1,3 +1,4 @@\n one\n-two\n+TWO\n three\n+four\n"
    let fixture = try RepositoryFixture(
      cfg: [
        "c/c": "alpha\n", "c/c.cat": "+for all\n", "c/c.G10_web": "web\n", "c/c.G20_web.cat": "+higher\n",
        "d/d": "one\ntwo\nthree\n", "d/d.G10_web.diff": diff, "bad/bad": "nothing alike\n", "bad/bad.diff": diff,
      ], conf: compatibility13, on: loop)
    #expect(await fixture.contents("/c") == "alpha\nfor all\n")
    #expect(await fixture.contents("/c", clientMetadata(groups: ["web"])) == "web\nhigher\n")
    #expect(await fixture.contents("/d") == "one\ntwo\nthree\n")
    #expect(await fixture.contents("/d", clientMetadata(groups: ["web"])) == "one\nTWO\nthree\nfour\n")
    let failure = await fixture.contents("/bad")
    #expect(failure.hasPrefix("failed: Error applying diff \(fixture.repository.path)/Cfg/bad/bad.diff: "))
    #expect(failure.contains("FAILED"))
  }
}

@Test func testScriptsRefuseContents() async throws {
  try await LoopDriver.withLoop { loop in
    let fixture = try RepositoryFixture(cfg: ["v/v": "good\n", "v/v.G10_web": "bad\n", "x/x": "x"], on: loop)
    fixture.edit("Cfg/v/:test", "#!/bin/sh\ngrep good || { echo not good >&2; exit 1; }\n", mode: 0o755)
    fixture.edit("Cfg/x/:test", "no program\n")
    #expect(await fixture.contents("/v") == "good\n")
    #expect(
      await fixture.contents("/v", clientMetadata(groups: ["web"]))
        == "failed: Failed to verify /v for one.example.com: not good")
    #expect(
      await fixture.contents("/x").hasPrefix("failed: Failed to verify /x for one.example.com: Cannot execute "))
    // A script that is not executable is run by the program of its first line.
    fixture.edit("Cfg/x/:test", "#!/bin/sh -e\ntrue\n", mode: 0o644)
    #expect(await fixture.contents("/x") == "x")
    fixture.edit("Cfg/x/:test.G10_web", "#!/bin/sh\nexit 3\n")
    #expect(await fixture.contents("/x", clientMetadata(groups: ["web"])).hasSuffix("Non-zero return value 3"))
    fixture.remove("Cfg/v/:test")
    #expect(await fixture.contents("/v", clientMetadata(groups: ["web"])) == "bad\n")
  }
}

@Test func testScriptsAreLeftAloneWithoutValidation() async throws {
  let fixture = try RepositoryFixture(
    cfg: ["v/v": "text\n", "v/:test": "#!/bin/false\n"], conf: "[cfg]\nvalidation = no\n", on: try Reactor())
  #expect(await fixture.contents("/v") == "text\n")
}

@Test func wordsAreSplitAsAShellDoes() {
  let table: [(String, [String]?)] = [
    ("/bin/sh -e", ["/bin/sh", "-e"]), ("  ", []),
    ("a 'b c' \"d \\\" \\e\" f\\ g ''", ["a", "b c", "d \" \\e", "f g", ""]),
    ("open 'quote", nil), ("end\\", nil),
  ]
  for (text, words) in table { #expect(ShellWords.split(text) == words, "\(text)") }
}

@Test func authorizedKeysAreGatheredFromOtherEntries() async throws {
  let allow = """
    <AuthorizedKeys><Allow from='/k'/><Group name='web'><Allow from='/w'/></Group><Allow> inline </Allow><Allow/>
    <Allow from='/k'><Option name='command' value='/bin/true'/><Option name='no-pty'/></Allow>
    <Allow from='/g' group='linux'/><Allow from='/absent'/><Allow from='/auth'/><Allow from='/empty'/>
    <Allow from='/k' category='none'/></AuthorizedKeys>
    """
  let fixture = try RepositoryFixture(
    cfg: [
      "auth/authorizedkeys.xml": allow, "k/k": "key k\n", "w/w": "key w", "g/g.G10_linux": "key g", "empty/empty": "",
    ],
    on: try Reactor())
  let common = "key k\ninline\ncommand=/bin/true,no-pty key k\nkey g"
  #expect(await fixture.contents("/auth") == common)
  #expect(await fixture.contents("/auth", clientMetadata(groups: ["web"])) == common + "\nkey w")
}

@Test func cryptFilesAreDecrypted() async throws {
  let encryption = Encryption(passphrases: [:])
  let fixture = try RepositoryFixture(cfg: [:], conf: "[encryption]\nmine = sesame\nother = else\n", on: try Reactor())
  try fixture.edit("Cfg/a/a.crypt", bytes: encryption.encrypt(Array("secret\n".utf8), with: "sesame"))
  try fixture.edit("Cfg/a/a.H_two.crypt", bytes: encryption.encrypt(Array("host\n".utf8), with: "else"))
  // A fixed salt: with a random one, 1 in 256 wrong passphrases would seem right.
  let salt: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
  try fixture.edit("Cfg/b/b.crypt", bytes: encryption.encrypt([0xFF], with: "unknown", salt: salt))
  fixture.edit("Cfg/c/c.crypt", "not encrypted")
  #expect(await fixture.contents("/a") == "secret\n")
  #expect(await fixture.contents("/a", clientMetadata("two")) == "host\n")
  for name in ["b", "c"] {
    #expect(await fixture.contents("/\(name)").contains("Failed to decrypt \(fixture.repository.path)/Cfg/\(name)/"))
  }
}

@Test func keyPairIsMadeOnceForAGroup() async throws {
  try await LoopDriver.withLoop { loop in
    let fixture = try RepositoryFixture(
      cfg: [
        "id/privkey.xml": "<PrivateKey category='pool' priority='7'><Params type='ed25519'/></PrivateKey>",
        "id.pub/pubkey.xml": "<PublicKey/>",
      ], conf: "[encryption]\nmine = sesame\n[sshkeys]\npassphrase = mine\n", on: loop)
    let clients = ["one", "two"].map { clientMetadata($0, groups: ["red"], categories: ["pool": "red"]) }
    async let first = fixture.contents("/id", clients[0])
    async let second = fixture.contents("/id", clients[1])
    async let publicKey = fixture.contents("/id.pub", clients[0])
    let (a, b, pub) = await (first, second, publicKey)
    #expect(a.hasPrefix("-----BEGIN OPENSSH PRIVATE KEY-----") && a == b)
    #expect(fixture.repository.names(in: "Cfg/id") == ["id.G07_red.crypt", "privkey.xml"])
    let path = "Cfg/id.pub/id.pub.G07_red"
    #expect(pub.hasPrefix("ssh-ed25519 ") && pub.hasSuffix(" \(fixture.repository.file(path))\n"))
    #expect(try fixture.text("Cfg/id.pub/id.pub.G07_red") == pub)
    #expect(await fixture.contents("/id", clients[1]) == a)
    // A client in no group of the category gets its own key.
    let own = await fixture.contents("/id", clientMetadata("three"))
    #expect(own != a && fixture.repository.names(in: "Cfg/id").contains("id.H_three.crypt"))
    // The public key of a private key that existed before.
    #expect(unlink(fixture.repository.file(path)) == 0)
    fixture.core.fileMonitor.processPending()
    #expect(
      await fixture.contents("/id.pub", clients[0]).hasPrefix(pub.split(separator: " ")[..<2].joined(separator: " ")))
  }
}

@Test func keyThatCannotBeMadeFailsItsEntry() async throws {
  try await LoopDriver.withLoop { loop in
    let fixture = try RepositoryFixture(
      cfg: [
        "id/privkey.xml": "<PrivateKey><Params type='no-such-type'/></PrivateKey>", "x/pubkey.xml": "<PublicKey/>",
        "k/sslkey.xml": "<KeyInfo><Key type='odd'/></KeyInfo>", "none/privkey.xml": "<PrivateKey",
      ], on: loop)
    #expect(
      await fixture.contents("/id").hasPrefix("failed: Cfg: Error creating data for /id: Cfg: Failed to generate"))
    #expect(await fixture.contents("/x").contains("Filename does not end in .pub"))
    #expect(await fixture.contents("/k").contains("unknown type of key odd"))
    #expect(await fixture.contents("/none").contains("has no data"))
  }
}

@Test func certificateIsMadeByTheAuthorityAndVerified() async throws {
  try await LoopDriver.withLoop { loop in
    let authority = try await TestAuthority(on: loop)
    let fixture = try RepositoryFixture(
      cfg: [
        "key/sslkey.xml": "<KeyInfo perhost='true'><Key bits='1024'/></KeyInfo>",
        "crt/sslcert.xml": """
        <CertInfo><subjectAltName>www.example.com</subjectAltName><Cert key='/key' ca='test' C='US' O='Example'/></CertInfo>
        """,
      ], conf: authority.settings, on: loop)
    let certificate = await fixture.contents("/crt")
    #expect(certificate.contains("DNS:www.example.com, DNS:one.example.com"), "\(certificate)")
    #expect(fixture.repository.names(in: "Cfg/crt") == ["crt.H_one.example.com", "sslcert.xml"])
    #expect(fixture.repository.names(in: "Cfg/key") == ["key.H_one.example.com", "sslkey.xml"])
    #expect(await fixture.contents("/crt") == certificate)
    // The certificate does not match another key.
    fixture.remove("Cfg/key/key.H_one.example.com")
    #expect(await fixture.contents("/crt").contains("/crt failed verification against key /key"))
  }
}
