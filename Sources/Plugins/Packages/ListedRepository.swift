package import PackageSources

/// One repository of a client's package sources, for administrators.
///
/// Source of the text: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Packages/Collection.py, sourcelist.
package struct ListedRepository: Encodable {
  package let name: String
  /// The type of its packages.
  package let type: String
  /// Its address; nil where the source has a complete one.
  package let url: String?
  /// The complete address that sources.xml has.
  package let rawURL: String?
  package let keys: [String]
  package let blacklist: [String]
  package let whitelist: [String]

  init(name: String, source: PackageSource, part: SourcePart) {
    self.name = name
    type = source.kind.packageType
    url = source.rawURL.isEmpty ? part.url : nil
    rawURL = source.rawURL.isEmpty ? nil : part.url
    keys = source.gpgKeys
    blacklist = source.blacklist
    whitelist = source.whitelist
  }

  /// A line for each fact, then an empty one.
  package var lines: [String] {
    var lines = ["Name: \(name)", "  Type: \(type)"]
    if let url { lines.append("  URL: \(url)") }
    if let rawURL { lines.append("  RAWURL: \(rawURL)") }
    lines.append("  GPG Key(s): \(keys.isEmpty ? "None" : keys.joined(separator: ", "))")
    if !blacklist.isEmpty { lines.append("  Blacklist: \(blacklist.joined(separator: ", "))") }
    if !whitelist.isEmpty { lines.append("  Whitelist: \(whitelist.joined(separator: ", "))") }
    return lines + [""]
  }
}

extension SourceKind {
  /// The attribute `type` of packages.
  package var packageType: String {
    switch self {
    case .apt: "deb"
    case .yum: "yum"
    case .pac: "pacman"
    case .pkgng: "pkgng"
    }
  }
}
