/// What a file in a Cfg folder is, by its name.
///
/// Names are `<base name>[.H_<host>|.G<priority>_<group>][.<extension>]`, where the base name is that of the folder, or
/// one of the fixed names (`info.xml`, `:test` ...). Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg, whose handlers
/// are asked in the order of their priorities.
enum CfgFileName: Equatable {
  case plain(Specificity)
  case encrypted(Specificity)
  /// A template, which this version does not render.
  case template(Specificity, kind: String)
  case infoXML
  /// `info` or `:info` of 1.3.
  case legacyInfo
  case test(Specificity)
  case authorizedKeys
  case privateKey, publicKey, sslKey, sslCertificate
  /// `.cat` and `.diff` of 1.3.
  case cat(Specificity)
  case diff(Specificity)
  /// A part of templates, read by nobody here.
  case ignored
  /// Nothing of Cfg's.
  case unknown

  private static let templates = ["genshi", "cheetah", "jinja2"]

  /// - Parameters:
  ///   - name: the name of the file.
  ///   - base: the name of its folder.
  ///   - compatibility: with 1.3, its older kinds of files are known too.
  init(_ name: String, base: String, compatibility: Compatibility) {
    let has13 = compatibility == .bcfg213
    switch name {
    case "info.xml": self = .infoXML
    case "authorizedkeys.xml", "authorized_keys.xml": self = .authorizedKeys
    case "privkey.xml": self = .privateKey
    case "pubkey.xml": self = .publicKey
    case "sslkey.xml" where !has13: self = .sslKey
    case "sslcert.xml" where !has13: self = .sslCertificate
    case "info" where has13, ":info" where has13: self = .legacyInfo
    default: self = Self.specific(name, base: base, has13: has13)
    }
  }

  private static func specific(_ name: String, base: String, has13: Bool) -> CfgFileName {
    if let rest = name.dropping(prefix: ":test"), let specificity = Specificity(suffix: rest) {
      return .test(specificity)
    }
    if let rest = name.dropping(prefix: base) {
      for kind in templates {
        for ending in [".\(kind).crypt", ".crypt.\(kind)", ".\(kind)"] {
          if let specificity = specificity(rest, before: ending) { return .template(specificity, kind: kind) }
        }
      }
      if let specificity = specificity(rest, before: ".crypt") { return .encrypted(specificity) }
      if has13, let specificity = specificity(rest, before: ".cat") { return .cat(specificity) }
      if has13, let specificity = specificity(rest, before: ".diff") { return .diff(specificity) }
      if let specificity = Specificity(suffix: rest) { return .plain(specificity) }
    }
    return name.hasSuffix(".genshi_include") || name.hasSuffix(".jinja2_include") ? .ignored : .unknown
  }

  private static func specificity(_ rest: Substring, before ending: String) -> Specificity? {
    guard rest.utf8.count >= ending.utf8.count, rest.hasSuffix(ending) else { return nil }
    return Specificity(suffix: rest.dropLast(ending.count))
  }
}

extension StringProtocol where SubSequence == Substring {
  /// What follows a prefix, compared byte by byte; nil where the text begins otherwise.
  func dropping(prefix: String) -> Substring? {
    guard utf8.starts(with: prefix.utf8) else { return nil }
    return self[utf8.index(startIndex, offsetBy: prefix.utf8.count)...]
  }
}
