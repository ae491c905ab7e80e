import Identity
public import XMLRPC

/// Which clients a file is for: all, the members of a group, or one host.
///
/// Ordered from the most to the least specific: hosts, groups from the highest priority down, all.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, Specificity.
public nonisolated enum Specificity: Hashable, Sendable, Comparable, CustomStringConvertible {
  case host(Name)
  case group(Name, priority: Int)
  case all

  /// Whether a file of this kind applies to a client.
  @MainActor public func matches(_ metadata: ClientMetadata) -> Bool {
    switch self {
    case .all: true
    case .host(let name): metadata.isNamed(name.text)
    case .group(let name, _): metadata.isMember(of: name.text)
    }
  }

  /// The same where the files of an entry are for many hosts.
  ///
  /// - Parameter hosts: all of them; nil where they are few.
  @MainActor package func matches(_ metadata: ClientMetadata, among hosts: HostQuestion?) -> Bool {
    guard let hosts, case .host(let name) = self else { return matches(metadata) }
    return metadata.isNamed(hosts.question, name.text)
  }

  /// True where `a` is more specific.
  public static func < (a: Specificity, b: Specificity) -> Bool {
    switch (a, b) {
    case (.host, .group), (.host, .all), (.group, .all): true
    case (.group(_, let x), .group(_, let y)): x > y
    default: false
    }
  }

  public var description: String {
    switch self {
    case .all: "Specificity: all"
    case .group(let name, let priority): "Specificity: Group \(name), priority \(priority)"
    case .host(let name): "Specificity: Host \(name)"
    }
  }

  /// Reads the suffix of a file's base name: nothing, `.H_<hostname>`, `.G<priority>_<group>`.
  ///
  /// - Returns: nil for anything else.
  public init?(suffix: Substring) {
    if suffix.isEmpty {
      self = .all
      return
    }
    guard suffix.utf8.first == UInt8(ascii: ".") else { return nil }
    let rest = suffix.dropFirst()
    guard !rest.utf8.contains(where: { $0 <= 0x20 }) else { return nil }
    if rest.hasPrefix("H_") {
      let name = rest.dropFirst(2)
      guard !name.isEmpty else { return nil }
      self = .host(Name(String(name)))
    } else if rest.hasPrefix("G") {
      let digits = rest.utf8.dropFirst().prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
      let after = rest[digits.endIndex...]
      guard !digits.isEmpty, after.utf8.first == UInt8(ascii: "_"), after.utf8.count > 1 else { return nil }
      // A priority beyond Int's range counts as the highest.
      self = .group(Name(String(after.dropFirst())), priority: Int(String(Substring(digits))) ?? .max)
    } else {
      return nil
    }
  }

  /// Reads the specificity from a file's name: the base name, with or without a path before it, and a suffix.
  ///
  /// - Returns: nil for a file with another base name.
  public init?(fileName: String, baseName: String) {
    var start = fileName.startIndex
    if !fileName.hasPrefix(baseName) {
      guard let slash = fileName.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
      start = fileName.utf8.index(after: slash)
    }
    guard fileName[start...].hasPrefix(baseName) else { return nil }
    self.init(suffix: fileName[start...].dropFirst(baseName.count))
  }
}
