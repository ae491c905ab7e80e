import ServerSettings

/// The kinds of files that Cfg may know, by the names that `[cfg] handlers` has for them.
enum CfgHandler: String, CaseIterable {
  case authorizedKeys = "CfgAuthorizedKeysGenerator"
  case cheetah = "CfgCheetahGenerator"
  case encryptedCheetah = "CfgEncryptedCheetahGenerator"
  case encrypted = "CfgEncryptedGenerator"
  case encryptedGenshi = "CfgEncryptedGenshiGenerator"
  case encryptedJinja2 = "CfgEncryptedJinja2Generator"
  case test = "CfgExternalCommandVerifier"
  case genshi = "CfgGenshiGenerator"
  case infoXML = "CfgInfoXML"
  case jinja2 = "CfgJinja2Generator"
  case plain = "CfgPlaintextGenerator"
  case privateKey = "CfgPrivateKeyCreator"
  case publicKey = "CfgPublicKeyCreator"
  case sslCertificate = "CfgSSLCACertCreator"
  case sslKey = "CfgSSLCAKeyCreator"
  // 1.3's.
  case cat = "CfgCatFilter"
  case diff = "CfgDiffFilter"
  case legacyInfo = "CfgLegacyInfo"

  /// Those of a version of Bcfg2.
  static func all(_ compatibility: Compatibility) -> Set<CfgHandler> {
    let removedIn14: Set<CfgHandler> = [.cat, .diff, .legacyInfo]
    let addedIn14: Set<CfgHandler> = [.jinja2, .encryptedJinja2, .sslCertificate, .sslKey]
    return Set(allCases).subtracting(compatibility == .v1_3 ? addedIn14 : removedIn14)
  }

  /// A handler by its name, which may be that of its Python module.
  init?(named name: String) {
    self.init(rawValue: String(name.split(separator: ".").last ?? ""))
  }
}
