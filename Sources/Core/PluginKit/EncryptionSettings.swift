public import Repository
public import ServerSettings

extension Encryption {
  /// Reads `[encryption]` of bcfg2.conf.
  public nonisolated init(_ settings: Settings) {
    self.init(
      passphrases: settings.passphrases, algorithm: settings.encryptionAlgorithm, isLax: settings.decryptsLaxly)
  }
}
