import EventLoop
import Glibc
import PackageFetching
import PackageSources
import Support
import Testing

/// Mirrors, and networks between, that try to have something else accepted, or to see and break what is not theirs.
@Suite struct HostileMirrorTests {
  static let packages = "/debian/dists/stable/main/binary-amd64/Packages.xz"
  static let changed = Mirror.packages + "\nPackage: new\nVersion: 3\nArchitecture: amd64\n"

  private func refresh(_ fixture: CacheFixture, _ source: PackageSource) async throws -> RefreshResult {
    try #require(try await fixture.refresh([source]).first)
  }

  /// What is here is not what the Release names, whatever the server says about it.
  @Test func anUnaskedNotModifiedIsNoFile() async throws {
    let mirror = Mirror()
    let source = mirror.signedSource()
    let fixture = CacheFixture()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    mirror.archive("debian", ["main": Self.changed], sign: "inline")
    mirror.rule(Self.packages, "status", .value("304"))
    let result = try await refresh(fixture, source)
    #expect(!result.isGood)
    #expect(result.problems.joined().contains("answered 304"), "\(result.problems)")
    mirror.noRule(Self.packages)
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba", "new"])
  }

  /// The answer is refused, and the file fetched from its beginning.
  @Test func aLengthBeyondAllNumbersIsRefused() async throws {
    let mirror = Mirror()
    mirror.archive()
    mirror.rule(Self.packages, "truncate", .value("100"))
    let source = mirror.source()
    let fixture = CacheFixture()
    fixture.options.retries = 0
    #expect(try await !refresh(fixture, source).isGood)
    mirror.rule(Self.packages, "length", .value("\(Int.max)"))
    _ = mirror.requests()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    #expect(
      mirror.requests().filter { $0.contains("Packages") } == [
        "206 \(Self.packages) bytes=100-", "200 \(Self.packages)",
      ])
  }

  // MARK: Files of this machine

  /// repomd.xml may name another address, but not files of the server's machine.
  @Test func anotherBaseIsNoLocalFile() async throws {
    let mirror = Mirror()
    let secrets = TemporaryDirectory()
    secrets.write("password = s3cr3t\n", to: "bcfg2.conf")
    mirror.write(
      "yum/7/os/x86_64/repodata/repomd.xml",
      """
      <repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary"><checksum type="none">00</checksum>\
      <location xml:base="file://\(secrets.path)" href="bcfg2.conf"/></data></repomd>
      """)
    let fixture = CacheFixture()
    let result = try await refresh(fixture, mirror.yumSource())
    #expect(!result.isGood)
    #expect(result.problems.joined().contains("file:"), "\(result.problems)")
    for file in Project.allFiles(below: fixture.folder.path) {
      let text = String(decoding: try AtomicFile.readFile(file, limitBytes: 1 << 24), as: UTF8.self)
      #expect(!text.contains("s3cr3t"), "\(file)")
    }
  }

  @Test func aUserWithoutAPasswordIsToldToNobody() async throws {
    let mirror = Mirror()
    mirror.archive()
    for path in ["/debian/dists/stable/InRelease", Self.packages] { mirror.rule(path, "user", .text("t0ken:")) }
    var source = mirror.source()
    source.url = source.url.replacing("http://", with: "http://t0ken@")
    let fixture = CacheFixture()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    source.url = source.url.replacing("t0ken", with: "t0ken1")
    #expect(try await !refresh(fixture, source).isGood)
    #expect(!fixture.log.joined().contains("t0ken"), "\(fixture.log)")
    for file in Project.allFiles(below: fixture.folder.path) { #expect(!file.contains("t0ken")) }
  }

  /// A lock that others could open they could also hold.
  @Test func nobodyElseCanHoldTheLock() throws {
    let fixture = CacheFixture()
    fixture.folder.write("", to: "indexes/lock")
    let path = fixture.folder.file("indexes/lock")
    chmod(path, 0o644)
    let lock = try CacheLock.take(fixture.cache, wait: .zero)
    try withExtendedLifetime(lock) {
      var status = stat()
      try #require(stat(path, &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600)
    }
  }

  // MARK: Downgrades

  nonisolated struct Downgrade: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let problem: String
    let make: @MainActor @Sendable (Mirror) -> Void
  }

  nonisolated static let downgrades: [Downgrade] = [
    Downgrade(testDescription: "an InRelease without signature", problem: "InRelease is not signed") { mirror in
      mirror.archive("debian", ["main": changed], sign: "no")
    },
    Downgrade(testDescription: "a Release without signature", problem: "Release: there is no signature") { mirror in
      mirror.archive("debian", ["main": changed], sign: "no")
      mirror.remove("debian/dists/stable/InRelease")
    },
    Downgrade(testDescription: "no Release", problem: "there is no InRelease and no Release") { mirror in
      mirror.archive("debian", ["main": changed], sign: "no")
      mirror.remove("debian/dists/stable/InRelease")
      mirror.remove("debian/dists/stable/Release")
    },
    Downgrade(testDescription: "a key that is none", problem: "no usable GPGKey") { mirror in
      mirror.archive("debian", ["main": changed], sign: "inline")
      mirror.write("key.asc", "nothing\n")
    },
  ]

  @Test(arguments: downgrades)
  func whatWasSignedStaysSigned(_ row: Downgrade) async throws {
    let mirror = Mirror()
    let source = mirror.signedSource()
    let fixture = CacheFixture()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    row.make(mirror)
    // A refresh that failed forgets nothing.
    for _ in 0..<2 {
      let result = try await refresh(fixture, source)
      #expect(!result.isGood)
      let text = result.problems.joined()
      #expect(text.contains(row.problem) && text.contains("it was signed before"), "\(result.problems)")
      #expect(fixture.names(source) == ["app", "liba"])
    }
  }

  @Test func anOlderReleaseIsRefused() async throws {
    let mirror = Mirror()
    let source = mirror.signedSource()
    mirror.copy("debian", to: "old")
    mirror.order(
      "release",
      [("folder", .text("debian/dists/stable")), ("sign", .text("inline")), ("date", .value("4000000000"))])
    let fixture = CacheFixture()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    mirror.remove("debian")
    mirror.copy("old", to: "debian")
    let result = try await refresh(fixture, source)
    #expect(!result.isGood)
    #expect(result.problems.joined().contains("is older than"), "\(result.problems)")
  }

  // MARK: Keys

  /// Clients get both by one name, as with Bcfg2; that does not make one source's key another's.
  @Test func keysOfOneNameAreNotConfused() async throws {
    let mirror = Mirror()
    mirror.archive("debian", sign: "inline")
    mirror.archive("other")
    mirror.release("other/dists/stable", sign: "inline", by: "stranger")
    mirror.key("debian/key.asc")
    mirror.key("other/key.asc", name: "stranger")
    let source = mirror.source(keys: ["\(mirror.url)/debian/key.asc"])
    let other = mirror.source("other", keys: ["\(mirror.url)/other/key.asc"])
    let fixture = CacheFixture()
    #expect(try await fixture.refresh([source, other]).map(\.isGood) == [true, true], "\(fixture.log)")
    // The key cannot be had, and the file of that name is the other's.
    mirror.rule("/debian/key.asc", "status", .value("500"))
    #expect(try await fixture.refresh([source, other]).map(\.isGood) == [true, true], "\(fixture.log)")
    mirror.release("debian/dists/stable", sign: "inline", by: "stranger")
    let results = try await fixture.refresh([source, other])
    #expect(results.map(\.isGood) == [false, true], "\(fixture.log)")
  }

  /// The server and clients look for it by the name in sources.xml.
  @Test func aKeyKeepsItsName() async throws {
    let mirror = Mirror()
    mirror.archive()
    mirror.key("a%20key.asc")
    let source = mirror.source(keys: ["\(mirror.url)/a key.asc"])
    let fixture = CacheFixture()
    _ = try await refresh(fixture, source)
    #expect(try fixture.folder.text("keys/a key.asc").contains("BEGIN PGP"), "\(fixture.log)")
  }

  @Test func anotherKeyIsTold() async throws {
    let mirror = Mirror()
    let source = mirror.signedSource()
    let fixture = CacheFixture()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    #expect(!fixture.log.contains { $0.contains("another key") })
    mirror.key("key.asc", name: "stranger")
    mirror.release("debian/dists/stable", sign: "inline", by: "stranger")
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    #expect(fixture.log.contains { $0 == "warning: Packages: \(mirror.url)/key.asc has another key than last time" })
  }

  // MARK: Time

  /// A mirror that gives just enough bytes not to be given up holds the cache no longer than the whole refresh may last.
  @Test func aRefreshEnds() async throws {
    let mirror = Mirror()
    mirror.archive()
    mirror.rule(Self.packages, "drip", .value("true"))
    let source = mirror.source()
    let fixture = CacheFixture()
    fixture.options.stallTimeout = .seconds(1000)
    fixture.options.totalTimeout = .milliseconds(300)
    let result = try await refresh(fixture, source)
    #expect(!result.isGood)
    #expect(result.problems.joined().contains("0.3 s are over"), "\(result.problems)")
  }

  // MARK: Messages

  @Test func namesFromAMirrorCannotWriteLinesOfTheirOwn() async throws {
    let mirror = Mirror()
    mirror.write(
      "yum/7/os/x86_64/repodata/repomd.xml",
      """
      <repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary"><checksum type="a&#10;b&#x9b;c">00\
      </checksum><location href="x"/></data></repomd>
      """)
    let fixture = CacheFixture()
    _ = try await refresh(fixture, mirror.yumSource())
    for line in fixture.log { #expect(line.unicodeScalars.allSatisfy { (0x20..<0x7f).contains($0.value) }, "\(line)") }
  }
}
