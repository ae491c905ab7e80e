import Formats
public import Repository
public import ServerSettings

/// `[encryption]`: passphrases by name, and how data is encrypted with them.
public nonisolated struct EncryptionOptions: OptionGroup {
  public static let standard = EncryptionOptions()

  public let algorithm = Option(
    "encryption", "algorithm", .text, default: "aes_256_cbc", help: "Cipher of encrypted data")
  public let isLax = Option(
    "encryption", "lax_decryption", .boolean, default: "false", .only1_4,
    help: "Data that cannot be decrypted is a warning, not an error")
  public let strictness = Option(
    "encryption", "decrypt", .choice(["strict", "lax"]), default: "strict", .only1_3,
    help: "lax: data that cannot be decrypted is a warning, not an error")
  public let format = Option(
    "encryption", "write_format", .choice(["openssl", "aead"]), default: "openssl", .ours,
    help: "How data is encrypted: aead is AES-256-GCM, which Bcfg2's servers cannot read; both are read")
  public let salt = Option(
    "encryption", "aead_salt", .text, .ours,
    help: "A text of the site's own, such as its domain, for one key a passphrase; else each run has its own salt")
  public let passphrases = Option("encryption", "*", .secret, help: "A passphrase, under its name")
}

extension Encryption {
  /// What `[encryption]` of bcfg2.conf says. Algorithms are named as in 1.4: in lower case, with underscores.
  public nonisolated init(_ settings: Settings) {
    let options = EncryptionOptions.standard
    self.init(
      passphrases: settings.named(options.passphrases),
      algorithm: settings[options.algorithm].asciiLowercased.replacing("-", with: "_"),
      isLax: settings[options.isLax] || settings[options.strictness] == "lax",
      format: settings[options.format] == "aead" ? .sealed : .salted, salt: settings[options.salt])
  }
}
