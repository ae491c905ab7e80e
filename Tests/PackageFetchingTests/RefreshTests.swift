import EventLoop
import Glibc
import PackageFetching
import PackageSources
import Support
import Testing

@Suite struct RefreshTests {
  @Test func whatNoSourceNeedsIsRemoved() async throws {
    let mirror = Mirror()
    mirror.archive("one")
    mirror.archive("two")
    let one = mirror.source("one")
    let two = mirror.source("two")
    let fixture = CacheFixture()
    fixture.folder.write("theirs", to: "http:@@mirror@Packages.gz")
    fixture.folder.write("theirs", to: "cache-0123")
    #expect(try await fixture.refresh([one, two]).map(\.isGood) == [true, true], "\(fixture.log)")
    #expect(fixture.folder.names(in: "downloads").filter { $0.contains("_two_") }.count == 2)
    // Only what is missing was asked for: nothing is removed.
    _ = try await fixture.refresh([one], isForMissing: true)
    #expect(fixture.index(two) != nil)
    _ = try await fixture.refresh([one])
    #expect(fixture.index(one) != nil && fixture.index(two) == nil)
    for folder in ["downloads", "downloads/state", "downloads/partial", "indexes"] {
      #expect(!fixture.folder.names(in: folder).contains { $0.contains("_two_") }, "\(folder)")
    }
    // The Python server's files are not ours.
    #expect(fixture.folder.names().filter { $0.hasPrefix("http") || $0.hasPrefix("cache-") }.count == 2)
    // No sources at all is more likely a mistake than the wish to fetch everything again.
    _ = try await fixture.refresh([])
    #expect(fixture.index(one) != nil)
  }

  @Test func whatAFailingSourceHasStays() async throws {
    let mirror = Mirror()
    mirror.archive()
    let source = mirror.source()
    let fixture = CacheFixture()
    _ = try await fixture.refresh([source])
    let downloads = fixture.folder.names(in: "downloads")
    mirror.rule("/debian/dists/stable/InRelease", "status", .value("500"))
    _ = try await fixture.refresh([source])
    _ = try await fixture.refresh([source])
    #expect(fixture.folder.names(in: "downloads") == downloads)
  }

  @Test func onlyMissingSourcesAreFetchedWhereThatIsWanted() async throws {
    let mirror = Mirror()
    mirror.archive("one")
    mirror.archive("two")
    let fixture = CacheFixture()
    _ = try await fixture.refresh([mirror.source("one")])
    _ = mirror.requests()
    let results = try await fixture.refresh([mirror.source("one"), mirror.source("two")], isForMissing: true)
    #expect(results.map(\.name) == [mirror.source("two").indexFileName])
    #expect(!mirror.requests().contains { $0.contains("/one/") })
  }

  @Test func equalSourcesAndFilesAreFetchedOnce() async throws {
    let mirror = Mirror()
    mirror.archive("debian", ["main": Mirror.packages, "other": Mirror.packages])
    let fixture = CacheFixture()
    let sources = [mirror.source(), mirror.source(), mirror.source(components: ["main", "other"])]
    let results = try await fixture.refresh(sources)
    #expect(results.map(\.isGood) == [true, true], "\(fixture.log)")
    let asked = mirror.requests()
    #expect(Set(asked).count == asked.count && asked.count == 3, "\(asked)")
  }

  @Test func thePlaceOfAnOldIndexIsTakenByARename() async throws {
    let mirror = Mirror()
    mirror.archive()
    let source = mirror.source()
    let fixture = CacheFixture()
    _ = try await fixture.refresh([source])
    // A server has it mapped.
    let mapped = try #require(fixture.cache.index(source))
    mirror.archive("debian", ["main": BrokenMirrorTests.changed])
    _ = try await fixture.refresh([source])
    #expect(mapped.packageNames == ["app", "liba"])
    #expect(fixture.names(source) == ["app", "liba", "new"])
    var status = stat()
    #expect(stat(fixture.cache.indexPath(source), &status) == 0 && status.st_mode & 0o777 == 0o644)
  }

  @Test func aDamagedIndexIsMadeAgain() async throws {
    let mirror = Mirror()
    mirror.archive()
    let source = mirror.source()
    let fixture = CacheFixture()
    _ = try await fixture.refresh([source])
    fixture.folder.write("damaged", to: "indexes/\(source.indexFileName)")
    #expect(try await fixture.refresh([source], isForMissing: true).map(\.isGood) == [true])
    #expect(fixture.names(source) == ["app", "liba"])
  }

  @Test func aDownloadThatWasChangedIsFetchedAgain() async throws {
    let mirror = Mirror()
    mirror.archive()
    let source = mirror.source()
    let fixture = CacheFixture()
    _ = try await fixture.refresh([source])
    let name = try #require(fixture.folder.names(in: "downloads").first { $0.hasSuffix("Packages.xz") })
    fixture.folder.write("damaged", to: "downloads/\(name)")
    fixture.folder.remove("indexes/\(source.indexFileName)")
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba"])
  }

  @Test func theStateOfASourceIsKept() async throws {
    let mirror = Mirror()
    mirror.archive()
    let source = mirror.source()
    let fixture = CacheFixture()
    _ = try await fixture.refresh([source])
    #expect(fixture.cache.status(source)?.isGood == true)
    mirror.rule("/debian/dists/stable/InRelease", "status", .value("500"))
    let before = time(nil)
    _ = try await fixture.refresh([source])
    let status = try #require(fixture.cache.status(source))
    #expect(!status.isGood && status.time >= before)
    #expect(
      status.problems == [
        "Failed to fetch url \(mirror.url)/debian/dists/stable/InRelease. HTTP response code=500"
      ])
  }

  @Test func oneProcessHasTheCacheAtATime() throws {
    let fixture = CacheFixture()
    let lock = try CacheLock.take(fixture.cache, wait: .zero)
    _ = withExtendedLifetime(lock) {
      #expect {
        _ = try CacheLock.take(fixture.cache, wait: .zero)
      } throws: { error in
        "\(error)" == "process \(getpid()) refreshes the same cache; gave up after waiting for 0 s"
      }
    }
  }

  @Test func theCacheIsFreeAfterwards() throws {
    let fixture = CacheFixture()
    for _ in 0..<2 { _ = try CacheLock.take(fixture.cache, wait: .zero) }
  }

  // MARK: Other kinds

  @Test func aPacmanSourceIsIndexed() async throws {
    let mirror = Mirror()
    let description = "%NAME%\napp\n\n%VERSION%\n1-1\n\n%DEPENDS%\nlib>=1\n\n"
    mirror.order(
      "tar",
      [
        ("path", .text("arch/core/os/x86_64/core.db.tar.gz")), ("as", .text("gz")),
        ("files", .value("{\"app-1-1/desc\": \(JSONText.quoted(description))}")),
      ])
    var source = PackageSource(kind: .pac)
    source.url = "\(mirror.url)/arch/"
    source.components = ["core"]
    source.arches = ["x86_64"]
    let fixture = CacheFixture()
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    #expect(fixture.names(source) == ["app"])
    guard case .unchanged = try #require(try await fixture.refresh([source]).first).outcome else {
      Issue.record("\(fixture.log)")
      return
    }
    source.rawURL = source.url
    source.url = ""
    let result = try #require(try await fixture.refresh([source]).first)
    #expect(result.problems == ["rawurl is not supported for sources of type pac"])
  }

  @Test func aPkgngSourceIsIndexed() async throws {
    let mirror = Mirror()
    let line = "{\"name\":\"app\",\"version\":\"1\",\"deps\":{\"lib\":{\"version\":\"2\"}}}\n"
    mirror.order(
      "tar",
      [
        ("path", .text("bsd/packagesite.txz")), ("as", .text("xz")),
        ("files", .value("{\"packagesite.yaml\": \(JSONText.quoted(line))}")),
      ])
    var source = PackageSource(kind: .pkgng)
    source.rawURL = "\(mirror.url)/bsd/"
    source.arches = ["amd64"]
    let fixture = CacheFixture()
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    #expect(fixture.names(source) == ["app"])
    fixture.options.verification = .required
    let result = try #require(try await fixture.refresh([source]).first)
    #expect(result.problems.joined().contains("signatures of sources of type pkgng cannot be checked"))
  }
}
