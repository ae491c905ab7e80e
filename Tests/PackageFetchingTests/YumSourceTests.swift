import EventLoop
import Glibc
import PackageFetching
import PackageSources
import Support
import Testing

@Suite struct YumSourceTests {
  nonisolated static let one = String(repeating: "a1", count: 32)
  nonisolated static let other = String(repeating: "b2", count: 32)
  nonisolated static let primary = """
    <metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="2">
    <package type="rpm"><name>app</name><arch>x86_64</arch><version epoch="0" ver="1" rel="1"/>
    <checksum type="sha256" pkgid="YES">\(one)</checksum>
    <format><rpm:requires><rpm:entry name="/usr/lib/tool"/><rpm:entry name="lib"/></rpm:requires></format></package>
    <package type="rpm"><name>lib</name><arch>noarch</arch><version epoch="0" ver="2" rel="1"/>
    <checksum type="sha256" pkgid="YES">\(other)</checksum><format/></package>
    </metadata>
    """
  nonisolated static let filelists = """
    <filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="2">
    <package pkgid="\(one)" name="app" arch="x86_64"><version epoch="0" ver="1" rel="1"/><file>/usr/bin/app</file></package>
    <package pkgid="\(other)" name="lib" arch="noarch"><version epoch="0" ver="2" rel="1"/><file>/usr/lib/tool</file></package>
    </filelists>
    """
  nonisolated static let groups = """
    <comps><group><id>base</id><name>Base</name><packagelist>
    <packagereq type="mandatory">app</packagereq></packagelist></group></comps>
    """

  private func repository(
    _ mirror: Mirror, _ folder: String = "os", as kind: String = "gz", sign: Bool = false, by: String = "mirror",
    checksum: String = "sha256", primaryType: String = "primary", primary: String = YumSourceTests.primary
  ) {
    func file(_ text: String, _ kind: String) -> String {
      "{\"text\": \(JSONText.quoted(text)), \"as\": \"\(kind)\"}"
    }
    let files = [
      "\"\(primaryType)\": \(file(primary, kind))", "\"filelists\": \(file(Self.filelists, kind))",
      "\"group\": \(file(Self.groups, "plain"))",
    ]
    mirror.order(
      "repository",
      [
        ("folder", .text(folder)), ("files", .value("{\(files.joined(separator: ", "))}")), ("sign", .value("\(sign)")),
        ("by", .text(by)), ("checksum", .text(checksum)),
      ])
  }

  private func source(_ mirror: Mirror, keys: [String] = []) -> PackageSource {
    var source = PackageSource(kind: .yum)
    source.rawURL = "\(mirror.url)/os/"
    source.arches = ["x86_64"]
    source.gpgKeys = keys
    return source
  }

  @Test(arguments: ["gz", "xz", "plain"])
  func aRepositoryIsIndexed(_ kind: String) async throws {
    let mirror = Mirror()
    repository(mirror, as: kind)
    let source = source(mirror)
    let fixture = CacheFixture()
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    let index = try #require(fixture.cache.index(source))
    #expect(index.packageNames == ["app", "lib"])
    #expect(index.groupCount == 1)
    let path = try #require(index.find("/usr/lib/tool"))
    #expect(index.providers(of: path).count == 1)
    // Nothing is new: one request.
    _ = mirror.requests()
    guard case .unchanged = try #require(try await fixture.refresh([source]).first).outcome else {
      Issue.record("\(fixture.log)")
      return
    }
    #expect(mirror.requests() == ["304 /os/repodata/repomd.xml"])
  }

  /// How a repository is broken, and what the problem says.
  nonisolated struct Row: Sendable, CustomTestStringConvertible {
    let name: String
    let message: String
    let breaking: @MainActor @Sendable (YumSourceTests, Mirror) -> Void
    var testDescription: String { name }
  }

  nonisolated static let rows: [Row] = [
    Row(name: "repomd.xml is missing", message: "repomd.xml. HTTP response code=404") { _, mirror in
      mirror.remove("os/repodata/repomd.xml")
    },
    Row(name: "repomd.xml is HTML", message: "repomd.xml: the signature is wrong") { _, mirror in
      mirror.rule("/os/repodata/repomd.xml", "html", .value("true"))
    },
    Row(name: "a file is not that of repomd.xml", message: "repomd.xml gives") { tests, mirror in
      tests.repository(mirror, as: "plain", sign: true, primary: primary.replacing("lib", with: "new"))
      for path in tests.files(mirror) { mirror.edit(path, from: "new", to: "bad") }
    },
    Row(name: "the signature is of another, and was right before", message: "no GPGKey of the source") {
      tests, mirror in
      tests.repository(mirror, sign: true, by: "stranger")
    },
    Row(name: "the signature is wrong", message: "repomd.xml: the signature is wrong") { _, mirror in
      mirror.edit("os/repodata/repomd.xml", from: "<revision>1", to: "<revision>2")
    },
    Row(name: "only zchunk", message: "compressed by zchunk only") { tests, mirror in
      tests.repository(mirror, sign: true, primaryType: "primary_zck")
    },
    Row(name: "primary cannot be parsed", message: "primary.xml") { tests, mirror in
      tests.repository(mirror, as: "plain", sign: true, primary: "<metadata><package>")
    },
  ]

  /// The files of primary, by path below the mirror.
  private func files(_ mirror: Mirror) -> [String] {
    let asked = mirror.order("list", [("folder", .text("os/repodata"))])
    return asked.split(separator: "\"").map(String.init).filter { $0.contains("primary") }.map { "os/repodata/\($0)" }
  }

  @Test(arguments: rows)
  func aBrokenRepositoryKeepsTheLastGoodIndex(_ row: Row) async throws {
    let mirror = Mirror()
    repository(mirror, as: "plain", sign: true)
    mirror.key("key.asc")
    let source = source(mirror, keys: ["\(mirror.url)/key.asc"])
    let fixture = CacheFixture()
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    let good = fixture.index(source)
    row.breaking(self, mirror)
    let result = try #require(try await fixture.refresh([source]).first)
    guard case .kept = result.outcome else {
      Issue.record("\(result.outcome) \(fixture.log)")
      return
    }
    #expect(result.problems.joined().contains(row.message), "\(result.problems)")
    #expect(fixture.index(source) == good)
    mirror.noRule("/os/repodata/repomd.xml")
    repository(mirror, as: "gz", sign: true)
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
  }

  @Test func anOldChecksumIsCheckedAndNamed() async throws {
    let mirror = Mirror()
    repository(mirror, checksum: "sha")
    let fixture = CacheFixture()
    #expect(try await fixture.refresh([source(mirror)]).map(\.isGood) == [true], "\(fixture.log)")
    #expect(fixture.log.contains { $0.hasSuffix("is checked by sha1 only") })
  }

  @Test func signaturesAreRequiredWhereTheOptionSaysSo() async throws {
    let mirror = Mirror()
    repository(mirror)
    mirror.key("key.asc")
    let keys = ["\(mirror.url)/key.asc"]
    let fixture = CacheFixture()
    fixture.options.verification = .required
    let without = try #require(try await fixture.refresh([source(mirror)]).first)
    #expect(without.problems.joined().contains("has no GPGKey"))
    let unsigned = try #require(try await fixture.refresh([source(mirror, keys: keys)]).first)
    #expect(unsigned.problems.joined().contains("there is no signature"))
    repository(mirror, sign: true, by: "stranger")
    let unknown = try #require(try await fixture.refresh([source(mirror, keys: keys)]).first)
    #expect(unknown.problems.joined().contains("no GPGKey of the source is that of the signature"))
    repository(mirror, sign: true)
    #expect(try await fixture.refresh([source(mirror, keys: keys)]).map(\.isGood) == [true], "\(fixture.log)")
  }

  /// Keys of a yum source are those of its packages.
  @Test func aRepositoryMayBeSignedByAnotherKeyThanItsPackages() async throws {
    let mirror = Mirror()
    repository(mirror, sign: true, by: "stranger")
    mirror.key("key.asc")
    let fixture = CacheFixture()
    let source = source(mirror, keys: ["\(mirror.url)/key.asc"])
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    #expect(
      fixture.log.contains { $0.contains("repomd.xml is not checked: no GPGKey of the source") }, "\(fixture.log)")
  }

  /// As Bcfg2 does: a repository without a repomd.xml costs itself alone, one whose files are missing the whole source.
  @Test func oneOfTwoRepositoriesMayBeMissing() async throws {
    let mirror = Mirror()
    repository(mirror, "os/1/base/x86_64")
    var source = source(mirror)
    source.rawURL = ""
    source.url = "\(mirror.url)/os/"
    source.version = "1"
    source.components = ["base", "extras"]
    let fixture = CacheFixture()
    let result = try #require(try await fixture.refresh([source]).first)
    guard case .partial(2, missing: 1) = result.outcome else {
      Issue.record("\(result.outcome) \(fixture.log)")
      return
    }
    #expect(fixture.cache.index(source)?.part(1)?.flags == .isMissing)
    repository(mirror, "os/1/extras/x86_64")
    mirror.remove("os/1/extras/x86_64/repodata")
    mirror.copy("os/1/base/x86_64/repodata/repomd.xml", to: "os/1/extras-repomd.xml")
    mirror.write("os/1/extras/x86_64/repodata/made", "")
    mirror.copy("os/1/extras-repomd.xml", to: "os/1/extras/x86_64/repodata/repomd.xml")
    let other = CacheFixture()
    guard case .failed = try #require(try await other.refresh([source]).first).outcome else {
      Issue.record("\(other.log)")
      return
    }
  }
}
