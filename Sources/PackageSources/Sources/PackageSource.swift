/// The kinds of package sources, by the `type` of a `<Source>`.
public enum SourceKind: String, Sendable, CaseIterable {
  case apt, yum, pac, pkgng
}

/// One `<Source>` of sources.xml: where packages of one kind come from. Its conditions are not part of it.
///
/// Source of the fields: Bcfg2/bcfg2: schemas/packages.xsd and src/lib/Bcfg2/Server/Plugins/Packages/Source.py.
public struct PackageSource: Sendable {
  public var kind: SourceKind
  /// With a `/` at its end; empty if there is none.
  public var url = ""
  /// The complete base address, in place of `url`; with a `/` at its end; empty if there is none.
  public var rawURL = ""
  /// The distribution or release.
  public var version = ""
  /// The name of the repository in the generated configuration; nil derives one.
  public var name: String?
  public var components: [String] = []
  public var arches: [String] = []
  public var blacklist: [String] = []
  public var whitelist: [String] = []
  /// Addresses of the keys that sign the source and its packages.
  public var gpgKeys: [String] = []
  public var usesRecommended = false
  public var usesEssential = true
  public var hasDebSource = false
  /// Options of the repository in the client's file, in the order of sources.xml.
  public var clientOptions: [(name: String, value: String)] = []
  /// Options for the server's own use of the repository.
  public var serverOptions: [(name: String, value: String)] = []

  public init(kind: SourceKind) { self.kind = kind }

  /// The repositories of the source, in Bcfg2's order: one for each architecture and component; without `url` one for each
  /// architecture.
  public var parts: [SourcePart] {
    arches.flatMap { arch in
      (url.isEmpty ? [""] : components).map { component in
        let place = rawURL.isEmpty ? "\(url)\(version)/\(component)/\(arch)/" : rawURL
        return SourcePart(component: component, arch: arch, url: place)
      }
    }
  }

  /// What decides the contents of the index: two sources with equal keys share one file. Neither users nor passwords are part of
  /// it, since everyone may read an index.
  public var key: [UInt8] {
    var key: [UInt8] = []
    // Each field with its length, so that no two lists of fields look alike.
    func add(_ field: String) {
      key += Array("\(field.utf8.count):".utf8)
      key += Array(field.utf8)
    }
    for field in [kind.rawValue, Self.withoutPassword(url), Self.withoutPassword(rawURL), version] { add(field) }
    for list in [components, arches, gpgKeys.map { Self.withoutPassword($0) }] {
      add(String(list.count))
      for field in list { add(field) }
    }
    return key
  }

  /// The name of the index file: what the source is, as far as a file name can say, and a hash of its key.
  public var indexFileName: String {
    let place = rawURL.isEmpty ? "\(url)\(version)" : rawURL
    // Neither the scheme nor a password.
    var readable = Substring(Self.withoutPassword(place))
    if let scheme = readable.firstRange(of: "://") { readable = readable[scheme.upperBound...] }
    let safe = readable.utf8.prefix(80).map { byte -> UInt8 in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
        byte
      default: UInt8(ascii: "_")
      }
    }
    let hash = String(key.withUnsafeBytes { TextHash.of($0) }, radix: 16)
    let padded = String(repeating: "0", count: 16 - hash.count) + hash
    return "\(kind.rawValue)-\(String(decoding: safe, as: UTF8.self))-\(padded).index"
  }

  /// The address for messages: without user and password.
  public var displayURL: String { Self.withoutPassword(rawURL.isEmpty ? url : rawURL) }

  /// The source as people see it, much like a line of apt's list: `apt http://deb.example.com/debian/ bookworm main contrib (amd64)`.
  public var displayName: String {
    let words = [kind.rawValue, displayURL] + (rawURL.isEmpty ? [version] + components : [])
    let name = words.filter { !$0.isEmpty }.joined(separator: " ")
    return arches.isEmpty ? name : "\(name) (\(arches.joined(separator: " ")))"
  }

  /// An address without `user:password@`.
  public static func withoutPassword(_ url: String) -> String {
    guard let scheme = url.firstRange(of: "://") else { return url }
    let rest = url[scheme.upperBound...]
    let host = rest.prefix { $0 != "/" }
    guard let at = host.lastIndex(of: "@") else { return url }
    return String(url[..<scheme.upperBound]) + String(rest[rest.index(after: at)...])
  }
}

/// One repository of a source.
public struct SourcePart: Sendable, Equatable {
  /// Empty for a source with `rawURL`.
  public let component: String
  public let arch: String
  /// The address as Bcfg2 tells it to templates and writes it into yum's configuration.
  public let url: String

  public init(component: String, arch: String, url: String) {
    self.component = component
    self.arch = arch
    self.url = url
  }
}
