import ServerSettings

/// `[sshbase]`.
nonisolated struct SSHbaseOptions: OptionGroup {
  static let standard = SSHbaseOptions()

  let passphrase = Option(
    "sshbase", "passphrase", .text, .only1_4, help: "Name of the passphrase that encrypts created host keys")
}
