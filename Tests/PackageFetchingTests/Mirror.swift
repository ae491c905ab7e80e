import EventLoop
import PackageFetching
import PackageSources
import Support

/// The program that plays all mirrors of these tests, `Tests/Python/mirror.py`.
final class MirrorProgram {
  static let shared = MirrorProgram()

  let port: String
  private let program = PythonProgram("mirror.py")

  private init() { port = program.line() }

  /// Has a command done; returns the answer.
  func order(_ line: String) -> String {
    let answer = program.order(line)
    precondition(!answer.isEmpty && !answer.contains("\"error\""), "\(line) \(answer)")
    return answer
  }
}

/// A package mirror on loopback, which can be broken in many ways.
final class Mirror {
  /// `http://127.0.0.1:PORT/NAME`.
  let url: String
  private let name: String
  private static var count = 0

  init() {
    Self.count += 1
    name = "m\(Self.count)"
    url = "http://127.0.0.1:\(MirrorProgram.shared.port)/\(name)"
    write("made", "")
  }

  isolated deinit { remove("") }

  /// Has a command done; see the script.
  @discardableResult
  func order(_ what: String, _ words: [(String, JSONText)]) -> String {
    let members = ([("do", .text(what)), ("mirror", .text(name))] + words).map {
      "\(JSONText.quoted($0)): \($1.text)"
    }
    return MirrorProgram.shared.order("{\(members.joined(separator: ", "))}")
  }

  // MARK: Commands

  func write(_ path: String, _ text: String, as kind: String = "plain") {
    order("write", [("path", .text(path)), ("text", .text(text)), ("as", .text(kind))])
  }

  func release(_ folder: String, sign: String = "no", by: String = "mirror", byHash: Bool = false, until: Int? = nil) {
    var words: [(String, JSONText)] = [
      ("folder", .text(folder)), ("sign", .text(sign)), ("by", .text(by)), ("byhash", .value("\(byHash)")),
    ]
    if let until { words.append(("until", .value("\(until)"))) }
    order("release", words)
  }

  func rule(_ path: String, _ name: String, _ value: JSONText) {
    order("rule", [("path", .text(path)), (name, value)])
  }

  func noRule(_ path: String) { order("rule", [("path", .text(path))]) }

  func key(_ path: String, name: String = "mirror", isArmoured: Bool = true) {
    order("key", [("path", .text(path)), ("name", .text(name)), ("armoured", .value("\(isArmoured)"))])
  }

  func edit(_ path: String, from: String, to: String) {
    order("edit", [("path", .text(path)), ("from", .text(from)), ("to", .text(to))])
  }

  func copy(_ from: String, to: String) { order("copy", [("from", .text(from)), ("to", .text(to))]) }
  func remove(_ path: String) { order("remove", [("path", .text(path))]) }

  /// What was asked since the last time: `200 /path`, with the range if there was one.
  func requests() -> [String] {
    let answer = order("requests", [])
    return answer.split(separator: "\"").enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
  }

  // MARK: An apt source

  /// An archive with a component for each text of Packages, kept as .gz and .xz, with a Release.
  func archive(
    _ folder: String = "debian", _ components: [String: String] = ["main": Mirror.packages], sign: String = "no",
    byHash: Bool = false, until: Int? = nil
  ) {
    for (component, text) in components {
      for kind in ["gz", "xz"] {
        write("\(folder)/dists/stable/\(component)/binary-amd64/Packages.\(kind)", text, as: kind)
      }
    }
    release("\(folder)/dists/stable", sign: sign, byHash: byHash, until: until)
  }

  func source(
    _ folder: String = "debian", components: [String] = ["main"], keys: [String] = []
  ) -> PackageSource {
    var source = PackageSource(kind: .apt)
    source.url = "\(url)/\(folder)/"
    source.version = "stable"
    source.components = components
    source.arches = ["amd64"]
    source.gpgKeys = keys
    return source
  }

  /// A signed archive with the key that its source names: a mirror as it should be.
  func signedSource() -> PackageSource {
    archive(sign: "inline")
    key("key.asc")
    return source(keys: ["\(url)/key.asc"])
  }

  /// A yum source of one repository, `yum/7/os/x86_64`.
  func yumSource() -> PackageSource {
    var source = PackageSource(kind: .yum)
    source.url = "\(url)/yum/"
    source.version = "7"
    source.components = ["os"]
    source.arches = ["x86_64"]
    return source
  }

  nonisolated static let packages = """
    Package: app
    Version: 1.0
    Architecture: amd64
    Depends: liba (>= 1.0), libb | libc

    Package: liba
    Version: 1.2
    Architecture: amd64
    Provides: liba-abi

    """
}

/// A piece of JSON.
enum JSONText {
  case text(String)
  case value(String)

  var text: String {
    switch self {
    case .text(let text): Self.quoted(text)
    case .value(let value): value
    }
  }

  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

/// A cache with what its refreshes say.
final class CacheFixture {
  let folder = TemporaryDirectory()
  let cache: PackageCache
  var options: FetchOptions
  var acceptsMissingParts = false
  /// Levels and texts, without the debugging ones.
  private(set) var log: [String] = []

  init() {
    cache = PackageCache(folder: folder.path)
    options = FetchOptions()
    // A machine with other work stalls too; tests of stalls set less.
    options.stallTimeout = .seconds(20)
    options.connectTimeout = .seconds(20)
  }

  @discardableResult
  func refresh(_ sources: [PackageSource], isForMissing: Bool = false) async throws -> [RefreshResult] {
    log = []
    var plan = Refresh.Plan(sources: sources)
    plan.fetching = options
    plan.acceptsMissingParts = acceptsMissingParts
    plan.isForMissing = isForMissing
    let refresh = Refresh(plan, cache: cache) { [unowned self] event in
      switch event {
      case .log(let level, let text), .verdict(let level, let text):
        if level != .debug { log.append("\(level.rawValue): \(text)") }
      case .done: break
      }
    }
    return try await refresh.run()
  }

  /// The bytes of a source's index.
  func index(_ source: PackageSource) -> [UInt8]? {
    try? AtomicFile.readFile(cache.indexPath(source), limitBytes: 1 << 24)
  }

  /// The names of the packages that the index has, in their order.
  func names(_ source: PackageSource) -> [String]? {
    guard let index = cache.index(source) else { return nil }
    return index.packageNames
  }
}
