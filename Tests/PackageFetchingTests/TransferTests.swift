import EventLoop
import Glibc
import PackageFetching
import PackageSources
import Support
import Testing

@Suite struct TransferTests {
  static let packages = "/debian/dists/stable/main/binary-amd64/Packages.xz"

  @Test func anUnchangedSourceCostsOneRequest() async throws {
    let mirror = Mirror()
    mirror.archive()
    let source = mirror.source()
    let fixture = CacheFixture()
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    let index = fixture.index(source)
    _ = mirror.requests()
    let result = try #require(try await fixture.refresh([source]).first)
    guard case .unchanged = result.outcome else {
      Issue.record("\(result.outcome)")
      return
    }
    #expect(mirror.requests() == ["304 /debian/dists/stable/InRelease"])
    #expect(fixture.index(source) == index)
  }

  @Test func aBrokenTransferIsContinued() async throws {
    let mirror = Mirror()
    mirror.archive()
    mirror.rule(Self.packages, "truncate", .value("100"))
    let source = mirror.source()
    let fixture = CacheFixture()
    fixture.options.retries = 1
    #expect(try await fixture.refresh([source]).map(\.isGood) == [false])
    // Once from the start, once from where it broke.
    #expect(
      mirror.requests().filter { $0.contains("Packages") } == [
        "200 \(Self.packages)", "206 \(Self.packages) bytes=100-",
      ])
    mirror.noRule(Self.packages)
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    #expect(mirror.requests().filter { $0.contains("Packages") } == ["206 \(Self.packages) bytes=100-"])
    #expect(fixture.names(source) == ["app", "liba"])
  }

  @Test func aServerThatIgnoresTheRangeSendsAllAgain() async throws {
    let mirror = Mirror()
    mirror.archive()
    mirror.rule(Self.packages, "truncate", .value("100"))
    let source = mirror.source()
    let fixture = CacheFixture()
    fixture.options.retries = 0
    #expect(try await fixture.refresh([source]).map(\.isGood) == [false])
    mirror.rule(Self.packages, "norange", .value("true"))
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba"])
  }

  /// The first bytes are those of another file, which only the checksum shows.
  @Test func aWrongBeginningIsThrownAway() async throws {
    let mirror = Mirror()
    mirror.archive()
    let source = mirror.source()
    let fixture = CacheFixture()
    let name = SourceURL("\(mirror.url)\(Self.packages)").fileName
    fixture.folder.write(String(repeating: "x", count: 50), to: "downloads/partial/\(name)")
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    #expect(
      mirror.requests().filter { $0.contains("Packages") } == [
        "206 \(Self.packages) bytes=50-", "200 \(Self.packages)",
      ])
    #expect(fixture.names(source) == ["app", "liba"])
  }

  /// What is longer than the file is out of range.
  @Test func tooLongABeginningIsThrownAway() async throws {
    let mirror = Mirror()
    mirror.write("debian/dists/stable/main/binary-amd64/Packages.gz", Mirror.packages, as: "gz")
    let source = mirror.source()
    let fixture = CacheFixture()
    let name = SourceURL("\(mirror.url)/debian/dists/stable/main/binary-amd64/Packages.gz").fileName
    fixture.folder.write(String(repeating: "x", count: 5000), to: "downloads/partial/\(name)")
    fixture.folder.write("partial yes\n", to: "downloads/state/\(name)")
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba"])
  }

  @Test func aPasswordIsUsedAndToldToNobody() async throws {
    let mirror = Mirror()
    mirror.archive()
    for path in ["/debian/dists/stable/InRelease", Self.packages] {
      mirror.rule(path, "user", .text("me:s3cr3t"))
    }
    var source = mirror.source()
    source.url = source.url.replacing("http://", with: "http://me:s3cr3t@")
    let fixture = CacheFixture()
    let result = try #require(try await fixture.refresh([source]).first)
    #expect(result.isGood, "\(fixture.log)")
    #expect(fixture.index(source) != nil)
    try requireNoPassword(fixture)
    #expect(!result.source.contains("s3cr3t"))
    source.url = source.url.replacing("s3cr3t", with: "s3cr3t0")
    source.components = ["other"]
    #expect(try await fixture.refresh([source]).map(\.isGood) == [false])
    #expect(fixture.log.contains { $0.contains("HTTP response code=401") }, "\(fixture.log)")
    try requireNoPassword(fixture)
  }

  private func requireNoPassword(_ fixture: CacheFixture) throws {
    #expect(!fixture.log.joined().contains("s3cr3t"))
    for file in Project.allFiles(below: fixture.folder.path) {
      #expect(!file.contains("s3cr3t"))
      let bytes = try AtomicFile.readFile(file, limitBytes: 1 << 24)
      #expect(!bytes.contains(Array("s3cr3t".utf8)), "\(file)")
    }
  }

  @Test func aFileURLNeedsNoServer() async throws {
    let mirror = TemporaryDirectory()
    mirror.write(Mirror.packages, to: "flat/Packages")
    let packed = try Program.pack(mirror.file("flat/Packages"))
    #expect(packed)
    var source = PackageSource(kind: .apt)
    source.rawURL = "file://\(mirror.path)/flat/"
    source.arches = ["amd64", "arm64"]
    let fixture = CacheFixture()
    #expect(try await fixture.refresh([source]).map(\.isGood) == [true], "\(fixture.log)")
    #expect(fixture.names(source) == ["app", "liba"])
    let index = try #require(fixture.cache.index(source))
    #expect(index.partCount == 2)
    #expect(index.part(1)?.records.count == 0)
  }

  @Test func aBadURLIsNamed() async throws {
    var source = PackageSource(kind: .apt)
    source.url = "gopher://mirror/"
    source.version = "stable"
    source.components = ["main"]
    source.arches = ["amd64"]
    let fixture = CacheFixture()
    let result = try #require(try await fixture.refresh([source]).first)
    #expect(result.problems == ["Bad url string gopher://mirror/dists/stable/InRelease"])
  }
}

/// The files below a folder of tests.
extension Project {
  static func allFiles(below folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var found: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name == "." || name == ".." { continue }
      let path = "\(folder)/\(name)"
      var status = stat()
      guard lstat(path, &status) == 0 else { continue }
      found += status.st_mode & S_IFMT == S_IFDIR ? allFiles(below: path) : [path]
    }
    return found
  }
}

enum Program {
  /// Compresses a file by gzip, which keeps it.
  static func pack(_ path: String) throws -> Bool {
    var words: [UnsafeMutablePointer<CChar>?] = []
    for word in ["gzip", "-k", path] { words.append(strdup(word)) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var process: pid_t = 0
    guard posix_spawnp(&process, "gzip", nil, nil, &words, environ) == 0 else { return false }
    var status: Int32 = 0
    waitpid(process, &status, 0)
    return status == 0
  }
}
