import EventLoop
import Glibc
import PackageFetching
import PackageSources
import Support
import Testing

@Suite struct AptSourceTests {
  static let folder = "debian/dists/stable/main/binary-amd64"

  private func refresh(_ fixture: CacheFixture, _ source: PackageSource) async throws -> RefreshResult {
    try #require(try await fixture.refresh([source]).first)
  }

  @Test func withoutAReleaseOnlyPackagesGzIsRead() async throws {
    let mirror = Mirror()
    mirror.write("\(Self.folder)/Packages.gz", Mirror.packages, as: "gz")
    let fixture = CacheFixture()
    let source = mirror.source()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    #expect(
      mirror.requests() == [
        "404 /debian/dists/stable/InRelease", "404 /debian/dists/stable/Release", "200 /\(Self.folder)/Packages.gz",
      ])
    #expect(fixture.names(source) == ["app", "liba"])
    // The same again is not made again.
    guard case .unchanged = try await refresh(fixture, source).outcome else {
      Issue.record("\(fixture.log)")
      return
    }
  }

  @Test(arguments: ["gz", "bz2", "plain"])
  func otherCompressionsAreRead(_ kind: String) async throws {
    let mirror = Mirror()
    mirror.write("\(Self.folder)/Packages\(kind == "plain" ? "" : "." + kind)", Mirror.packages, as: kind)
    mirror.release("debian/dists/stable")
    let fixture = CacheFixture()
    let source = mirror.source()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba"])
  }

  @Test func aFileThatTheReleaseNamesNeedNotBeThere() async throws {
    let mirror = Mirror()
    mirror.archive()
    mirror.remove("\(Self.folder)/Packages.xz")
    let fixture = CacheFixture()
    let source = mirror.source()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba"])
  }

  @Test func filesAreFoundByTheirHash() async throws {
    let mirror = Mirror()
    mirror.archive(byHash: true)
    for kind in ["gz", "xz"] { mirror.remove("\(Self.folder)/Packages.\(kind)") }
    let fixture = CacheFixture()
    #expect(try await refresh(fixture, mirror.source()).isGood, "\(fixture.log)")
    let asked = mirror.requests()
    #expect(asked.count == 2 && asked[1].hasPrefix("200 /\(Self.folder)/by-hash/SHA256/"), "\(asked)")
  }

  @Test func withoutTheHashTheOrdinaryNameIsTaken() async throws {
    let mirror = Mirror()
    mirror.archive(byHash: true)
    mirror.remove("\(Self.folder)/by-hash")
    let fixture = CacheFixture()
    #expect(try await refresh(fixture, mirror.source()).isGood, "\(fixture.log)")
  }

  @Test func aMirrorThatChangesMeanwhileIsAskedOnceMore() async throws {
    let mirror = Mirror()
    mirror.archive()
    mirror.copy("debian", to: "later/debian")
    mirror.archive("later/debian", ["main": Mirror.packages + "\nPackage: new\nVersion: 2\nArchitecture: amd64\n"])
    // After the first InRelease the mirror is another.
    mirror.rule("/debian/dists/stable/InRelease", "afterwards", .text("later"))
    let fixture = CacheFixture()
    let source = mirror.source()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba", "new"])
    #expect(mirror.requests().filter { $0.hasSuffix("InRelease") }.count == 2)
  }

  // MARK: Parts

  @Test func aMissingComponentFailsTheWholeSource() async throws {
    let mirror = Mirror()
    mirror.archive()
    let fixture = CacheFixture()
    let source = mirror.source(components: ["main", "other"])
    let result = try await refresh(fixture, source)
    guard case .failed = result.outcome else {
      Issue.record("\(result.outcome)")
      return
    }
    #expect(result.problems == ["\(mirror.url)/debian/dists/stable/InRelease has no other/binary-amd64/Packages"])
    #expect(fixture.index(source) == nil)
  }

  @Test func aMissingComponentCostsItselfWhereThatIsWanted() async throws {
    let mirror = Mirror()
    mirror.archive()
    let fixture = CacheFixture()
    fixture.acceptsMissingParts = true
    let source = mirror.source(components: ["other", "main"])
    let result = try await refresh(fixture, source)
    guard case .partial(2, missing: 1) = result.outcome else {
      Issue.record("\(result.outcome)")
      return
    }
    let index = try #require(fixture.cache.index(source))
    #expect(index.part(0)?.flags == .isMissing)
    #expect(index.part(1)?.flags == [])
    #expect(index.packageNames == ["app", "liba"])
    #expect(fixture.log.contains { $0.hasSuffix("is without 1 of its parts. Some Packages will be missing") })
  }

  @Test func aPartThatFailsStaysAsItWas() async throws {
    let mirror = Mirror()
    mirror.archive("debian", ["main": Mirror.packages, "other": "Package: old\nVersion: 1\nArchitecture: amd64\n"])
    let fixture = CacheFixture()
    let source = mirror.source(components: ["main", "other"])
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    mirror.archive(
      "debian",
      [
        "main": Mirror.packages + "\nPackage: new\nVersion: 2\nArchitecture: amd64\n",
        "other": "Package: changed\nVersion: 1\nArchitecture: amd64\n",
      ])
    mirror.rule("/debian/dists/stable/other/binary-amd64/Packages.xz", "status", .value("503"))
    let result = try await refresh(fixture, source)
    guard case .kept = result.outcome else {
      Issue.record("\(result.outcome)")
      return
    }
    let index = try #require(fixture.cache.index(source))
    #expect(index.packageNames == ["app", "liba", "new", "old"])
    #expect(index.part(0)?.flags == [])
    #expect(index.part(1)?.flags == .isKept)
    // The same once more changes nothing; repaired, all is new.
    let bytes = fixture.index(source)
    _ = try await refresh(fixture, source)
    #expect(fixture.index(source) == bytes)
    mirror.noRule("/debian/dists/stable/other/binary-amd64/Packages.xz")
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba", "new", "changed"])
  }

  @Test func aMistypedComponentIsAnsweredWithThoseOfTheRelease() async throws {
    let mirror = Mirror()
    let file = "\(String(repeating: "0", count: 64)) 1 main/binary-amd64/Packages.xz"
    mirror.write("debian/dists/stable/Release", "Components: main contrib\nArchitectures: amd64\nSHA256:\n \(file)\n")
    let result = try await refresh(CacheFixture(), mirror.source(components: ["maim"]))
    #expect(
      result.problems == [
        "\(mirror.url)/debian/dists/stable/Release has no maim/binary-amd64/Packages; its components are main contrib; "
          + "its architectures are amd64"
      ])
  }

  @Test func aMistypedVersionIsSaidToHaveNoRelease() async throws {
    let mirror = Mirror()
    let result = try await refresh(CacheFixture(), mirror.source())
    #expect(
      result.problems.first?.hasSuffix("\(mirror.url)/debian/dists/stable/ has no InRelease and no Release either")
        == true,
      "\(result.problems)")
  }

  @Test func withoutAnyOfItsKeysASignatureIsSaidNotToBeChecked() async throws {
    let mirror = Mirror()
    mirror.archive(sign: "inline")
    let fixture = CacheFixture()
    let result = try await refresh(fixture, mirror.source(keys: ["\(mirror.url)/none.asc"]))
    #expect(result.isGood)
    #expect(
      fixture.log.contains {
        $0.hasPrefix("warning: Packages: the signature of \(mirror.url)/debian/dists/stable/InRelease is not checked: ")
      }, "\(fixture.log)")
  }

  @Test func aSuiteWithUpdatesInItsNameHasShortComponents() async throws {
    let mirror = Mirror()
    mirror.write("debian/dists/stable/updates/main/binary-amd64/Packages.xz", Mirror.packages, as: "xz")
    mirror.release("debian/dists/stable/updates")
    var source = mirror.source(components: ["updates/main"])
    source.version = "stable/updates"
    let fixture = CacheFixture()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
  }

  // MARK: rawurl

  @Test func aRawURLHasPackagesBesideItsRelease() async throws {
    let mirror = Mirror()
    mirror.write("flat/Packages.gz", Mirror.packages, as: "gz")
    mirror.release("flat")
    var source = PackageSource(kind: .apt)
    source.rawURL = "\(mirror.url)/flat/"
    source.arches = ["amd64"]
    let fixture = CacheFixture()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba"])
    mirror.write("flat/Packages.gz", Mirror.packages + "\nPackage: evil\nVersion: 1\n", as: "gz")
    let other = CacheFixture()
    let result = try await refresh(other, source)
    #expect(!result.isGood && result.problems.joined().contains("InRelease gives"), "\(result.problems)")
  }

  /// Debian's folders of a component have a Release without checksums.
  @Test func aReleaseWithoutChecksumsIsNone() async throws {
    let mirror = Mirror()
    mirror.write("\(Self.folder)/Packages.gz", Mirror.packages, as: "gz")
    mirror.write("\(Self.folder)/Release", "Archive: stable\nComponent: main\nArchitecture: amd64\n")
    var source = PackageSource(kind: .apt)
    source.rawURL = "\(mirror.url)/\(Self.folder)/"
    source.arches = ["amd64"]
    let fixture = CacheFixture()
    #expect(try await refresh(fixture, source).isGood, "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba"])
  }
}
