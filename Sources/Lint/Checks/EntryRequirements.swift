/// What attributes of entries must be: by tag and type, as clients need them.
nonisolated struct EntryRequirements {
  /// Checks a value; nil: any value.
  typealias Format = @Sendable (String) -> Bool

  /// Attributes that must be there.
  var attributes: [(name: String, format: Format?)]
  /// Whether there must be text, unless the entry is `empty`.
  var needsText = false

  private init(_ attributes: KeyValuePairs<String, Format?>, text: Bool = false) {
    self.attributes = attributes.map { ($0.key, $0.value) }
    needsText = text
  }

  /// Outcome of a look-up.
  enum Found {
    case requirements(EntryRequirements)
    case unknownTag
    case unknownType
  }

  /// Requirements of an entry.
  ///
  /// - Parameters:
  ///   - tag: without `Bound`.
  ///   - attribute: looks an attribute up.
  static func of(_ tag: String, _ attribute: (String) -> String?) -> Found {
    let type = attribute("type")
    switch tag {
    case "Path":
      guard let type, var found = paths[type] else { return .requirements(.init(["name": isFileName])) }
      if type == "device", ["block", "char"].contains(attribute("dev_type")) {
        found.attributes += [("major", isNumber), ("minor", isNumber)]
      }
      return .requirements(found)
    case "Service":
      return .requirements(type == "smf" ? .init(["name": nil, "FMRI": nil]) : .init(["name": nil]))
    case "Package": return .requirements(.init(["name": nil]))
    case "ACL":
      switch type {
      case "default", "access": return .requirements(.init(["scope": isScope, "perms": isPermissions]))
      case "mask": return .requirements(.init(["perms": isPermissions]))
      default: return .unknownType
      }
    default:
      guard let found = others[tag] else { return .unknownTag }
      return type == nil ? .requirements(found) : .unknownType
    }
  }

  private static let owned: KeyValuePairs<String, Format?> = [
    "owner": isUserName, "group": isUserName, "mode": isMode,
  ]

  private static let paths: [String: EntryRequirements] = [
    "augeas": .init(owned), "directory": .init(owned), "permissions": .init(owned), "file": .init(owned, text: true),
    "device": .init(["owner": isUserName, "group": isUserName, "mode": isMode, "dev_type": isDeviceType]),
    "hardlink": .init(["owner": isUserName, "group": isUserName, "mode": isMode, "to": isFileName]),
    "symlink": .init([:]), "ignore": .init([:]), "nonexistent": .init([:]),
    "vcs": .init(["vcstype": isVersionControl, "revision": nil, "sourceurl": nil]),
  ]

  private static let others: [String: EntryRequirements] = [
    "Action": .init([
      "name": nil, "timing": { ["pre", "post", "both"].contains($0) }, "when": { ["modified", "always"].contains($0) },
      "status": { ["ignore", "check"].contains($0) }, "command": nil,
    ]),
    "SEBoolean": .init(["name": nil, "value": { ["on", "off"].contains($0) }]),
    "SEModule": .init(["name": nil], text: true),
    "SEPort": .init(["name": isPort, "selinuxtype": isSELinuxType]),
    "SEFcontext": .init(["name": nil, "selinuxtype": isSELinuxType]),
    "SENode": .init([
      "name": { $0.contains("/") }, "selinuxtype": isSELinuxType, "proto": { ["ipv4", "ipv6"].contains($0) },
    ]),
    "SELogin": .init(["name": isUserName, "selinuxuser": isSELinuxUser]),
    "SEUser": .init([
      "name": isSELinuxUser, "roles": { $0.split(separator: " ").allSatisfy { hasSELinuxEnding($0, "_r") } },
      "prefix": nil,
    ]),
    "SEInterface": .init(["name": nil, "selinuxtype": isSELinuxType]), "SEPermissive": .init(["name": isSELinuxType]),
    "POSIXGroup": .init(["name": isUserName]), "POSIXUser": .init(["name": isUserName]),
  ]

  // MARK: Formats

  private static let isFileName: Format = { $0.hasPrefix("/") && $0.utf8.count > 1 }
  /// Three or more octal digits.
  private static let isMode: Format = { mode in
    (3...5).contains(mode.utf8.count) && mode.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }
  }
  private static let isNumber: Format = { !$0.isEmpty && $0.utf8.allSatisfy(isDigit) }
  /// A number, or a name of up to 31 bytes that begins with what is between A and z in ASCII.
  private static let isUserName: Format = { name in
    if isNumber(name) { return true }
    func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "z")).contains(byte) }
    return (1...31).contains(name.utf8.count) && name.utf8.first.map(isLetter) == true
      && name.utf8.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
  }
  private static let isDeviceType: Format = { ["block", "char", "fifo"].contains($0) }
  private static let isVersionControl: Format = { ["git", "svn"].contains($0) }
  private static let isScope: Format = { ["user", "group", "other", "mask"].contains($0) }
  private static let isPermissions: Format = { text in
    let isOctal = text.utf8.count == 1 && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }
    return isOctal || text.utf8.count <= 3 && text.utf8.allSatisfy { "rwx-".utf8.contains($0) }
  }
  /// `22/tcp`, `1024-2048/udp`.
  private static let isPort: Format = { text in
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, ["tcp", "udp"].contains(parts[1]) else { return false }
    let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
    return ends.count <= 2 && ends.allSatisfy { isNumber(String($0)) }
  }
  private static let isSELinuxType: Format = { hasSELinuxEnding($0[...], "_t") }
  private static let isSELinuxUser: Format = { hasSELinuxEnding($0[...], "_u") }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  /// Small letters, digits and `_`, then the ending.
  private static func hasSELinuxEnding(_ text: Substring, _ ending: String) -> Bool {
    text.utf8.count > ending.utf8.count && text.hasSuffix(ending)
      && text.utf8.allSatisfy {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || isDigit($0) || $0 == UInt8(ascii: "_")
      }
  }
}
