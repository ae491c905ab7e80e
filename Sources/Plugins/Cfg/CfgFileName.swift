import Core
import Templates
import XMLRPC

/// What a file in a Cfg folder is, by its name.
///
/// Names are `<base name>[.H_<host>|.G<priority>_<group>][.<extension>]`, where the base name is that of the folder, or
/// one of the fixed names (`info.xml`, `:test` ...). Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg, whose handlers
/// are asked in the order of their priorities.
enum CfgFileName: Equatable {
  case plain(Specificity)
  case encrypted(Specificity)
  case template(Specificity, kind: TemplateJob.Kind, isEncrypted: Bool)
  case infoXML
  /// `info` or `:info` of 1.3.
  case legacyInfo
  case test(Specificity)
  case authorizedKeys
  case privateKey, publicKey, sslKey, sslCertificate
  /// `.cat` and `.diff` of 1.3.
  case cat(Specificity)
  case diff(Specificity)
  /// A part that templates include; Cfg does not read it.
  case ignored
  /// Not a file of Cfg.
  case unknown

  /// Endings of templates, in the order in which they are tried.
  private static let templates: [(ending: String, kind: TemplateJob.Kind, isEncrypted: Bool, handler: CfgHandler)] = [
    (".genshi.crypt", .genshi, true, .encryptedGenshi), (".crypt.genshi", .genshi, true, .encryptedGenshi),
    (".cheetah.crypt", .cheetah, true, .encryptedCheetah), (".crypt.cheetah", .cheetah, true, .encryptedCheetah),
    (".jinja2.crypt", .jinja2, true, .encryptedJinja2), (".crypt.jinja2", .jinja2, true, .encryptedJinja2),
    (".genshi", .genshi, false, .genshi), (".cheetah", .cheetah, false, .cheetah),
    (".jinja2", .jinja2, false, .jinja2),
  ]

  /// - Parameters:
  ///   - name: the name of the file.
  ///   - base: the name of its folder.
  ///   - handlers: the kinds that are known; a file of another kind may be taken for a plain one.
  init(_ name: String, base: String, handlers: Set<CfgHandler>) {
    switch name {
    case "info.xml" where handlers.contains(.infoXML): self = .infoXML
    case "authorizedkeys.xml" where handlers.contains(.authorizedKeys): self = .authorizedKeys
    case "authorized_keys.xml" where handlers.contains(.authorizedKeys): self = .authorizedKeys
    case "privkey.xml" where handlers.contains(.privateKey): self = .privateKey
    case "pubkey.xml" where handlers.contains(.publicKey): self = .publicKey
    case "sslkey.xml" where handlers.contains(.sslKey): self = .sslKey
    case "sslcert.xml" where handlers.contains(.sslCertificate): self = .sslCertificate
    case "info" where handlers.contains(.legacyInfo): self = .legacyInfo
    case ":info" where handlers.contains(.legacyInfo): self = .legacyInfo
    default: self = Self.specific(name, base: base, handlers)
    }
  }

  private static func specific(_ name: String, base: String, _ handlers: Set<CfgHandler>) -> CfgFileName {
    if handlers.contains(.test), let rest = name.dropping(prefix: ":test"), let specificity = Specificity(suffix: rest)
    {
      return .test(specificity)
    }
    if let rest = name.dropping(prefix: base) {
      for template in templates where handlers.contains(template.handler) {
        if let specificity = specificity(rest, before: template.ending) {
          return .template(specificity, kind: template.kind, isEncrypted: template.isEncrypted)
        }
      }
      if handlers.contains(.encrypted), let specificity = specificity(rest, before: ".crypt") {
        return .encrypted(specificity)
      }
      if handlers.contains(.cat), let specificity = specificity(rest, before: ".cat") { return .cat(specificity) }
      if handlers.contains(.diff), let specificity = specificity(rest, before: ".diff") { return .diff(specificity) }
      if handlers.contains(.plain), let specificity = Specificity(suffix: rest) { return .plain(specificity) }
    }
    return name.hasSuffix(".genshi_include") || name.hasSuffix(".jinja2_include") ? .ignored : .unknown
  }

  private static func specificity(_ rest: Substring, before ending: String) -> Specificity? {
    guard rest.utf8.count >= ending.utf8.count, rest.hasSuffix(ending) else { return nil }
    return Specificity(suffix: rest.dropLast(ending.count))
  }
}
