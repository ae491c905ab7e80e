import PackageSources
import ServerSettings

/// The files with which clients are told their sources: apt's list, yum's repositories.
///
/// Source of the formats: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Packages/Apt.py, Yum.py and Source.py, of 1.4 and
/// 1.3.4.
enum GeneratedSources {
  private static let header = "# This config was generated automatically by the Bcfg2 Packages plugin"

  /// The text of the file; nil for sources that have none: of several kinds, or of another kind.
  static func text(
    _ members: [ClientSources.Member], _ kind: SourceKind?, _ compatibility: Compatibility
  ) -> String? {
    switch kind {
    case .apt: aptList(members, compatibility)
    case .yum: yumRepositories(members, compatibility)
    case .pac, .pkgng, nil: nil
    }
  }

  private static func aptList(_ members: [ClientSources.Member], _ compatibility: Compatibility) -> String {
    var lines = [header, ""]
    for source in members.map(\.source) {
      if source.rawURL.isEmpty {
        let line = "\(source.url) \(source.version) \(source.components.joined(separator: " "))"
        lines.append("deb \(line)")
        if source.hasDebSource { lines.append("deb-src \(line)") }
      } else {
        // 1.3.4 leaves such a source out.
        if compatibility == .v1_3 { continue }
        let folder = source.rawURL.dropLast()
        let slash = folder.lastIndex(of: "/")
        let parent = slash.map { folder[..<$0] } ?? folder.dropLast()
        let last = slash.map { folder[folder.index(after: $0)...] } ?? folder
        lines.append("deb \(parent) \(last)/")
      }
      lines.append("")
    }
    return lines.joined(separator: "\n")
  }

  private static func yumRepositories(_ members: [ClientSources.Member], _ compatibility: Compatibility) -> String {
    var text = header + "\n\n"
    var names: Set<String> = []
    for member in members {
      let source = member.source
      for part in source.parts where member.arches.contains(part.arch) {
        let name = unusedName(repositoryName(source, member.groups, part), names, compatibility)
        names.insert(name)
        var options = OptionList()
        options.set("name", name)
        options.set("baseurl", part.url)
        options.set("enabled", "1")
        options.set("gpgcheck", source.gpgKeys.isEmpty ? "0" : "1")
        if !source.gpgKeys.isEmpty { options.set("gpgkey", source.gpgKeys.joined(separator: " ")) }
        if !source.blacklist.isEmpty { options.set("exclude", source.blacklist.joined(separator: " ")) }
        if !source.whitelist.isEmpty { options.set("includepkgs", source.whitelist.joined(separator: " ")) }
        for (option, value) in source.clientOptions { options.set(option, value) }
        text += "[\(name)]\n"
        for (option, value) in options.values { text += "\(option) = \(value.replacing("\n", with: "\n\t"))\n" }
        text += "\n"
      }
    }
    return text
  }

  /// Options in the order in which they were set first; names in lower case, as Python's ConfigParser has them.
  private struct OptionList {
    private(set) var values: [(name: String, value: String)] = []

    mutating func set(_ name: String, _ value: String) {
      let name = name.lowercased()
      if let index = values.firstIndex(where: { $0.name == name }) {
        values[index].value = value
      } else {
        values.append((name, value))
      }
    }
  }

  /// A name with a number behind it, where another repository has the name.
  private static func unusedName(_ base: String, _ names: Set<String>, _ compatibility: Compatibility) -> String {
    var name = base
    var number = compatibility == .v1_3 ? 0 : 1
    while names.contains(name) {
      number += 1
      // 1.3.4 counts on from a number in the name itself: centos-7 becomes centos-7-8.
      if compatibility == .v1_3, name == base, let found = firstNumber(in: name) { number = found + 1 }
      name = "\(base)-\(number)"
    }
    return name
  }

  /// The first number that follows a hyphen.
  private static func firstNumber(in name: String) -> Int? {
    for (index, character) in zip(name.indices, name) where character == "-" {
      let digits = name[name.index(after: index)...].prefix { ("0"..."9").contains($0) }
      if !digits.isEmpty { return Int(digits) }
    }
    return nil
  }

  /// The name of a repository of a source: its own, or one made from its component, address or group.
  static func repositoryName(_ source: PackageSource, _ groups: [String], _ part: SourcePart) -> String {
    if let name = source.name { return name }
    let name: String
    if !part.component.isEmpty {
      name = part.component
    } else if let last = lastElement(of: part.url) {
      name = groups.first.map { "\($0)-\(last)" } ?? last
    } else {
      name = groups.first ?? part.url
    }
    return String(
      decoding: name.unicodeScalars.map { scalar -> UInt8 in
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".", ":": UInt8(scalar.value)
        default: UInt8(ascii: "-")
        }
      }, as: UTF8.self)
  }

  /// The last element of an address, without what Pulp and mrepo put before it: `(?:pulp/repos/|/RPMS\.|/)([^/]+)/?$`.
  private static func lastElement(of url: String) -> String? {
    let folder = url.hasSuffix("/") ? url.dropLast() : url[...]
    guard let slash = folder.lastIndex(of: "/") else { return nil }
    let last = folder[folder.index(after: slash)...]
    if last.isEmpty { return nil }
    let isOfPulp = folder[...slash].hasSuffix("pulp/repos/")
    if last.hasPrefix("RPMS."), last.utf8.count > 5, !isOfPulp { return String(last.dropFirst(5)) }
    return String(last)
  }
}
