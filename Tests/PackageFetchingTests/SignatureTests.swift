import EventLoop
import Glibc
import PackageFetching
import PackageSources
import Support
import Testing

@Suite struct SignatureTests {
  /// What a mirror and a source have, and what becomes of it under each value of `[packages] verify`.
  nonisolated struct Row: Sendable, CustomTestStringConvertible {
    /// `inline`, `detached` or `no`.
    let sign: String
    let hasKey: Bool
    let isExpired: Bool
    /// Nil: good; else part of the problem.
    let ifPossible: String?
    let required: String?

    var testDescription: String { "\(sign), \(hasKey ? "key" : "no key")\(isExpired ? ", expired" : "")" }
  }

  nonisolated static let rows: [Row] = [
    Row(sign: "inline", hasKey: true, isExpired: false, ifPossible: nil, required: nil),
    Row(sign: "detached", hasKey: true, isExpired: false, ifPossible: nil, required: nil),
    Row(sign: "no", hasKey: true, isExpired: false, ifPossible: nil, required: "is not signed"),
    Row(sign: "inline", hasKey: false, isExpired: false, ifPossible: nil, required: "has no usable GPGKey"),
    Row(sign: "no", hasKey: false, isExpired: false, ifPossible: nil, required: "is not signed"),
    Row(sign: "inline", hasKey: true, isExpired: true, ifPossible: nil, required: "which is over"),
  ]

  @Test(arguments: rows, [false, true])
  func signaturesCountAsTheOptionSays(_ row: Row, _ isRequired: Bool) async throws {
    let mirror = Mirror()
    mirror.archive(sign: row.sign, until: row.isExpired ? 1_700_000_000 : nil)
    mirror.key("key.asc")
    let source = mirror.source(keys: row.hasKey ? ["\(mirror.url)/key.asc"] : [])
    let fixture = CacheFixture()
    if isRequired { fixture.options.verification = .required }
    let result = try #require(try await fixture.refresh([source]).first)
    if let problem = isRequired ? row.required : row.ifPossible {
      #expect(!result.isGood)
      #expect(result.problems.joined().contains(problem), "\(result.problems)")
    } else {
      #expect(result.isGood, "\(fixture.log)")
      #expect(fixture.log.contains { $0.hasPrefix("warning: ") && $0.hasSuffix("which is over") } == row.isExpired)
    }
  }

  @Test func aBinaryKeyIsTakenToo() async throws {
    let mirror = Mirror()
    mirror.archive(sign: "detached")
    mirror.key("key.gpg", isArmoured: false)
    let source = mirror.source(keys: ["\(mirror.url)/key.gpg"])
    let fixture = CacheFixture()
    fixture.options.verification = .required
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
  }

  @Test func aWrongDetachedSignatureFails() async throws {
    let mirror = Mirror()
    mirror.archive(sign: "detached")
    mirror.key("key.asc")
    mirror.order(
      "edit",
      [("path", .text("debian/dists/stable/Release")), ("from", .text("Origin: test")), ("to", .text("Origin: evil"))])
    let source = mirror.source(keys: ["\(mirror.url)/key.asc"])
    let fixture = CacheFixture()
    let result = try #require(try await fixture.refresh([source]).first)
    #expect(result.problems == ["\(mirror.url)/debian/dists/stable/Release: the signature is wrong"], "\(fixture.log)")
  }

  @Test func oneOfSeveralKeysIsEnough() async throws {
    let mirror = Mirror()
    mirror.archive(sign: "inline")
    mirror.key("one.asc", name: "stranger")
    mirror.key("two.asc")
    let source = mirror.source(keys: ["\(mirror.url)/one.asc", "\(mirror.url)/two.asc"])
    let fixture = CacheFixture()
    fixture.options.verification = .required
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
  }

  // MARK: Keys

  @Test func keysAreKeptForClientsAsTheyAre() async throws {
    let mirror = Mirror()
    mirror.archive()
    mirror.write("keys/RPM-KEY", "some text that clients get\n")
    let source = mirror.source(keys: ["\(mirror.url)/keys/RPM-KEY"])
    let fixture = CacheFixture()
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    #expect(try fixture.folder.text("keys/RPM-KEY") == "some text that clients get\n")
    #expect(fixture.log.contains { $0.hasPrefix("warning: ") && $0.contains("has no OpenPGP key") })
    // Neither an error nor a page of a proxy replaces it.
    for (rule, value) in [("status", JSONText.value("404")), ("html", .value("true"))] {
      mirror.rule("/keys/RPM-KEY", rule, value)
      #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
      #expect(fixture.log.contains { $0.hasPrefix("error: ") && $0.hasSuffix("the key of last time is used") })
      #expect(try fixture.folder.text("keys/RPM-KEY") == "some text that clients get\n")
    }
  }

  @Test func aMissingKeyIsFetchedThoughTheIndexIsThere() async throws {
    let mirror = Mirror()
    mirror.archive()
    mirror.key("key.asc")
    let source = mirror.source(keys: ["\(mirror.url)/key.asc"])
    let fixture = CacheFixture()
    _ = try await fixture.refresh([source])
    fixture.folder.remove("keys/key.asc")
    _ = mirror.requests()
    #expect(try await fixture.refresh([source], isForMissing: true).isEmpty)
    #expect(mirror.requests() == ["304 /key.asc"])
    #expect(try fixture.folder.text("keys/key.asc").contains("BEGIN PGP"))
    #expect(try await fixture.refresh([source], isForMissing: true).isEmpty)
    #expect(mirror.requests().isEmpty)
  }
}
