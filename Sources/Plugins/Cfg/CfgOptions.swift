import ServerSettings

/// `[cfg]`, and for the keys and certificates that Cfg creates `[sshkeys]` and `[sslca]`.
nonisolated struct CfgOptions: OptionGroup {
  static let standard = CfgOptions()

  let validates = Option("cfg", "validation", .boolean, default: "true", help: "Run the tests of Cfg files")
  let fileBytes = Option("cfg", "max_file_size", .size, default: "64m", .ours, help: "The most bytes of a Cfg file")
  let category = Option("cfg", "category", .text, .only1_4, help: "Group category that created data is specific to")
  let passphrase = Option(
    "cfg", "passphrase", .text, .only1_4, help: "Name of the passphrase that encrypts created data")
  let handlers = Option("cfg", "handlers", .commaList, .only1_4, help: "Kinds of Cfg files to support; default: all")
  let sshCategory = Option("sshkeys", "category", .text, help: "Group category that created SSH keys are specific to")
  let sshPassphrase = Option(
    "sshkeys", "passphrase", .text, help: "Name of the passphrase that encrypts created SSH keys")
  let tlsCategory = Option(
    "sslca", "category", .text, .only1_4, help: "Group category that created certificates are specific to")
  let tlsPassphrase = Option(
    "sslca", "passphrase", .text, .only1_4, help: "Name of the passphrase that encrypts created TLS keys")
}
