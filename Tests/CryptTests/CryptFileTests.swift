import EventLoop
import Glibc
import Repository
import Support
import Testing

@testable import Crypt

private let passphrases = ["one": "first secret", "two": "an other"]

private func request(
  _ mode: CryptRequest.Mode, _ words: [String: String] = passphrases, format: Encryption.Format = .salted
) -> CryptRequest {
  var request = CryptRequest(
    encryption: Encryption(passphrases: words, format: format), configurationFile: "/etc/bcfg2.conf")
  request.mode = mode
  return request
}

/// Runs the request with a file and returns the file's path in which the result is.
@discardableResult
private func run(_ path: String, _ request: CryptRequest) throws -> (path: String, notices: [CryptNotice]) {
  var file = try CryptFile(path, request)
  let result = try file.run()
  try file.write(result)
  return (result.path, file.notices.filter { if case .detail = $0 { false } else { true } })
}

private func problem(_ path: String, _ request: CryptRequest) -> String? {
  do {
    try run(path, request)
    return nil
  } catch {
    return "\(error)"
  }
}

private func mode(_ path: String) -> UInt32 {
  var status = stat()
  return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
}

@Suite struct CryptFileTests {
  private let folder = TemporaryDirectory()

  @Test(arguments: [Encryption.Format.salted, .sealed])
  func wholeFilesComeBackWithTheirMode(_ format: Encryption.Format) throws {
    // A wrong passphrase that seems to fit gives no UTF-8.
    let plain = Array("a\u{0}\u{1} ü and some more bytes\n".utf8)
    let path = folder.write(plain, to: "key", mode: 0o640)
    var encrypts = request(.encrypt, format: format)
    encrypts.passphrase = "two"
    encrypts.removesSource = true
    #expect(try run(path, encrypts).path == path + ".crypt")
    #expect(access(path, F_OK) != 0 && mode(path + ".crypt") == 0o640)
    #expect(try folder.text("key.crypt").hasPrefix("bcfg2-aead:1:") == (format == .sealed))
    // Any form is decrypted, whatever is written; no passphrase is chosen.
    #expect(try run(path + ".crypt", request(.either)).path == path)
    #expect(try AtomicFile.readFile(path, limitBytes: 100) == plain && mode(path) == 0o640)
    #expect(access(path + ".crypt", F_OK) == 0)
  }

  @Test func filesWithoutAWayAreSkippedAndStay() throws {
    let path = folder.write("text\n", to: "f")
    let conf = "/etc/bcfg2.conf"
    var named = request(.encrypt)
    named.passphrase = "nosuch"
    #expect(problem(path, named) == "Could not find passphrase nosuch in \(conf)")
    #expect(
      problem(path, request(.encrypt))
        == "Multiple passphrases found in \(conf), specify one on the command line with -p")
    #expect(problem(path, request(.either, [:])) == "No passphrases available in \(conf)")
    #expect(problem(folder.file("no"), request(.encrypt)) == "\(folder.file("no")) does not exist, skipping")
    #expect(
      problem(path, request(.decrypt))
        == "Failed to decrypt \(path), skipping: Could not decrypt \(path) with any passphrase")
    let one = ["one": "first secret"]
    let crypted = try run(path, request(.encrypt, one)).path
    #expect(
      problem(crypted, request(.encrypt, one))
        == "Failed to encrypt \(crypted), skipping: Data is already encrypted")
    #expect(
      problem(crypted, request(.decrypt, ["one": "wrong"]))
        == "Failed to decrypt \(crypted), skipping: Could not decrypt \(crypted) with the specified passphrase")
    #expect(folder.names() == ["f", "f.crypt"])
  }

  /// Only the link would go, and the plain file would stay.
  @Test func aLinkIsNotRemoved() throws {
    let plain = folder.write("text\n", to: "plain")
    let link = folder.file("link")
    symlink(plain, link)
    var encrypts = request(.encrypt, ["one": "first secret"])
    encrypts.removesSource = true
    #expect(
      problem(link, encrypts)
        == "\(link) is a symbolic link, skipping: --remove would leave the plain file that it leads to; name that file")
    #expect(folder.names() == ["link", "plain"])
    encrypts.removesSource = false
    #expect(try run(link, encrypts).path == link + ".crypt")
  }

  private let properties = """
    <?xml version="1.0" encoding="UTF-8"?>
    <!-- Passwords. -->
    <Properties>
      <A encrypted="one">plain a</A>
      <Group name="web"><B encrypted="two">b &lt;ü&gt;</B></Group>
      <C>never</C><D encrypted="one"/>
    </Properties>

    """

  @Test(arguments: [Encryption.Format.salted, .sealed])
  func elementsComeBackAndAllElseStays(_ format: Encryption.Format) throws {
    let path = folder.write(properties, to: "p.xml", mode: 0o600)
    try run(path, request(.encrypt, format: format))
    let crypted = try folder.text("p.xml")
    #expect(!crypted.contains("plain a") && crypted.contains("<C>never</C><D encrypted=\"one\"/>"))
    #expect(crypted.hasPrefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- Passwords. -->\n<Properties>\n  <A "))
    try run(path, request(.either))
    #expect(try folder.text("p.xml") == properties && mode(path) == 0o600)
  }

  /// An edit that is saved between reading and removing is not lost.
  @Test func aFileThatChangedMeanwhileIsNotRemoved() throws {
    let path = folder.write("old\n", to: "f")
    var encrypts = request(.encrypt)
    encrypts.passphrase = "one"
    encrypts.removesSource = true
    var file = try CryptFile(path, encrypts)
    let result = try file.run()
    folder.write("new\n", to: "f")
    do {
      try file.write(result)
      Issue.record("it was removed")
    } catch {
      #expect(
        "\(error)" == "\(path) was changed while it was encrypted, and stays: \(path).crypt has what it was before")
    }
    #expect(try folder.text("f") == "new\n")
    try run(path + ".crypt", request(.decrypt))
    #expect(try folder.text("f") == "old\n")
  }

  /// The text of an entity that is not read would be missing in what is encrypted.
  @Test(arguments: [
    "<!DOCTYPE Properties SYSTEM \"p.dtd\">", "<!DOCTYPE Properties [<!ENTITY e SYSTEM \"file:///etc/hostname\">]>",
  ])
  func referencesThatAreNotReadAreRefused(_ declaration: String) throws {
    let text = "\(declaration)\n<Properties>\n <A encrypted='one'>a&e;b</A>\n</Properties>\n"
    let path = folder.write(text, to: "e.xml")
    let problem = problem(path, request(.encrypt))
    #expect(
      problem?.contains("\(path):3: in or below element A: the entity e is not in this file") == true,
      "\(problem ?? "")")
    #expect(try folder.text("e.xml") == text)
    let inner = folder.write(
      "<!DOCTYPE Properties [<!ENTITY e 'in'>]>\n<Properties><A encrypted='one'>a&e;b</A></Properties>\n", to: "i.xml")
    try run(inner, request(.encrypt))
    try run(inner, request(.decrypt))
    #expect(try folder.text("i.xml").contains("<A encrypted=\"one\">ainb</A>"))
  }

  @Test func expressionsAreBounded() throws {
    let path = folder.write(
      "<Properties>\(String(repeating: "<A>a</A>", count: 2000))</Properties>\n", to: "many.xml")
    var encrypts = request(.encrypt)
    encrypts.passphrase = "one"
    encrypts.xpath = "//A[preceding::*[preceding::*[following::*]]]"
    #expect(problem(path, encrypts)?.hasSuffix(" takes more than 50000000 steps in this file") == true)
    encrypts.xpath = String(repeating: "(", count: 20000) + "//A" + String(repeating: ")", count: 20000)
    #expect(problem(path, encrypts)?.hasSuffix(" is nested too deeply") == true)
  }

  @Test func elementsAreChosen() throws {
    let path = folder.write("<Properties>\n <A key='1'>a</A>\n <B>b</B> </Properties>\n", to: "x.xml")
    var encrypts = request(.encrypt)
    encrypts.passphrase = "one"
    encrypts.xpath = "//*[@key]"
    try run(path, encrypts)
    #expect(try folder.text("x.xml").contains("<B>b</B> </Properties>"))
    #expect(try folder.text("x.xml").contains("<A key=\"1\" encrypted=\"one\">U2FsdGVkX1"))
    encrypts.xpath = "//Nothing"
    #expect(try run(path, encrypts).notices == [.warning("XPath expression //Nothing matched no elements")])
    encrypts.xpath = "//["
    #expect(problem(path, encrypts)?.hasSuffix("//[ is not an XPath expression") == true)
    encrypts.xpath = "count(//A)"
    #expect(problem(path, encrypts)?.hasSuffix("count(//A) selects no elements") == true)
    encrypts.xpath = "//*"
    encrypts.confirm = { $0 == "<B>b</B>" }
    try run(path, encrypts)
    #expect(try folder.text("x.xml").contains("<B encrypted=\"one\">"))
  }

  @Test func whatIsEncryptedIsNotEncryptedAgain() throws {
    let path = folder.write("<Properties><A encrypted='one'>a</A></Properties>\n", to: "p.xml")
    try run(path, request(.encrypt))
    let once = try folder.text("p.xml")
    #expect(
      problem(path, request(.encrypt))
        == "Failed to encrypt \(path), skipping: Element is already encrypted: "
        + "<A encrypted=\"one\">...</A> (line 1)")
    folder.write(once.replacing("</Properties>", with: "<B encrypted='two'>b</B></Properties>"), to: "p.xml")
    try run(path, request(.encrypt))
    let both = try folder.text("p.xml")
    #expect(both.contains(once.dropLast("</Properties>\n".count).dropFirst("<Properties>".count)))
    #expect(!both.contains(">b<"))
  }

  @Test func elementsOfUnknownPassphrasesStay() throws {
    let path = folder.write("<Properties><A encrypted='gone'>a</A><B encrypted='one'>b</B></Properties>\n", to: "p.xml")
    #expect(
      problem(path, request(.encrypt))?.hasSuffix(
        "There is no passphrase gone in /etc/bcfg2.conf: <A encrypted=\"gone\">...</A> (line 1)") == true)
    // The only passphrase is taken for it, with a warning, as in Bcfg2.
    let one = ["one": "first secret"]
    #expect(try run(path, request(.encrypt, one)).notices.count == 1)
    #expect(try folder.text("p.xml").contains("<A encrypted=\"one\">"))
    #expect(
      problem(path, request(.decrypt, ["one": "wrong"]))
        == "Failed to decrypt \(path), skipping: Failed to decrypt any data in \(path)")
  }

  @Test func kindsAreToldByContentsAndCanBeForced() throws {
    let one = ["one": "first secret"]
    let other = folder.write("<Rules><A>a</A></Rules>\n", to: "r.xml")
    #expect(try run(other, request(.encrypt, one)).path == other + ".crypt")
    var forced = request(.encrypt, one)
    forced.kind = .properties
    #expect(try run(other, forced).path == other)
    #expect(try folder.text("r.xml").contains("<A encrypted=\"one\">"))
    let broken = folder.write("<Properties><A>", to: "b.xml")
    #expect(problem(broken, request(.encrypt, one))?.hasSuffix("use --cfg to take the file for a whole one") == true)
    #expect(access(broken + ".crypt", F_OK) != 0)
    var whole = request(.encrypt, one)
    whole.kind = .cfg
    #expect(try run(broken, whole).path == broken + ".crypt")
    #expect(problem(broken, forced)?.contains("b.xml:1: ") == true)
    let properties = folder.write("<Properties><A>a</A></Properties>", to: "p.xml")
    forced.kind = .cfg
    forced.xpath = "//A"
    let forcedRun = try run(properties, forced)
    #expect(forcedRun.path == properties + ".crypt")
    #expect(forcedRun.notices.first == .error("Specifying --xpath with --cfg is nonsensical, ignoring --xpath"))
  }

  @Test func linksAreNotWrittenThrough() throws {
    let one = ["one": "first secret"]
    let path = folder.write("text\n", to: "s")
    var encrypts = request(.encrypt, one)
    encrypts.removesSource = true
    #expect(symlink("s", path + ".crypt") == 0)
    #expect(
      problem(path, encrypts)
        == "\(path).crypt is a symbolic link, skipping \(path): name the file that it leads to")
    #expect(try folder.text("s") == "text\n")
    #expect(unlink(path + ".crypt") == 0 && symlink("nosuch", path + ".crypt") == 0)
    #expect(problem(path, encrypts)?.contains("is a symbolic link") == true && access(folder.file("nosuch"), F_OK) != 0)
    #expect(unlink(path + ".crypt") == 0 && link(path, path + ".crypt") == 0)
    #expect(problem(path, encrypts) == "\(path).crypt is the same file as \(path), skipping")
    #expect(try folder.text("s") == "text\n")
    // Nor in place.
    let properties = folder.write("<Properties><A>a</A></Properties>", to: "p.xml")
    #expect(symlink("p.xml", folder.file("l.xml")) == 0)
    #expect(problem(folder.file("l.xml"), encrypts)?.contains("l.xml is a symbolic link") == true)
    #expect(try AtomicFile.readFile(properties, limitBytes: 100) == Array("<Properties><A>a</A></Properties>".utf8))
  }

  @Test func aWriteThatFollowsNoLinkRefusesOne() throws {
    let path = folder.write("text\n", to: "s")
    #expect(symlink("s", folder.file("l")) == 0)
    let (_, version, mode) = try AtomicFile.readSource(path, limitBytes: 100)
    let write = FileWrite([1], to: folder.file("l"), replacing: version, mode: mode, followsLinks: false)
    #expect(throws: FileWriteError.self) { try AtomicFile.write(write) }
    #expect(try folder.text("s") == "text\n")
  }
}
