public import Repository
public import ServerSettings

extension Encryption {
  /// What `[encryption]` of bcfg2.conf says.
  public nonisolated init(_ settings: Settings) {
    self.init(
      passphrases: settings.passphrases, algorithm: settings.encryptionAlgorithm, isLax: settings.decryptsLaxly)
  }
}
