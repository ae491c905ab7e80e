// What plugins read. Sources: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins, Server/Encryption.py, and 1.3.4's plugins, where
// they asked the parser themselves.

nonisolated extension SettingRegistry {
  static let pluginSettings: [SettingDefinition] = [
    .init("metadata", "use_database", .boolean, default: "false", help: "Keep clients in the database"),

    .init("probes", "use_database", .boolean, default: "false", help: "Keep probe data in the database"),
    .init(
      "probes", "layout", .choice(["client", "file"]), default: "client", .ours,
      help: "client: probe data in a file for each client, probed.xml is a copy; file: in probed.xml alone"),
    .init(
      "probes", "allowed_groups", .wordList, default: ".*",
      help: "Regular expressions, anchored at both ends, of the groups that probes may put a client in"),

    .init("cfg", "validation", .boolean, default: "true", help: "Run the tests of Cfg files"),
    .init("cfg", "max_file_size", .size, default: "64m", .ours, help: "The most bytes of a Cfg file"),
    .init("cfg", "category", .text, .only1_4, help: "Group category that created data is specific to"),
    .init("cfg", "passphrase", .text, .only1_4, help: "Name of the passphrase that encrypts created data"),
    .init("cfg", "handlers", .commaList, .only1_4, help: "Kinds of Cfg files to support; default: all"),
    .init(
      "templates", "python", .program, default: "/usr/bin/python3", .ours, help: "Interpreter that renders templates"),
    .init(
      "templates", "processes", .integer(1...1024), .ours,
      help: "Renderer processes, at most; default: processors, shared by the children of the multiprocessing core"),
    .init(
      "templates", "timeout", .seconds, default: "30", .ours,
      help: "Seconds that one template may take before its process is replaced; 0 allows none"),
    .init(
      "templates", "memory", .size, default: "512m", .ours, help: "Address space of a renderer process; 96m or more"),
    .init(
      "templates", "cache", .choice(["traced", "never"]), default: "traced", .ours,
      help: "Whether results are used again for as long as what the template read is the same"),
    .init(
      "templates", "cache_size", .size, default: "64m", .ours,
      help: "Most memory for results that are kept; 0 keeps none"),
    .init(
      "templates", "user", .user, .ours, help: "User that renderers run as; default: the server's"),
    .init(
      "templates", "group", .group, .ours, help: "Group that renderers run as; default: that of the same number"),
    .init(
      "templates", "network", .boolean, default: "yes", .ours,
      help: "Whether templates may use the network, name service included"),

    .init("sshkeys", "category", .text, help: "Group category that created SSH keys are specific to"),
    .init("sshkeys", "passphrase", .text, help: "Name of the passphrase that encrypts created SSH keys"),
    .init("sshbase", "passphrase", .text, .only1_4, help: "Name of the passphrase that encrypts created host keys"),
    .init("sslca", "category", .text, .only1_4, help: "Group category that created certificates are specific to"),
    .init("sslca", "passphrase", .text, .only1_4, help: "Name of the passphrase that encrypts created TLS keys"),
    .init("sslca_*", "config", .path, help: "OpenSSL configuration of this certificate authority"),
    .init("sslca_*", "passphrase", .secret, help: "Passphrase of the authority's private key"),
    .init("sslca_*", "chaincert", .path, help: "Certificate chain to verify with"),
    .init("sslca_*", "root_ca", .boolean, default: "false", help: "Whether chaincert is a root certificate"),

    .init("properties", "writes_enabled", .boolean, default: "true", help: "Allow templates to write Properties back"),
    .init("properties", "automatch", .boolean, default: "false", help: "Match all Properties files for the client"),

    .init("rules", "regex", .boolean, default: "false", help: "Read names in Rules as regular expressions"),
    .init(
      "rules", "replace_name", .boolean, default: "false", .only1_4, help: "Replace %{name} in attributes set by Rules"),
    .init(
      "defaults", "replace_name", .boolean, default: "false", .only1_4,
      help: "Replace %{name} in attributes set by Defaults"),

    .init("encryption", "algorithm", .text, default: "aes_256_cbc", help: "Cipher of encrypted data"),
    .init(
      "encryption", "lax_decryption", .boolean, default: "false", .only1_4,
      help: "Data that cannot be decrypted is a warning, not an error"),
    .init(
      "encryption", "decrypt", .choice(["strict", "lax"]), default: "strict", .only1_3,
      help: "lax: data that cannot be decrypted is a warning, not an error"),
    .init("encryption", "*", .secret, help: "A passphrase, under its name"),

    .init("packages", "backends", .commaList, default: "Yum,Apt,Pac,Pkgng", .only1_4, help: "Kinds of package sources"),
    .init("packages", "resolver", .enabled, default: "true", help: "Resolve dependencies of packages"),
    .init("packages", "metadata", .enabled, default: "true", help: "Read the metadata of package sources"),
    .init("packages", "cache", .path, default: "<repository>/Packages/cache", help: "Folder of the package caches"),
    .init(
      "packages", "version", .choice(["auto", "any"]), default: "auto", help: "Version attribute of Package entries"),
    .init(
      "packages", "yum_config", .path, default: "/etc/yum.repos.d/bcfg2.repo", help: "Path of generated yum sources"),
    .init(
      "packages", "apt_config", .path, default: "/etc/apt/sources.list.d/bcfg2-packages-generated-sources.list",
      help: "Path of generated APT sources"),
    .init(
      "packages", "magic_groups", .boolean, default: "false", .only1_3, help: "Match sources by groups of their names"),
    .init("packages:yum", "use_yum_libraries", .boolean, default: "false", help: "Resolve with yum's libraries"),
    .init("packages:yum", "helper", .path, help: "Path of bcfg2-yum-helper"),
    .init("packages:yum", "gpg_keypath", .path, default: "/etc/pki/rpm-gpg", help: "Folder of GPG keys on clients"),
    .init("packages:yum", "*", .text, help: "An option for the generated yum configuration"),
    .init("packages:pulp", "username", .text, help: "User of the Pulp server"),
    .init("packages:pulp", "password", .secret, help: "Password of the Pulp server"),

    .init("svn", "user", .text, help: "User of the Subversion server"),
    .init("svn", "password", .secret, help: "Password of the Subversion server"),
    .init("svn", "always_trust", .boolean, default: "false", help: "Trust any certificate of the Subversion server"),
    .init("svn", "conflict_resolution", .text, help: "What Subversion does with conflicts"),

    .init("ldap", "retries", .integer(0...1000), default: "3", .only1_4, help: "Tries to reach the LDAP server again"),
    .init("ldap", "retry_delay", .seconds, default: "5", .only1_4, help: "Seconds between two tries"),
    .init("ldap", "cache", .boolean, .only1_4, help: "Keep answers of the LDAP server until told to expire them"),

    .init("awstags", "access_key_id", .text, help: "Access key of AWS"),
    .init("awstags", "secret_access_key", .secret, help: "Secret of the access key"),
    .init("awstags", "cache", .boolean, default: "true", help: "Keep tags until told to expire them"),
  ]
}
