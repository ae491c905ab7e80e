import EventLoop
import Glibc
import PackageFetching
import PackageSources
import Support
import Testing

/// Mirrors that are broken: each row breaks a good one in one way, and says what becomes of the source.
@Suite struct BrokenMirrorTests {
  nonisolated struct Row: CustomTestStringConvertible, Sendable {
    let name: String
    /// Breaks the mirror; it had Packages of `Mirror.packages` before, with a signed InRelease.
    let breaking: @MainActor @Sendable (Mirror) -> Void
    /// Parts of the messages that say what is wrong.
    let messages: [String]
    /// Of the refresh that meets the broken mirror.
    let stallTimeout: Duration
    var testDescription: String { name }

    init(
      _ name: String, _ messages: [String], stallTimeout: Duration = .seconds(20),
      _ breaking: @escaping @MainActor @Sendable (Mirror) -> Void
    ) {
      self.name = name
      self.stallTimeout = stallTimeout
      self.messages = messages
      self.breaking = breaking
    }
  }

  nonisolated static let release = "/debian/dists/stable/InRelease"
  nonisolated static let packages = "/debian/dists/stable/main/binary-amd64/Packages.xz"
  nonisolated static let changed = Mirror.packages + "\nPackage: new\nVersion: 3\nArchitecture: amd64\n"

  /// What the mirror serves after a change that is right in itself.
  static func change(_ mirror: Mirror) { mirror.archive("debian", ["main": changed], sign: "inline") }

  nonisolated static let rows: [Row] = [
    Row("Packages is truncated", ["Failed to fetch url", "Packages.xz", "after 40 bytes"]) { mirror in
      change(mirror)
      mirror.rule(packages, "truncate", .value("40"))
    },
    Row("Packages ends early, and the server says that this is all", ["40 bytes, InRelease gives"]) { mirror in
      change(mirror)
      mirror.rule(packages, "short", .value("40"))
    },
    Row("Packages has a wrong checksum", ["sha256 is", "InRelease gives"]) { mirror in
      change(mirror)
      mirror.write("debian/dists/stable/main/binary-amd64/Packages.xz", changed.replacing("3", with: "4"), as: "xz")
    },
    Row("Packages is an HTML page", ["InRelease gives", "it is an HTML page"]) { mirror in
      change(mirror)
      mirror.rule(packages, "html", .value("true"))
    },
    Row("Packages is missing in all compressions", ["HTTP response code=404"]) { mirror in
      change(mirror)
      for kind in ["xz", "gz"] { mirror.remove("debian/dists/stable/main/binary-amd64/Packages.\(kind)") }
    },
    Row("the Release names no Packages", ["has no main/binary-amd64/Packages"]) { mirror in
      for kind in ["xz", "gz"] { mirror.remove("debian/dists/stable/main/binary-amd64/Packages.\(kind)") }
      mirror.write("debian/dists/stable/other/binary-amd64/Packages", changed)
      mirror.release("debian/dists/stable", sign: "inline")
    },
    Row("Packages drips", ["fewer than 100 bytes/s during 0.3 s, after 1 bytes"], stallTimeout: .milliseconds(300)) {
      mirror in
      change(mirror)
      mirror.rule(packages, "drip", .value("true"))
    },
    Row("Packages is a loop of redirects", ["more than 8 redirects"]) { mirror in
      change(mirror)
      mirror.rule(packages, "redirect", .text(packages))
    },
    Row("Packages redirects to a file", ["Failed to fetch url"]) { mirror in
      change(mirror)
      mirror.rule(packages, "redirect", .text("file:///etc/passwd"))
    },
    Row("Packages is a gigabyte of zeros", ["more than the", "bytes that InRelease gives"]) { mirror in
      change(mirror)
      mirror.rule(packages, "zeros", .value("\(1 << 30)"))
    },
    Row("the server fails", ["HTTP response code=500"]) { mirror in
      mirror.rule(release, "status", .value("500"))
    },
    Row("the InRelease is an HTML page", ["InRelease", "HTML"]) { mirror in
      mirror.rule(release, "html", .value("true"))
    },
    Row("the InRelease is a gigabyte of zeros", ["InRelease. larger than"]) { mirror in
      mirror.rule(release, "zeros", .value("\(1 << 30)"))
    },
    Row("the InRelease is signed by another", ["InRelease: no GPGKey of the source is that of the signature"]) {
      mirror in
      change(mirror)
      mirror.release("debian/dists/stable", sign: "inline", by: "stranger")
    },
    Row("the InRelease was changed after it was signed", ["InRelease: the signature is wrong"]) { mirror in
      mirror.order(
        "edit",
        [
          ("path", .text("debian/dists/stable/InRelease")), ("from", .text("Origin: test")),
          ("to", .text("Origin: evil")),
        ])
    },
  ]

  @Test(arguments: rows)
  func aBrokenMirrorKeepsTheLastGoodIndex(_ row: Row) async throws {
    let mirror = Mirror()
    let source = mirror.signedSource()
    let fixture = CacheFixture()
    let first = try await fixture.refresh([source])
    #expect(first.map(\.isGood) == [true], "\(fixture.log)")
    let good = try #require(fixture.index(source))

    row.breaking(mirror)
    fixture.options.stallTimeout = row.stallTimeout
    let result = try #require(try await fixture.refresh([source]).first)
    guard case .kept = result.outcome else {
      Issue.record("\(result.outcome) \(fixture.log)")
      return
    }
    #expect(fixture.index(source) == good)
    #expect(fixture.names(source) == ["app", "liba"])
    let text = result.problems.joined(separator: "\n")
    for message in row.messages { #expect(text.contains(message), "\(text)") }
    #expect(fixture.log.contains { $0.contains("keeps its packages of") })

    // Nothing that was left behind hinders the next refresh.
    fixture.options.stallTimeout = .seconds(20)
    for path in [Self.release, Self.packages] { mirror.noRule(path) }
    Self.change(mirror)
    let repaired = try #require(try await fixture.refresh([source]).first)
    #expect(repaired.isGood, "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba", "new"])
  }

  @Test(arguments: rows)
  func aBrokenMirrorWithoutAnIndexFails(_ row: Row) async throws {
    let mirror = Mirror()
    let source = mirror.signedSource()
    row.breaking(mirror)
    let fixture = CacheFixture()
    fixture.options.stallTimeout = row.stallTimeout
    let result = try #require(try await fixture.refresh([source]).first)
    guard case .failed = result.outcome else {
      Issue.record("\(result.outcome) \(fixture.log)")
      return
    }
    #expect(fixture.index(source) == nil)
    #expect(
      fixture.log.contains {
        $0.hasPrefix("error: Packages: Failed to load data for AptSource at \(mirror.url)/debian/: ")
      })
    #expect(
      fixture.log.contains(
        "error: Packages: apt \(mirror.url)/debian/ stable main (amd64) has nothing. Some Packages will be missing"),
      "\(fixture.log)")
  }

  @Test func aBombWithoutAReleaseEndsAtTheBound() async throws {
    let mirror = Mirror()
    let path = "/debian/dists/stable/main/binary-amd64/Packages.gz"
    mirror.rule(path, "bomb", .value("\(1 << 30)"))
    let fixture = CacheFixture()
    let source = mirror.source()
    let result = try #require(try await fixture.refresh([source]).first)
    let text = result.problems.joined(separator: "\n")
    #expect(text.contains("Packages.gz") && text.contains("the limit"), "\(text)")
    #expect(fixture.index(source) == nil)
  }

  @Test func anHTMLPageWithoutAReleaseIsNamed() async throws {
    let mirror = Mirror()
    mirror.write("debian/dists/stable/main/binary-amd64/Packages.gz", Mirror.packages, as: "gz")
    let fixture = CacheFixture()
    let source = mirror.source()
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    let good = fixture.index(source)
    mirror.rule("/debian/dists/stable/main/binary-amd64/Packages.gz", "html", .value("true"))
    let result = try #require(try await fixture.refresh([source]).first)
    #expect(!result.isGood)
    #expect(result.problems.joined().contains("is HTML"), "\(result.problems)")
    #expect(fixture.index(source) == good)
  }
}

extension PackageIndex {
  /// The names of all packages, in the order of the files.
  var packageNames: [String] {
    (0..<recordCount).compactMap { record(RecordID(UInt32($0))).map { string(of: $0.name) } }
  }
}
